//! Topics of others that are read in place: refused where they would forget records sooner than a definition states.

use mainstem_kernel::log::LogError;
use mainstem_schemas::Span;
use rdkafka::admin::ConfigResource;

use crate::cluster::Cluster;

const REMEDY: &str = "or read the topic with `read: copy`, which keeps the copies for ever";

impl Cluster {
    /// Refuses a topic that is compacted, or keeps its records for less than `horizon`.
    pub(crate) fn check_horizon(&self, topic: &str, horizon: Span) -> Result<(), LogError> {
        for found in self.describe(&[topic], topic)? {
            if let Some(why) = forgets(&found, horizon) {
                let Forgets { what, mend } = why;
                let mend = match mend {
                    Some(settings) => format!("{}, {REMEDY}", self.mend(topic, &settings)),
                    None => REMEDY.trim_start_matches("or ").to_owned(),
                };
                return Err(LogError::Other(format!(
                    "topic {topic} cannot be read in place with a horizon of {horizon}: {what}; {mend}"
                )));
            }
        }
        Ok(())
    }
}

/// What of a topic's settings forgets records too soon.
struct Forgets {
    what: String,
    /// The settings that mend it. What is compacted is meant to be.
    mend: Option<String>,
}

fn forgets(found: &ConfigResource, horizon: Span) -> Option<Forgets> {
    let value = |key: &str| found.get(key).and_then(|entry| entry.value.as_deref());
    let policy = value("cleanup.policy").unwrap_or_default();
    if policy.split(',').any(|policy| policy.trim() == "compact") {
        return Some(Forgets {
            what: format!(
                "it is compacted (cleanup.policy={policy}), so that any record may vanish"
            ),
            mend: None,
        });
    }
    // -1 is no limit.
    let limit = |key| value(key)?.parse().ok().filter(|limit: &i64| *limit >= 0);
    if let Some(kept) = limit("retention.ms").filter(|kept| *kept < horizon.0) {
        let span = Span(kept);
        return Some(Forgets {
            what: format!("it keeps its records for {span} (retention.ms={kept})"),
            mend: Some(format!("retention.ms={}", horizon.0)),
        });
    }
    limit("retention.bytes").map(|bytes| Forgets {
        what: format!("it keeps its last bytes, however young they are (retention.bytes={bytes})"),
        mend: Some("retention.bytes=-1".into()),
    })
}
