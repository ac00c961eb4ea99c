//! Three nodes, each broker and controller: what replication and elections are for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::node::{Node, Plan};
use crate::process::{self, START};
use crate::{again, fetch_jars, free_ports};

/// A node that is gone is noticed within 3 s, not 9, and its successor elected within a second or two.
const QUICK: &str = "\
    broker.session.timeout.ms=3000\n\
    broker.heartbeat.interval.ms=500\n\
    replica.lag.time.max.ms=5000\n\
    controller.quorum.election.timeout.ms=500\n\
    controller.quorum.fetch.timeout.ms=1500\n";

/// A cluster of three nodes. Topics have three replicas and need two; so do Kafka's own.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    bootstrap: String,
}

impl Cluster {
    /// Starts three nodes on free ports, and waits until they know each other.
    ///
    /// # Errors
    /// Where a node does not start; the text says why.
    pub fn start() -> Result<Cluster, String> {
        let libs = fetch_jars()?;
        again(|| {
            let ports = free_ports(6)?;
            let (brokers, controllers) = ports.split_at(3);
            let format = |number: usize| {
                let plan = Plan {
                    number,
                    listeners: &[("PLAINTEXT", "PLAINTEXT", brokers[number - 1])],
                    controllers,
                    properties: QUICK,
                    format: &[],
                    memory: "-Xmx384m",
                };
                let mut node = Node::format(&libs, Node::directory()?, &plan, Vec::new())?;
                node.spawn()?;
                Ok(node)
            };
            let nodes: Result<Vec<Node>, String> = std::thread::scope(|scope| {
                let format = &format;
                let all: Vec<_> = (1..=3)
                    .map(|number| scope.spawn(move || format(number)))
                    .collect();
                let lost = |_| Err("a node could not be formatted".to_owned());
                let ended = all.into_iter().map(|node| node.join().unwrap_or_else(lost));
                ended.collect()
            });
            let addresses: Vec<String> = brokers.iter().map(SocketAddr::to_string).collect();
            let mut cluster = Cluster {
                nodes: nodes?,
                bootstrap: addresses.join(","),
            };
            for node in &mut cluster.nodes {
                node.await_answer()?;
            }
            cluster.await_brokers()?;
            Ok(cluster)
        })
    }

    /// `host:port` of all nodes.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `host:port` of one node.
    #[must_use]
    pub fn address(&self, node: usize) -> String {
        self.nodes[node].address.to_string()
    }

    /// The node (0 to 2) that leads a partition; waits until there is one.
    ///
    /// # Errors
    /// Where no node says so in time.
    pub fn leader(&self, topic: &str, partition: u32) -> Result<usize, String> {
        let named = |metadata: Metadata| metadata.leader(topic, partition);
        self.until(|cluster| cluster.ask(Some(topic)).and_then(named))
            .ok_or_else(|| format!("nobody leads {topic}/{partition}"))
    }

    /// How many replicas of a partition are in step.
    ///
    /// # Errors
    /// Where no node says so in time.
    pub fn in_step(&self, topic: &str, partition: u32) -> Result<usize, String> {
        let count = |metadata: Metadata| {
            let found = metadata.partitions.iter();
            let mut found = found.filter(|p| p.topic == topic && p.index == partition);
            found.next().map(|found| found.in_step)
        };
        self.until(|cluster| cluster.ask(Some(topic)).and_then(count))
            .ok_or_else(|| format!("nobody knows {topic}/{partition}"))
    }

    /// Kills a node as a power cut would; its data stay.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a node again (killing it first, if it runs), and waits until the others know it.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn restart(&mut self, node: usize) -> Result<(), String> {
        self.nodes[node].spawn()?;
        self.nodes[node].await_answer()?;
        self.await_brokers()
    }

    /// Stops a node without ending it, as a virtual machine's pause would.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn suspend(&self, node: usize) -> Result<(), String> {
        self.nodes[node].suspend()
    }

    /// Lets a stopped node go on.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resume(&self, node: usize) -> Result<(), String> {
        self.nodes[node].resume()
    }

    fn await_brokers(&self) -> Result<(), String> {
        let running = self.nodes.iter().filter(|node| node.runs()).count();
        self.until(|cluster| {
            let known = cluster.ask(None)?.brokers;
            (known >= running).then_some(())
        })
        .ok_or_else(|| "the nodes of the cluster do not find each other".to_owned())
    }

    fn until<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + START;
        loop {
            match look(self) {
                None if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                found => return found,
            }
        }
    }

    /// Asks the first node that answers about a topic, or about all.
    fn ask(&self, topic: Option<&str>) -> Option<Metadata> {
        let mut body = u32::from(topic.is_some()).to_be_bytes().to_vec();
        if let Some(topic) = topic {
            body.extend(u16::try_from(topic.len()).ok()?.to_be_bytes());
            body.extend(topic.as_bytes());
        }
        let running = self.nodes.iter().filter(|node| node.runs());
        // Request 3 is for metadata.
        let answer = running
            .filter_map(|node| process::ask(node.address, 3, &body))
            .next()?;
        Metadata::read(&mut Bytes(&answer))
    }
}

/// What a broker knows of the others.
struct Metadata {
    brokers: usize,
    partitions: Vec<Led>,
}

struct Led {
    topic: String,
    index: u32,
    leader: i32,
    in_step: usize,
}

impl Metadata {
    fn read(bytes: &mut Bytes<'_>) -> Option<Metadata> {
        let brokers = bytes.count()?;
        for _ in 0..brokers {
            bytes.int()?;
            bytes.text()?;
            bytes.int()?;
        }
        let mut partitions = Vec::new();
        for _ in 0..bytes.count()? {
            bytes.take::<2>()?;
            let topic = bytes.text()?;
            for _ in 0..bytes.count()? {
                bytes.take::<2>()?;
                let (index, leader) = (bytes.int()?, bytes.int()?);
                for _ in 0..bytes.count()? {
                    bytes.int()?;
                }
                let in_step = bytes.count()?;
                for _ in 0..in_step {
                    bytes.int()?;
                }
                partitions.push(Led {
                    topic: topic.clone(),
                    index: u32::try_from(index).ok()?,
                    leader,
                    in_step,
                });
            }
        }
        Some(Metadata {
            brokers,
            partitions,
        })
    }

    /// The leader's place among the nodes, which are numbered from 1.
    fn leader(&self, topic: &str, partition: u32) -> Option<usize> {
        let mut found = self.partitions.iter();
        let found = found.find(|p| p.topic == topic && p.index == partition)?;
        usize::try_from(found.leader).ok()?.checked_sub(1)
    }
}

/// Reads Kafka's protocol.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn int(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.int()?).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(u16::from_be_bytes(self.take()?));
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

    #[test]
    fn a_partition_moves_to_another_node_and_its_replicas_come_back() {
        if !crate::ours() {
            return;
        }
        let mut cluster = Cluster::start().unwrap();
        let bootstrap = cluster.bootstrap().to_owned();
        let create = ["--bootstrap-server", &bootstrap, "--create", "--topic", "t"];
        crate::tool(TOPICS, &create, "").unwrap();
        assert_eq!(cluster.in_step("t", 0).unwrap(), 3);
        let before = cluster.leader("t", 0).unwrap();
        cluster.kill(before);
        let deadline = Instant::now() + START;
        while cluster.leader("t", 0).unwrap() == before {
            assert!(Instant::now() < deadline, "nobody else leads");
        }
        let after = cluster.leader("t", 0).unwrap();
        cluster.suspend(after).unwrap();
        assert!(process::answers(cluster.nodes[after].address).is_none());
        cluster.resume(after).unwrap();
        cluster.restart(before).unwrap();
        while cluster.in_step("t", 0).unwrap() < 3 {
            assert!(Instant::now() < deadline, "a replica stays behind");
        }
    }
}
