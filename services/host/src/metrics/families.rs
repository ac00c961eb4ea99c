//! The figures and their names, by Prometheus' conventions: base units, `_total` for what only grows.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Names and values of labels.
pub(crate) type Labels<const N: usize> = [(&'static str, String); N];

type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// From a commit into a file of this machine to one that waits for a broker to come back.
const SHORT: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// From a snapshot alone to hours of refolding.
const LONG: [f64; 10] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];

/// Why a commit may not be known to be in the log.
pub(super) const REFUSALS: [&str; 4] = ["aborted", "fenced", "unknown", "log"];

fn short() -> Histogram {
    Histogram::new(SHORT)
}

/// What workers and prediction doors do.
pub(crate) struct Workers {
    pub turns: Counters<1>,
    pub read: Counters<2>,
    pub written: Counters<1>,
    pub written_bytes: Counters<1>,
    pub commit: Histogram,
    pub refused: Counters<1>,
    pub rebalances: Counter,
    pub gained: Counter,
    pub lost: Counter,
    pub owned: Gauge,
    pub stopped: Gauge,
    pub restore: Histogram,
    pub restoring: Gauge,
    pub turns_left: Gauges<1>,
    pub refolded_turns: Counter,
    pub refolded_records: Counter,
    pub not_restored: Counter,
    pub passed_over: Counter,
    pub quarantined: Counters<1>,
}

impl Workers {
    pub fn register(registry: &mut Registry) -> Self {
        let workers = Workers {
            turns: Family::default(),
            read: Family::default(),
            written: Family::default(),
            written_bytes: Family::default(),
            commit: short(),
            refused: Family::default(),
            rebalances: Counter::default(),
            gained: Counter::default(),
            lost: Counter::default(),
            owned: Gauge::default(),
            stopped: Gauge::default(),
            restore: Histogram::new(LONG),
            restoring: Gauge::default(),
            turns_left: Family::default(),
            refolded_turns: Counter::default(),
            refolded_records: Counter::default(),
            not_restored: Counter::default(),
            passed_over: Counter::default(),
            quarantined: Family::default(),
        };
        // Known beforehand, so that the first one is a step from 0.
        for reason in REFUSALS {
            drop(workers.refused.get_or_create(&[("reason", reason.into())]));
        }
        workers.register_turns(registry);
        workers.register_hands(registry);
        workers.register_restores(registry);
        workers
    }

    fn register_turns(&self, to: &mut Registry) {
        to.register("turns", "Turns that were committed", self.turns.clone());
        let help = "Records that committed turns took from their inputs";
        to.register("records_read", help, self.read.clone());
        let help = "Records that were committed, by topic";
        to.register("records_written", help, self.written.clone());
        let help = "Bytes of the records that were committed, by topic";
        let bytes = self.written_bytes.clone();
        to.register_with_unit("written", help, Unit::Bytes, bytes);
        let help = "Time that a commit took until the log held it";
        to.register_with_unit("commit", help, Unit::Seconds, self.commit.clone());
        let help = "Commits that are not known to be in the log: aborted, fenced, unknown, or refused by the log";
        to.register("commits_refused", help, self.refused.clone());
        let help =
            "Records that a task could not take and put to quarantine, by the topic that held them";
        to.register("records_quarantined", help, self.quarantined.clone());
    }

    fn register_hands(&self, to: &mut Registry) {
        let help = "Times that tasks came to a worker of this process or left one";
        to.register("rebalances", help, self.rebalances.clone());
        let help = "Tasks that came to a worker of this process";
        to.register("tasks_gained", help, self.gained.clone());
        let help = "Tasks that left a worker of this process";
        to.register("tasks_lost", help, self.lost.clone());
        let help = "Tasks that the workers of this process own";
        to.register("tasks_owned", help, self.owned.clone());
        let help = "Tasks that stand still, for a reason that the log lines tell";
        to.register("tasks_stopped", help, self.stopped.clone());
    }

    fn register_restores(&self, to: &mut Registry) {
        let help =
            "Time from the beginning of a task's restore until it stands after its last turn";
        to.register_with_unit("restore", help, Unit::Seconds, self.restore.clone());
        let help = "Tasks that are being restored";
        to.register("tasks_restoring", help, self.restoring.clone());
        let help = "Turns that a task which is being restored has still to fold";
        to.register("restore_turns_left", help, self.turns_left.clone());
        let help = "Turns that restores have folded again";
        to.register("restore_turns", help, self.refolded_turns.clone());
        let help = "Records of the turns that restores have folded again";
        to.register("restore_records", help, self.refolded_records.clone());
        let help = "Restores that did not come to their end";
        to.register("restores_failed", help, self.not_restored.clone());
        let help = "Snapshots that were of no use to a restore";
        to.register("snapshots_passed_over", help, self.passed_over.clone());
    }
}

/// What is asked over HTTP.
pub(crate) struct Http {
    pub requests: Counters<3>,
    pub time: Histograms<1>,
    pub problems: Counters<1>,
    pub accepted: Counters<1>,
    pub rejected: Counters<1>,
    pub appends: Counters<1>,
}

impl Http {
    pub fn register(to: &mut Registry) -> Self {
        let http = Http {
            requests: Family::default(),
            time: Family::new_with_constructor(short),
            problems: Family::default(),
            accepted: Family::default(),
            rejected: Family::default(),
            appends: Family::default(),
        };
        let version = Gauges::<1>::default();
        let label = [("version", env!("CARGO_PKG_VERSION").to_owned())];
        version.get_or_create(&label).set(1);
        to.register("build_info", "The version of this process", version);
        let help = "Requests that were answered";
        to.register("http_requests", help, http.requests.clone());
        let help = "Time from the head of a request until its answer";
        to.register_with_unit("http_request", help, Unit::Seconds, http.time.clone());
        let help = "Requests that were answered with a problem, by its type";
        to.register("http_problems", help, http.problems.clone());
        let help = "Records that were posted and are in the source's arrivals";
        to.register("source_records_accepted", help, http.accepted.clone());
        let help = "Records that were posted and are in the source's rejects";
        to.register("source_records_rejected", help, http.rejected.clone());
        let help =
            "Appends of posted records: one of all posts that came while another was under way";
        to.register("source_appends", help, http.appends.clone());
        http
    }
}
