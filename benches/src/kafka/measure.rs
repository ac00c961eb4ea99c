//! A client beside its group's committed offsets: how fast they move, and what the process takes meanwhile.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::bed::Process;

/// How often the offsets are looked at.
const STEP: Duration = Duration::from_millis(20);

/// How long a client may go without a commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks of a process's clock in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Parts of a run of which each is measured.
const PARTS: usize = 10;

/// What was measured of one client.
#[derive(Clone, Debug)]
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
    /// Each tenth of the records.
    pub tenths: Vec<Tenth>,
}

/// A tenth of a run, or several that went by between two looks.
#[derive(Clone, Copy, Debug)]
pub struct Tenth {
    /// Records taken at its end.
    pub until: i64,
    /// Records a second.
    pub rate: f64,
    /// Processor time of a million records, in seconds.
    pub cpu: f64,
    /// Memory at its end, in megabytes.
    pub memory: f64,
}

/// What the clients take: the records of a topic, in the groups' names.
pub struct Taking<'a> {
    /// `host:port`.
    pub bootstrap: &'a str,
    /// The topic and its partitions.
    pub topic: (&'a str, u32),
    /// The groups of one client: what all of them have committed is taken.
    pub groups: &'a [&'a str],
    /// Records of the topic.
    pub records: usize,
}

/// Told of the records of each partition that are taken.
pub type Moved<'a> = dyn FnMut(&[i64]) -> Result<(), Box<dyn Error>> + 'a;

/// What a look at a client saw.
struct Look {
    done: i64,
    at: Instant,
    cpu: f64,
    memory: f64,
}

impl Measured {
    /// The figures of a table: what, how much, in which unit.
    pub fn figures(&self) -> [(&'static str, f64, &'static str); 5] {
        [
            ("records, whole run", self.whole / 1e3, "k/s"),
            ("records, second half", self.half / 1e3, "k/s"),
            ("processor time a million, whole run", self.cpu, "s"),
            ("processor time a million, second half", self.half_cpu, "s"),
            ("peak memory", self.memory, "MB"),
        ]
    }
}

impl Look {
    fn take(done: i64, pid: u32) -> Result<Look, Box<dyn Error>> {
        let (cpu, memory) = (processor_time(pid)?, memory(pid, "VmRSS:")?);
        Ok(Look {
            done,
            at: Instant::now(),
            cpu,
            memory,
        })
    }

    /// Records a second, and processor time of a million, since another look.
    fn since(&self, before: &Look) -> (f64, f64) {
        let records = (self.done - before.done) as f64;
        let seconds = (self.at - before.at).as_secs_f64();
        (records / seconds, (self.cpu - before.cpu) / records * 1e6)
    }
}

/// Records of each partition that a group has committed.
fn committed(
    consumer: &BaseConsumer,
    list: &TopicPartitionList,
) -> Result<Vec<i64>, Box<dyn Error>> {
    let offsets = consumer.committed_offsets(list.clone(), PATIENCE)?;
    let offset = |element: &TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) => offset,
        _ => 0,
    };
    Ok(offsets.elements().iter().map(offset).collect())
}

/// Runs `command` on these cores until each of the groups has committed all records of the topic; `moved` is called
/// whenever there are more.
pub fn measure(
    taking: &Taking<'_>,
    cpus: &str,
    command: &Command,
    moved: &mut Moved<'_>,
) -> Result<Measured, Box<dyn Error>> {
    let look = |group: &&str| -> Result<BaseConsumer, rdkafka::error::KafkaError> {
        let mut config = ClientConfig::new();
        // Who asks for stable offsets alone waits until no transaction is open, and one is, all the time.
        config.set("isolation.level", "read_uncommitted");
        config.set("bootstrap.servers", taking.bootstrap);
        config.set("group.id", *group).create()
    };
    let groups: Vec<BaseConsumer> = taking.groups.iter().map(look).collect::<Result<_, _>>()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_range(taking.topic.0, 0, taking.topic.1 as i32 - 1);
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", cpus]).arg(command.get_program());
    pinned.args(command.get_args());
    let begin = Instant::now();
    let mut client = Process(pinned.spawn()?);
    let pid = client.0.id();
    let all = taking.records as i64;
    let (mut looks, mut last, mut since) = (Vec::new(), 0, begin);
    looks.push(Look {
        done: 0,
        at: begin,
        cpu: 0.0,
        memory: 0.0,
    });
    while looks.len() <= PARTS {
        std::thread::sleep(STEP);
        if let Some(status) = client.0.try_wait()? {
            return Err(format!("the client ended after {last} records: {status}").into());
        }
        let mut taken = vec![i64::MAX; taking.topic.1 as usize];
        for group in &groups {
            let of_group = committed(group, &list)?;
            taken
                .iter_mut()
                .zip(of_group)
                .for_each(|(least, of)| *least = of.min(*least));
        }
        let done = taken.iter().sum();
        while looks.len() <= PARTS && done >= all * looks.len() as i64 / PARTS as i64 {
            looks.push(Look::take(done, pid)?);
        }
        if done > last {
            (last, since) = (done, Instant::now());
            moved(&taken)?;
        } else if since.elapsed() > PATIENCE {
            return Err(format!("no commit for {PATIENCE:?} after {last} records").into());
        }
    }
    measured(&looks, pid)
}

fn measured(looks: &[Look], pid: u32) -> Result<Measured, Box<dyn Error>> {
    let tenth = |pair: &[Look]| {
        let (rate, cpu) = pair[1].since(&pair[0]);
        let Look { done, memory, .. } = pair[1];
        (done > pair[0].done).then_some(Tenth {
            until: done,
            rate,
            cpu,
            memory,
        })
    };
    let (begin, middle, end) = (&looks[0], &looks[PARTS / 2], &looks[PARTS]);
    let (whole, cpu) = end.since(begin);
    let (half, half_cpu) = end.since(middle);
    Ok(Measured {
        whole,
        half,
        cpu,
        half_cpu,
        memory: memory(pid, "VmHWM:")?,
        tenths: looks.windows(2).filter_map(tenth).collect(),
    })
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

/// What the system says of a process's memory under that name, in megabytes.
fn memory(pid: u32, name: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kilobytes = kilobytes.ok_or_else(|| format!("no {name}"))?;
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}
