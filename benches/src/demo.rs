//! The demo as a user runs it, on two cores where the system can be told so; then its log, audited and read.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_host::Store;
use mainstem_host::auditor::{self, Parts};
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::Partition;
use mainstem_kernel::worker::for_each;
use mainstem_rooms::machines::machine;

use crate::table::{ROUNDS, Table, median, timed};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub fn run(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let parent =
        std::env::var_os("MAINSTEM_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent)?;
    let home = dir.path().join("demo");
    let (seconds, memory) = watch(start(&home)?)?;
    let quarters: Vec<String> = memory
        .quarters()
        .iter()
        .map(|kib| megabytes(*kib))
        .collect();
    table.words(
        "the demo, audit and report included, on two cores",
        &format!("{seconds:.1} s"),
        "the limit that it promises: 60 s",
        &format!("{:.2}", seconds / 60.0),
    );
    table.words(
        "peak memory of the demo",
        &megabytes(memory.peak),
        &format!("most in each quarter of its time: {}", quarters.join(", ")),
        "",
    );
    audit(table, &home)
}

/// Builds the program and starts the demo.
fn start(home: &Path) -> Result<Child, Box<dyn Error>> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--release", "-p", "mainstem"])
        .status()?;
    if !built.success() {
        return Err(format!("cargo build: {built}").into());
    }
    let program = std::env::current_exe()?.with_file_name("mainstem");
    let two_cores = Command::new("taskset")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    let mut demo = match two_cores {
        true => Command::new("taskset"),
        false => Command::new(&program),
    };
    if two_cores {
        demo.args(["-c", "0,1"]).arg(&program);
    }
    Ok(demo
        .arg("demo")
        .arg("--dir")
        .arg(home)
        .stdout(Stdio::null())
        .spawn()?)
}

/// What a process used, in KiB.
struct Memory {
    peak: u64,
    looks: Vec<u64>,
}

impl Memory {
    fn quarters(&self) -> Vec<u64> {
        let quarter = self.looks.len().div_ceil(4).max(1);
        self.looks
            .chunks(quarter)
            .map(|part| part.iter().copied().max().unwrap_or(0))
            .collect()
    }
}

fn megabytes(kib: u64) -> String {
    format!("{} MB", kib / 1024)
}

fn watch(mut demo: Child) -> Result<(f64, Memory), Box<dyn Error>> {
    let start = Instant::now();
    let mut memory = Memory {
        peak: 0,
        looks: Vec::new(),
    };
    let status = format!("/proc/{}/status", demo.id());
    loop {
        if let Some(ended) = demo.try_wait()? {
            return match ended.success() {
                true => Ok((start.elapsed().as_secs_f64(), memory)),
                false => Err(format!("the demo ended with {ended}").into()),
            };
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        memory.peak = memory.peak.max(kib("VmHWM:").unwrap_or(0));
        memory.looks.push(kib("VmRSS:").unwrap_or(0));
        std::thread::sleep(LOOK);
    }
}

/// Recomputes every derived event of the log, and reads every record of it.
fn audit(table: &mut Table, home: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open(home)?;
    let project = store.project()?;
    let resolver = StoreResolver::new(store.blobs.clone());
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project: &project,
    };
    let (mut audits, mut reads, mut records) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (report, took) = timed(|| auditor::verify(&parts, &mut |_| {}));
        let report = report?;
        if !report.is_clean() {
            return Err(report.to_string().into());
        }
        audits.push(took);
        let (read, took) = timed(|| read_all(&store));
        records = read?;
        reads.push(took);
    }
    let rate = |times| records as f64 / median(times).as_secs_f64();
    table.rates(
        "audit of the demo's log: every derived event recomputed and compared, records",
        rate(audits),
        "a raw read of it",
        rate(reads),
    );
    Ok(())
}

fn read_all(store: &Store) -> Result<usize, Box<dyn Error>> {
    let (log, mut records) = (Arc::clone(&store.log), 0);
    let mut reader = log.reader()?;
    for topic in log.topics()? {
        for index in 0..topic.partitions {
            for_each(reader.as_mut(), &Partition::new(&topic.name, index), |_| {
                records += 1;
                Ok(())
            })?;
        }
    }
    Ok(records)
}
