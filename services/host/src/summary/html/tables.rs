//! Retrains with what they rest on, detections, records.

use crate::summary::drift::method_name;
use crate::summary::lifecycle::reason_name;
use crate::summary::text::{counted, date, escape, thousands};
use crate::summary::{At, Evidence, Retrain, Summary};

impl Summary {
    pub(super) fn retrain_section(&self) -> String {
        let held: u64 = self.suppressed.values().sum();
        let held = counted(held, "condition", "conditions");
        if self.retrains.is_empty() {
            return format!("<h2>Retrains</h2>\n<p>None was requested; {held} held back.</p>\n");
        }
        let head = head(&[
            "Requested",
            "Reason and evidence",
            "Version",
            "Gate",
            "Promoted",
        ]);
        let rows: String = self.retrains.iter().map(retrain).collect();
        format!(
            "<h2>Retrains</h2>\n<div class=\"scroll\"><table>\n<caption>{} requested, {} promoted, {} rejected; {held} \
             held back by an open retrain or the cool-down.</caption>\n{head}<tbody>\n{rows}</tbody>\n</table></div>\n",
            self.retrains.len(),
            self.passed(),
            self.rejected(),
        )
    }

    pub(super) fn detection_table(&self) -> String {
        if self.drift.detections.is_empty() {
            return "<p>Nothing was detected.</p>\n".into();
        }
        let head = head(&[
            "Detected at",
            "Column",
            "Test",
            "Statistic",
            "Threshold",
            "Against the data of",
        ]);
        let mut rows = String::new();
        for it in &self.drift.detections {
            rows += &format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.4}</td><td>{}</td><td>{}</td></tr>\n",
                place(&it.at),
                escape(&it.feature),
                method_name(it.method),
                it.statistic,
                it.threshold,
                escape(&it.version)
            );
        }
        let detections = counted(
            self.drift.detections.len() as u64,
            "detection",
            "detections",
        );
        format!(
            "<details><summary>{detections}</summary>\n<div class=\"scroll\"><table>\n{head}<tbody>\n{rows}</tbody>\n\
             </table></div></details>\n"
        )
    }

    pub(super) fn records_table(&self) -> String {
        let row = |(topic, records): (&String, &u64)| {
            format!(
                "<tr><td><code>{}</code></td><td class=\"number\">{}</td></tr>\n",
                escape(topic),
                thousands(*records)
            )
        };
        let rows: String = self.counts.topics.iter().map(row).collect();
        format!(
            "<details><summary>Records of each topic</summary>\n<table>\n<thead><tr><th scope=\"col\">Topic</th>\
             <th scope=\"col\" class=\"number\">Records</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></details>\n"
        )
    }
}

fn head(names: &[&str]) -> String {
    let cells: String = names
        .iter()
        .map(|name| format!("<th scope=\"col\">{name}</th>"))
        .collect();
    format!("<thead><tr>{cells}</tr></thead>\n")
}

fn retrain(it: &Retrain) -> String {
    let reason = reason_name(it.reason).replace('_', " ");
    let rows = it.training_rows.and_then(|rows| u64::try_from(rows).ok());
    let trained = rows.map_or_else(String::new, |rows| {
        format!(
            "<br/><span class=\"soft\">trained on {} rows</span>",
            thousands(rows)
        )
    });
    let validation = match &it.validation {
        Some(detail) => format!(
            "<br/><span class=\"soft\">validation: {}</span>",
            escape(detail)
        ),
        None => String::new(),
    };
    let figures = match it.gate.detail() {
        "" => String::new(),
        detail => format!("<br/>{}", escape(detail)),
    };
    format!(
        "<tr><td>{}</td><td><strong>{}</strong><br/>{}{}</td><td>{}{trained}</td>\
         <td><strong>{}</strong>{figures}{validation}</td><td>{}</td></tr>\n",
        place(&it.requested),
        escape(&reason),
        escape(&it.detail),
        evidence(&it.evidence),
        escape(it.version.as_deref().unwrap_or("–")),
        escape(it.gate.short()),
        it.promoted.as_ref().map_or_else(|| "–".into(), place)
    )
}

fn evidence(found: &[Evidence]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let item = |it: &Evidence| {
        let text = it.text.as_deref().unwrap_or("no longer in the log");
        format!("<li>{} <code>{}</code></li>\n", escape(text), it.id)
    };
    let items: String = found.iter().map(item).collect();
    let count = counted(found.len() as u64, "event", "events");
    format!("<details><summary>it rests on {count}</summary><ul>\n{items}</ul></details>")
}

fn place(at: &At) -> String {
    format!(
        "row {}<br/><span class=\"soft\">{}</span>",
        thousands(at.row),
        date(at.time)
    )
}
