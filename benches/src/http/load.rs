//! Clients of the gateway: a thread and a connection each.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ureq::Agent;

use super::Measured;
use crate::bed::metrics_of;
use crate::job;
use crate::kafka::measure::processor_time;

/// Different bodies of one size: nothing is gained by sending a record twice.
const BODIES: usize = 8;

/// The load of one gateway.
pub struct Load {
    address: SocketAddr,
    /// The job's records as JSON.
    records: Vec<String>,
}

impl Load {
    /// Of requests with so many records at most.
    pub fn new(address: SocketAddr, most: usize) -> Self {
        let records = job::arrivals(BODIES * most).map(|arrival| {
            let (entity, time) = (arrival.key(), arrival.time.0);
            let mut text = format!("{{\"entity\":\"{entity}\",\"event_time\":{time}");
            for (number, value) in (1..).zip(arrival.columns) {
                let _ = write!(text, ",\"f{number}\":{value}");
            }
            text + "}"
        });
        Load {
            address,
            records: records.collect(),
        }
    }

    /// Posts so many records a request over so many connections, for that long.
    pub fn post(
        &self,
        records: usize,
        connections: usize,
        time: Duration,
    ) -> Result<Measured, Box<dyn Error>> {
        let bodies: Vec<String> = self
            .records
            .chunks_exact(records)
            .take(BODIES)
            .map(|chunk| format!("[{}]", chunk.join(",")))
            .collect();
        let url = format!("http://{}/v1/sources/{}", self.address, job::NAME);
        let wanted = format!("\"accepted\":{records},");
        let begun = Instant::now();
        let client = || -> Result<Vec<Duration>, String> {
            let agent = Agent::new_with_defaults();
            let mut times = Vec::new();
            for body in bodies.iter().cycle() {
                let sent = Instant::now();
                if sent - begun >= time {
                    break;
                }
                let request = agent.post(&url).header("content-type", "application/json");
                let mut answer = request.send(body).map_err(|error| error.to_string())?;
                let told = answer.body_mut().read_to_string();
                let told = told.map_err(|error| error.to_string())?;
                times.push(sent.elapsed());
                if !told.contains(&wanted) {
                    return Err(format!("the gateway answered {told}"));
                }
            }
            Ok(times)
        };
        let times = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
            let mut times = Vec::new();
            for client in clients {
                times.extend(client.join().map_err(|_| "a client panicked")??);
            }
            Ok::<_, Box<dyn Error>>(times)
        })?;
        Ok(Measured::new(times.len() * records, begun.elapsed(), times))
    }

    /// Appends of the gateway so far, as its metrics say.
    pub fn appends(&self) -> Result<f64, Box<dyn Error>> {
        let page = metrics_of(self.address)?;
        let find = |line: &str| {
            let rest = line.strip_prefix("mainstem_source_appends_total")?;
            rest.rsplit(' ').next()?.parse().ok()
        };
        Ok(page.lines().find_map(find).unwrap_or(0.0))
    }

    /// Processor time of the gateway so far, in seconds.
    pub fn cpu(&self, pid: u32) -> Result<f64, Box<dyn Error>> {
        processor_time(pid)
    }
}
