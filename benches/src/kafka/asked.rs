//! What is asked on the command line.

use std::error::Error;
use std::num::NonZeroUsize;

/// Records between two ticks of log time: 1,000 s of event time, five windows of the monitor.
const TICK: usize = 1_000_000;

/// Records of a round before those that are measured: some fifteen seconds of one client, a minute of the other.
const WARM_UP: usize = 10_000_000;

/// The options of a run.
#[derive(Clone)]
pub struct Asked {
    pub records: usize,
    pub rounds: usize,
    pub streams: bool,
    /// Records of a turn at most; 0 for the product's own setting.
    pub turn: usize,
    /// Threads of the processor.
    pub threads: usize,
    /// Records between two ticks.
    pub tick: usize,
    /// Rows are deleted while the run goes on, all but the last: those alone are compared.
    pub discard: bool,
    pub broker_cpus: String,
    pub client_cpus: String,
}

impl Asked {
    /// Reads the arguments; the cores are the broker's and the client's where none are given.
    pub fn read(arguments: &[String], cpus: [&str; 2]) -> Result<Self, Box<dyn Error>> {
        let mut asked = Asked {
            records: 10_000_000,
            rounds: 1,
            streams: true,
            turn: 0,
            threads: 1,
            tick: TICK,
            discard: false,
            broker_cpus: cpus[0].into(),
            client_cpus: cpus[1].into(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{name} wants a value"));
            match name.as_str() {
                "--records" => asked.records = value()?.parse()?,
                "--rounds" => asked.rounds = value()?.parse()?,
                "--turn" => asked.turn = value()?.parse()?,
                "--threads" => asked.threads = value()?.parse()?,
                "--tick" => asked.tick = value()?.parse::<NonZeroUsize>()?.get(),
                "--without-streams" => asked.streams = false,
                "--discard" => asked.discard = true,
                "--broker-cpus" => asked.broker_cpus = value()?.clone(),
                "--client-cpus" => asked.client_cpus = value()?.clone(),
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(asked)
    }

    /// The same for a round that warms the broker up.
    pub fn warm_up(&self) -> Asked {
        let records = self.records.min(WARM_UP);
        Asked {
            records,
            ..self.clone()
        }
    }
}
