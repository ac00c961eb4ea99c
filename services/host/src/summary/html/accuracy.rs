//! Accuracy over time.

use super::axis::Axis;
use crate::summary::lifecycle::reason_name;
use crate::summary::svg::{Anchor, Scale, Shape, Svg};
use crate::summary::text::{date, escape, percent, points, thousands};
use crate::summary::{At, ChangeKind, Forecast, Gate, Summary, Tally};

/// Windows that the first plot sums: with weekly ones, a month.
const SMOOTHED: usize = 4;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 34.0;
const TOP: f64 = 12.0;

/// A plot of the three forecasts.
struct Plot<'a> {
    summary: &'a Summary,
    axis: &'a Axis,
    label: &'a str,
    tallies: Vec<Tally>,
    /// Height of the plot without what stands under it.
    height: f64,
    /// Whether it shows until when the first model leads, which is a matter of sums from the begin.
    until: bool,
}

impl Summary {
    pub(super) fn accuracy_section(&self) -> String {
        let axis = Axis::of(self, (LEFT, RIGHT), 7).filter(|_| self.is_scored());
        let Some(axis) = axis else {
            return String::new();
        };
        let smoothed = Plot {
            summary: self,
            axis: &axis,
            label: "Accuracy of each forecast over the last windows, over time",
            tallies: self.accuracy.rolling(SMOOTHED),
            height: 300.0,
            until: false,
        };
        let cumulative = Plot {
            summary: self,
            axis: &axis,
            label: "Accuracy of each forecast since the first prediction, over time",
            tallies: self.accuracy.cumulative(),
            height: 240.0,
            until: true,
        };
        format!(
            "<h2>Accuracy</h2>\n{}{}{}\
             <figure>\n{}<figcaption>Each point is the accuracy over the last {SMOOTHED} windows of {}. Under it: \
             retrains requested, promoted, rejected; point at a mark or a window to read its figures.</figcaption>\n\
             </figure>\n<figure>\n{}<figcaption>The accuracy since the first prediction.{}</figcaption>\n</figure>\n",
            self.accuracy_table(),
            self.interval_note(),
            self.accuracy_legend(),
            smoothed.draw(),
            self.window,
            cumulative.draw(),
            self.until_note()
        )
    }

    fn interval_note(&self) -> String {
        format!(
            "<p class=\"soft\">Every forecast over the same {} labelled rows. Neighbouring rows resemble each other, so \
             the intervals treat each window of {} as one block.</p>\n",
            thousands(self.accuracy.total().rows),
            self.window
        )
    }

    fn until_note(&self) -> String {
        match self.accuracy.first_model_leads_until() {
            Some(until) => format!(
                " Dotted: row {}, up to which the first model had been as good as Mainstem or better.",
                thousands(until.end.row)
            ),
            None => String::new(),
        }
    }

    fn accuracy_table(&self) -> String {
        let row = |forecast: Forecast| {
            let lead = self
                .accuracy
                .lead_over(forecast)
                .filter(|_| forecast != Forecast::Mainstem);
            let (mean, interval) = lead.map_or_else(
                || ("–".to_owned(), "–".to_owned()),
                |lead| {
                    (
                        points(lead.mean),
                        format!("{} to {}", points(lead.low), points(lead.high)),
                    )
                },
            );
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{mean}</td>\
                 <td class=\"number\">{interval}</td></tr>\n",
                escape(forecast.name()),
                percent(self.accuracy.share(forecast)),
            )
        };
        let rows: String = self.accuracy.forecasts().map(row).collect();
        format!(
            "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Forecast</th>\
             <th scope=\"col\" class=\"number\">Accuracy</th>\
             <th scope=\"col\" class=\"number\">Mainstem, points above it</th>\
             <th scope=\"col\" class=\"number\">95 % interval</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
        )
    }

    fn accuracy_legend(&self) -> String {
        let line = |forecast: Forecast| {
            let mut svg = Svg::new(28.0, 12.0, "");
            svg.line(
                &format!("curve {}", class(forecast)),
                (1.0, 6.0),
                (27.0, 6.0),
            );
            (svg.finish(), forecast.name())
        };
        let mark = |class, shape, name| {
            let mut svg = Svg::new(28.0, 12.0, "");
            svg.mark(class, shape, (14.0, 6.0), name);
            (svg.finish(), name)
        };
        let marks = [
            mark("requested", Shape::Triangle, "retrain requested"),
            mark("promoted", Shape::Disc, "promoted"),
            mark("rejected", Shape::Cross, "rejected, failed or rolled back"),
        ];
        let items = self.accuracy.forecasts().map(line).chain(marks);
        let items: String = items
            .map(|(svg, name)| format!("<li>{svg}{}</li>\n", escape(name)))
            .collect();
        format!("<ul class=\"legend\">\n{items}</ul>\n")
    }
}

fn class(forecast: Forecast) -> &'static str {
    match forecast {
        Forecast::NoModel => "none",
        Forecast::FirstModel => "first",
        Forecast::Mainstem => "mainstem",
    }
}

impl Plot<'_> {
    fn draw(&self) -> String {
        let bottom = TOP + self.height;
        let mut svg = Svg::new(WIDTH, bottom + 100.0, self.label);
        let (low, high) = self.domain();
        let y = Scale::linear((low, high), (bottom, TOP));
        self.axis.lines(&mut svg, (TOP, bottom));
        self.heights(&mut svg, &y, (low, high));
        self.axis
            .changes(self.summary, &mut svg, (TOP, bottom + 52.0));
        if self.until {
            self.until(&mut svg, bottom);
        }
        // Solid first: the broken lines of the others show on top of it where all agree.
        let forecasts: Vec<Forecast> = self.summary.accuracy.forecasts().collect();
        for forecast in forecasts.into_iter().rev() {
            let windows = self.summary.accuracy.windows.iter().zip(&self.tallies);
            let point = |(window, tally): (&crate::summary::Window, &Tally)| {
                Some((self.axis.at(window.end.time), y.at(tally.share(forecast)?)))
            };
            let points: Vec<(f64, f64)> = windows.filter_map(point).collect();
            svg.curve(&format!("curve {}", class(forecast)), &points);
        }
        self.hovers(&mut svg, bottom);
        self.marks(&mut svg, bottom);
        self.axis.names(&mut svg, bottom + 54.0);
        svg.finish()
    }

    /// Whole points of percent around all that is drawn.
    fn domain(&self) -> (f64, f64) {
        let shares = self.summary.accuracy.forecasts().flat_map(|forecast| {
            self.tallies
                .iter()
                .filter_map(move |tally| tally.share(forecast))
        });
        let (low, high) = shares.fold((1.0_f64, 0.0_f64), |(low, high), share| {
            (low.min(share), high.max(share))
        });
        let (low, high) = ((low * 100.0).floor() / 100.0, (high * 100.0).ceil() / 100.0);
        (low, high.max(low + 0.01))
    }

    fn heights(&self, svg: &mut Svg, y: &Scale, (low, high): (f64, f64)) {
        let points = ((high - low) * 100.0).round();
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|step| points / step <= 8.0)
            .unwrap_or(20.0);
        let mut percent = (low * 100.0 / step).ceil() * step;
        while percent <= high * 100.0 + 1e-9 {
            let at = y.at(percent / 100.0);
            svg.line("grid", (LEFT, at), (RIGHT, at));
            svg.text(
                "",
                (LEFT - 8.0, at + 4.0),
                Anchor::End,
                &format!("{percent:.0} %"),
            );
            percent += step;
        }
    }

    fn until(&self, svg: &mut Svg, bottom: f64) {
        if let Some(window) = self.summary.accuracy.first_model_leads_until() {
            let x = self.axis.at(window.end.time);
            svg.line("until", (x, TOP), (x, bottom));
        }
    }

    fn hovers(&self, svg: &mut Svg, bottom: f64) {
        for (window, tally) in self.summary.accuracy.windows.iter().zip(&self.tallies) {
            let (left, right) = (
                self.axis.at(window.start.time),
                self.axis.at(window.end.time),
            );
            let told: Vec<String> = self
                .summary
                .accuracy
                .forecasts()
                .map(|forecast| format!("{} {}", forecast.name(), percent(tally.share(forecast))))
                .collect();
            let title = format!(
                "up to {}: {} of {} rows",
                place(&window.end),
                told.join(", "),
                thousands(tally.rows)
            );
            svg.hover((left, TOP), (right - left, bottom - TOP), &title);
        }
    }

    /// Three strips: requested, promoted, rejected.
    fn marks(&self, svg: &mut Svg, bottom: f64) {
        let strips = [bottom + 12.0, bottom + 27.0, bottom + 42.0];
        for retrain in &self.summary.retrains {
            let version = retrain.version.as_deref().unwrap_or("no version");
            let reason = reason_name(retrain.reason).replace('_', " ");
            let title = format!(
                "retrain requested at {}, {reason}: {}",
                place(&retrain.requested),
                retrain.detail
            );
            svg.mark(
                "requested",
                Shape::Triangle,
                (self.axis.at(retrain.requested.time), strips[0]),
                &title,
            );
            let lost = !matches!(retrain.gate, Gate::Passed(_) | Gate::Open(_));
            if let Some(ended) = retrain.ended.filter(|_| lost) {
                let title = format!("{version} {} at {}", retrain.gate, place(&ended));
                svg.mark(
                    "rejected",
                    Shape::Cross,
                    (self.axis.at(ended.time), strips[2]),
                    &title,
                );
            }
        }
        for change in &self.summary.changes {
            let (class, shape, strip, how) = match change.kind {
                ChangeKind::Promoted => ("promoted", Shape::Disc, strips[1], "promoted"),
                ChangeKind::RolledBack => ("rejected", Shape::Cross, strips[2], "serves again"),
            };
            let title = format!(
                "{} {how} at {}: {}",
                change.version,
                place(&change.at),
                change.detail
            );
            svg.mark(class, shape, (self.axis.at(change.at.time), strip), &title);
        }
    }
}

fn place(at: &At) -> String {
    format!("row {} ({})", thousands(at.row), date(at.time))
}
