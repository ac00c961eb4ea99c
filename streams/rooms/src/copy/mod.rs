//! The room of copies: a topic that others write, as arrivals of a source.
//!
//! In come the records of one partition of a foreign topic; out go arrivals as a publication would have written them,
//! keyed by the entity, as [`foreign`] reads them, with their headers within bounds. What cannot be read goes to
//! `quarantine`, with its origin, its bytes and the reason; the records after it go on.
//!
//! The room remembers nothing, so that a task is rebuilt without records that their topic may have forgotten.
//! The next room is [`features`](crate::features).

use mainstem_columns::rows::Good;
use mainstem_kernel::task::TaskId;
use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::definition::{Project, Source, digest_of};
use mainstem_schemas::{Digest, EventId, RecordRef, wire};
use serde::{Deserialize, Serialize};

use crate::arrivals::{self, Refuser};
use crate::foreign::{self, Translator};

/// Outputs of the room.
const ARRIVALS: usize = 0;
const QUARANTINE: usize = 1;

/// Copies one partition of a source's topic.
#[derive(Clone, Debug)]
pub struct CopyMachine {
    source: String,
    name: String,
}

/// Nothing that any record left behind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CopyState {
    #[serde(skip)]
    work: Option<Box<Work>>,
}

/// What is made from the definition, and made again after a restore.
#[derive(Debug)]
struct Work {
    translator: Translator,
    /// Digest of the source's definition without what was observed.
    definition: Digest,
}

impl CopyMachine {
    /// The machine of a source.
    #[must_use]
    pub fn new(source: &str) -> Self {
        CopyMachine {
            source: source.into(),
            name: format!("copy/{source}"),
        }
    }

    fn prepare(&self, project: &Project) -> Result<Box<Work>, String> {
        Ok(Box::new(Work {
            translator: Translator::new(project, &self.source)?,
            definition: digest_of(&unobserved(foreign::source(project, &self.source)?)),
        }))
    }
}

/// A source as the project file has it.
fn unobserved(source: &Source) -> Source {
    let mut source = source.clone();
    if let Some(topic) = &mut source.topic {
        topic.partitions = 0;
    }
    source
}

impl Machine for CopyMachine {
    const VERSION: u32 = 1;
    type State = CopyState;

    fn define(&self, state: &mut CopyState, _project: &Project) {
        state.work = None;
    }

    fn needs(&self, _state: &CopyState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        run.map_or_else(Vec::new, |run| foreign::needs(cx, &self.source, run.batch))
    }

    fn fold(&self, state: &mut CopyState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        let work = state
            .work
            .take()
            .map_or_else(|| self.prepare(cx.project), Ok);
        let mut work = match work {
            Ok(work) => work,
            Err(why) => return out.fault(why),
        };
        let schema = match work.translator.schema(cx.catalog) {
            Ok(schema) => schema,
            Err(why) => return out.fault(why),
        };
        let input = cx.spec.inputs.get(run.input);
        let partition = input.map_or(0, |input| input.partition.index);
        let definition = work.definition;
        let refuser = Refuser {
            input: run.input,
            output: QUARANTINE,
            definition: &definition,
            name: &self.name,
        };
        for record in run.batch.iter() {
            let origin = work.translator.origin(&record, partition);
            match work.translator.read(cx.catalog, &record) {
                Ok(None) => {}
                Ok(Some(good)) => {
                    let by = (&cx.spec.id, self.source.as_str());
                    write(by, schema, origin, &good, &record, out);
                }
                Err(refusal) => {
                    let outside = arrivals::Outside { origin, time: None };
                    refuser.quarantine(cx, &record, Some(outside), &refusal, out);
                }
            }
        }
        state.work = Some(work);
    }
}

fn write(
    (task, source): (&TaskId, &str),
    schema: u32,
    origin: EventId,
    good: &Good,
    record: &RecordRef<'_>,
    out: &mut Outbox,
) {
    let (id, time) = (origin.to_string(), good.event_time.to_string());
    let own = [
        ("ce_specversion", &b"1.0"[..]),
        ("ce_id", id.as_bytes()),
        ("ce_type", source.as_bytes()),
        ("ce_source", task.0.as_bytes()),
        ("ce_time", time.as_bytes()),
    ];
    let write = |value: &mut Vec<u8>| {
        wire::put_header(value, schema);
        value.extend_from_slice(&good.body);
    };
    let headers = own.into_iter().chain(foreign::kept(record));
    out.put_with(ARRIVALS, &good.key, write, headers);
}
