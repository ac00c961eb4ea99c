//! `mainstem-bench http`: posts to the gateway on a real broker, each answered once its records are durable, beside the raw
//! producer with acks=all, which sends the same records and waits for each batch alike.
//!
//! ```text
//! mainstem-bench http [--seconds 5] [--broker-cpus 0] [--gateway-cpus 1]
//! ```
//!
//! The gateway is a process of its own; clients and raw producer are this one. A client sends its next request when it has
//! the answer to the last one. Needs Java 17, Maven (once, for the jars) and `taskset`.

mod load;
mod raw;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use mainstem_host::gateway;

use crate::bed::{Bed, Server, store};
use crate::job;
use crate::table::within;
use load::Load;

/// Name of the project.
const PROJECT: &str = "posts";

/// Connections at once.
const CONNECTIONS: [usize; 3] = [1, 8, 32];

/// Records of a request.
const RECORDS: [usize; 3] = [1, 100, 1_000];

/// What is asked on the command line.
struct Asked {
    time: Duration,
    broker_cpus: String,
    gateway_cpus: String,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut asked = Asked {
            time: Duration::from_secs(5),
            broker_cpus: "0".into(),
            gateway_cpus: "1".into(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} wants a value"))?;
            match name.as_str() {
                "--seconds" => asked.time = Duration::from_secs(value.parse()?),
                "--broker-cpus" => asked.broker_cpus.clone_from(value),
                "--gateway-cpus" => asked.gateway_cpus.clone_from(value),
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(asked)
    }
}

/// How fast something was written, and how long its writers waited.
pub struct Measured {
    /// Records a second.
    rate: f64,
    /// Times of the requests, in their order.
    times: Vec<Duration>,
}

impl Measured {
    fn new(records: usize, took: Duration, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let rate = records as f64 / took.as_secs_f64();
        Measured { rate, times }
    }
}

/// The gateway that is measured, until it is killed; says its address.
pub fn serve(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [bootstrap, dir] = arguments else {
        return Err("http-gateway BOOTSTRAP DIR".into());
    };
    let store = store(bootstrap, Path::new(dir), PROJECT)?;
    let handle = gateway::start(&store, &gateway::Options::default())?;
    println!("{}", handle.address());
    loop {
        std::thread::park();
    }
}

pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(arguments)?;
    let bed = Bed::start(&asked.broker_cpus)?;
    let mut project = job::project()?;
    project.name = PROJECT.into();
    let store = bed.apply(&project)?;
    let dir = bed.dir().display().to_string();
    let told = ["http-gateway", bed.bootstrap(), &dir];
    let gateway = Server::start(&asked.gateway_cpus, &told)?;
    let load = Load::new(gateway.address(), RECORDS.into_iter().max().unwrap_or(1));
    // The publication begins, and the clients of both sides meet the broker.
    load.post(1, 1, Duration::from_secs(1))?;
    let mut posted = Vec::new();
    for records in RECORDS {
        for connections in CONNECTIONS {
            let (before, begun) = (load.appends()?, load.cpu(gateway.id())?);
            let measured = load.post(records, connections, asked.time)?;
            let cpu = load.cpu(gateway.id())? - begun;
            let appends = load.appends()? - before;
            posted.push((records, connections, measured, cpu, appends));
        }
    }
    drop(gateway);
    let rows = raw::Rows::read(&store, &project)?;
    let raw = raw::Raw::new(bed.bootstrap(), &store, &project, rows)?;
    raw.send(1, 1, Duration::from_secs(1))?;
    println!(
        "| Records a request | Connections | HTTP, records/s | p50, p99 ms | Requests an append | Gateway, CPU-s a million \
         | Raw producer, records/s | p50, p99 ms | Ratio |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (records, connections, http, cpu, appends) in posted {
        let other = raw.send(records, connections, asked.time)?;
        let (requests, all) = (http.times.len() as f64, http.times.len() * records);
        println!(
            "| {records} | {connections} | {:.0} | {:.1}, {:.1} | {:.1} | {:.1} | {:.0} | {:.1}, {:.1} | {:.2} |",
            http.rate,
            within(&http.times, 50),
            within(&http.times, 99),
            requests / appends,
            cpu / all as f64 * 1e6,
            other.rate,
            within(&other.times, 50),
            within(&other.times, 99),
            http.rate / other.rate,
        );
    }
    let rate = raw.pipelined(asked.time)?;
    println!("the raw producer, waiting for nothing but the end: {rate:.0} records/s");
    Ok(())
}
