//! A client beside its group's committed offsets: how fast they move, and what the process takes meanwhile.

use std::error::Error;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How often the offsets are looked at.
const STEP: Duration = Duration::from_millis(20);

/// How long a client may go without a commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks of a process's clock in a second, on every Linux.
const TICKS: f64 = 100.0;

/// What was measured of one client.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Records a second, from the start of the process.
    pub whole: f64,
    /// Records a second of the second half.
    pub half: f64,
    /// Processor time of a million records, start included, in seconds.
    pub cpu: f64,
    /// The same of the second half.
    pub half_cpu: f64,
    /// Most memory, in megabytes.
    pub memory: f64,
}

/// A process that dies with this value.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Records that a group has committed.
fn committed(consumer: &BaseConsumer, list: &TopicPartitionList) -> Result<i64, Box<dyn Error>> {
    let offsets = consumer.committed_offsets(list.clone(), PATIENCE)?;
    let offset = |element: &TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) => offset,
        _ => 0,
    };
    Ok(offsets.elements().iter().map(offset).sum())
}

/// Runs `command` on these cores until each of the groups has committed all `records` of the topic.
pub fn measure(
    bootstrap: &str,
    (topic, groups, partitions): (&str, &[&str], u32),
    records: usize,
    cpus: &str,
    command: &Command,
) -> Result<Measured, Box<dyn Error>> {
    let look = |group: &&str| -> Result<BaseConsumer, rdkafka::error::KafkaError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        config.set("group.id", *group).create()
    };
    let looks: Vec<BaseConsumer> = groups.iter().map(look).collect::<Result<_, _>>()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions as i32 - 1);
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", cpus]).arg(command.get_program());
    pinned.args(command.get_args());
    let begin = Instant::now();
    let mut client = Client(pinned.spawn()?);
    let pid = client.0.id();
    let (mut half, mut last, mut moved) = (None, 0, begin);
    loop {
        std::thread::sleep(STEP);
        if let Some(status) = client.0.try_wait()? {
            return Err(format!("the client ended after {last} records: {status}").into());
        }
        let mut done = records as i64;
        for group in &looks {
            done = done.min(committed(group, &list)?);
        }
        let now = Instant::now();
        if done > last {
            (last, moved) = (done, now);
        } else if now - moved > PATIENCE {
            return Err(format!("no commit for {PATIENCE:?} after {last} records").into());
        }
        if half.is_none() && done >= records as i64 / 2 {
            half = Some((done, now, processor_time(pid)?));
        }
        if done >= records as i64 {
            let (at, since, before) = half.ok_or("no half")?;
            let rest = (records as i64 - at) as f64;
            let (cpu, all) = (processor_time(pid)?, records as f64);
            return Ok(Measured {
                whole: all / (now - begin).as_secs_f64(),
                half: rest / (now - since).as_secs_f64(),
                cpu: cpu / all * 1e6,
                half_cpu: (cpu - before) / rest * 1e6,
                memory: peak_memory(pid)?,
            });
        }
    }
}

/// User and system time of a process, in seconds.
pub fn processor_time(pid: u32) -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    let field = |at: usize| -> Result<f64, Box<dyn Error>> {
        let field = after.split_whitespace().nth(at).ok_or("a short stat")?;
        Ok(field.parse()?)
    };
    Ok((field(11)? + field(12)?) / TICKS)
}

fn peak_memory(pid: u32) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kilobytes.ok_or("no VmHWM")?.parse::<f64>()? / 1024.0)
}
