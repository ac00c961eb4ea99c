//! The summary as one page that needs nothing beside it: styles and pictures are in it, scripts there are none.
//!
//! The page is written so that it is well-formed XML as well as HTML: any tool can check or take it apart.

mod accuracy;
mod axis;
mod drift;
mod tables;

use super::text::{counted, date, escape, percent, points, thousands};
use super::{Forecast, Summary};

const STYLE: &str = include_str!("style.css");

impl Summary {
    /// The summary as a page; `notes` are what a reader must know of these data beside the figures.
    #[must_use]
    pub fn html(&self, notes: &[&str]) -> String {
        let title = escape(&format!("{} / {}", self.project, self.model));
        let parts = [
            self.opening(),
            self.accuracy_section(),
            self.retrain_section(),
            self.drift_section(),
            self.remarks(notes),
            self.audit_section(),
            self.repeating(),
        ];
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <title>Mainstem: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n\
             </body>\n</html>\n",
            parts.concat()
        )
    }

    fn opening(&self) -> String {
        let mut text = format!(
            "<h1>{} / {}</h1>\n<p class=\"soft\">What happened, read back from the log{}.</p>\n",
            escape(&self.project),
            escape(&self.model),
            self.time_span()
        );
        if self.counts.predictions == 0 {
            text.push_str("<p><strong>Nothing was predicted yet.</strong></p>\n");
        } else if !self.is_scored() {
            text.push_str("<p><strong>No prediction has met its label yet.</strong></p>\n");
        }
        text.push_str("<dl class=\"figures\">\n");
        for (name, figure, beside) in self.figures() {
            let beside = if beside.is_empty() {
                beside
            } else {
                format!("<small>{}</small>", escape(&beside))
            };
            text += &format!(
                "<div><dt>{}</dt><dd>{}{beside}</dd></div>\n",
                escape(&name),
                escape(&figure)
            );
        }
        text + "</dl>\n"
    }

    fn time_span(&self) -> String {
        match (self.accuracy.windows.first(), self.accuracy.windows.last()) {
            (Some(first), Some(last)) => {
                format!(
                    ": predictions from {} to {}",
                    date(first.start.time),
                    date(last.end.time)
                )
            }
            _ => String::new(),
        }
    }

    /// The key figures: name, figure, what is beside it.
    fn figures(&self) -> Vec<(String, String, String)> {
        let joined = counted(self.accuracy.labels_joined, "label joined", "labels joined");
        let mut figures = vec![
            ("rows".into(), thousands(self.counts.rows), self.refused()),
            (
                "predictions".into(),
                thousands(self.counts.predictions),
                joined,
            ),
        ];
        if self.is_scored() {
            for forecast in self.accuracy.forecasts() {
                let beside = self
                    .accuracy
                    .lead_over(forecast)
                    .filter(|_| forecast != Forecast::Mainstem);
                let beside = beside.map(|lead| format!("Mainstem {} points", points(lead.mean)));
                let share = percent(self.accuracy.share(forecast));
                figures.push((forecast.name().into(), share, beside.unwrap_or_default()));
            }
        }
        let ended = format!("{} promoted, {} rejected", self.passed(), self.rejected());
        figures.push(("retrains".into(), self.retrains.len().to_string(), ended));
        if let Some(audit) = self.audit {
            let beside = format!(
                "of {}",
                counted(audit.derived_events, "derived event", "derived events")
            );
            figures.push((
                "audit mismatches".into(),
                thousands(audit.mismatches),
                beside,
            ));
        }
        figures
    }

    fn refused(&self) -> String {
        let rejects = (self.counts.rejects > 0)
            .then(|| format!("{} rejected", thousands(self.counts.rejects)));
        let quarantined = (self.counts.quarantined > 0)
            .then(|| format!("{} quarantined", thousands(self.counts.quarantined)));
        rejects
            .into_iter()
            .chain(quarantined)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn remarks(&self, notes: &[&str]) -> String {
        let notes: Vec<String> = self
            .first_model_remark()
            .into_iter()
            .chain(notes.iter().map(|note| (*note).into()))
            .collect();
        if notes.is_empty() {
            return String::new();
        }
        let items: String = notes
            .iter()
            .map(|note| format!("<li>{}</li>\n", escape(note)))
            .collect();
        format!("<h2>To be read with it</h2>\n<ul>\n{items}</ul>\n")
    }

    fn audit_section(&self) -> String {
        let found = match self.audit_line() {
            Some(line) => escape(&format!("{line}.")),
            None => "No audit was made for this page.".into(),
        };
        format!("<h2>Audit</h2>\n<p>{found}</p>\n{}", self.records_table())
    }

    fn repeating(&self) -> String {
        format!(
            "<h2>How to repeat it</h2>\n<p>Every figure on this page is a fold of the log. The first command \
             recomputes every derived event of it and compares. The others bring the same events about in a directory \
             of one's own, from the same project file (definition <code>{}…</code>) and the same data.</p>\n\
             <pre>mainstem audit verify --dir DIR\n\nmainstem up -f mainstem.yaml --dir NEW &amp;\n\
             mainstem publish {} FILE --pace {} --dir NEW</pre>\n",
            self.definition.to_string().get(..12).unwrap_or_default(),
            escape(&self.source),
            self.window
        )
    }
}
