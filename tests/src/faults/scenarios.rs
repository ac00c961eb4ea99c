//! What goes wrong.

use std::time::Duration;

use mainstem_test_broker::{Broker, Cluster, SmallDisk};

use super::fleet::Role;
use super::publication::Publication;
use super::{Dice, Happen, NAME, Outcome, Site};
use crate::history::{History, bytes};

/// Beyond the session (10 s) and the transaction's time-out (10 s, looked for each second or so).
const STOPPED: Duration = Duration::from_secs(26);

/// SIGKILL of services at random.
pub struct Kills {
    dice: Dice,
    left: usize,
    done: usize,
    next: Duration,
}

impl Kills {
    /// So many, drawn from a seed.
    #[must_use]
    pub fn new(kills: usize, seed: u64) -> Self {
        Kills {
            dice: Dice::new(seed),
            left: kills,
            done: 0,
            next: Duration::from_secs(1),
        }
    }
}

impl Happen for Kills {
    fn look(&mut self, site: &mut Site, since: Duration) {
        if self.left == 0 || since < self.next {
            return;
        }
        let index = self.dice.roll(site.fleet.members.len() as u64) as usize;
        site.fleet.kill(index);
        (self.left, self.done) = (self.left - 1, self.done + 1);
        self.next = since + Duration::from_millis(200 + self.dice.roll(1_800));
    }

    fn done(&self) -> String {
        format!("{} SIGKILLs", self.done)
    }
}

/// A processor is stopped for longer than its session and its transaction last, and goes on.
#[derive(Default)]
pub struct Zombie {
    stopped: Option<Duration>,
    gone_on: bool,
}

impl Happen for Zombie {
    fn look(&mut self, site: &mut Site, since: Duration) {
        let mut members = site.fleet.members.iter();
        let processor = members.position(|member| member.role == Role::Processor);
        let Some(index) = processor else { return };
        match self.stopped {
            None if since > Duration::from_secs(3) => {
                site.fleet.signal(index, true);
                self.stopped = Some(since);
            }
            Some(stopped) if !self.gone_on && since > stopped + STOPPED => {
                site.fleet.signal(index, false);
                self.gone_on = true;
            }
            _ => {}
        }
    }

    fn done(&self) -> String {
        let gone_on = if self.gone_on { ", SIGCONT" } else { "" };
        match self.stopped {
            None => "nothing".into(),
            Some(_) => format!(
                "SIGSTOP of a processor for {} s{gone_on}",
                STOPPED.as_secs()
            ),
        }
    }

    /// A publication that is through sooner waits for the zombie.
    fn end(&mut self, site: &mut Site) {
        if self.stopped.is_some() && !self.gone_on {
            std::thread::sleep(STOPPED);
            self.look(site, Duration::MAX);
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// The only broker is killed and started again.
pub struct Restarts<'b> {
    broker: &'b mut Broker,
    left: usize,
    done: usize,
    next: Duration,
}

impl<'b> Restarts<'b> {
    /// So often.
    #[must_use]
    pub fn new(broker: &'b mut Broker, times: usize) -> Self {
        Restarts {
            broker,
            left: times,
            done: 0,
            next: Duration::from_secs(4),
        }
    }
}

impl Happen for Restarts<'_> {
    fn look(&mut self, _: &mut Site, since: Duration) {
        if self.left > 0 && since > self.next {
            self.broker.restart().unwrap();
            (self.left, self.done) = (self.left - 1, self.done + 1);
            self.next = since + Duration::from_secs(12);
        }
    }

    fn done(&self) -> String {
        format!("{} kills of the broker", self.done)
    }
}

/// In a cluster of three the node that leads the turns is killed, stays away for a while, and comes back.
pub struct Leader<'c> {
    cluster: &'c mut Cluster,
    away: Duration,
    gone: Option<(usize, Duration)>,
    back: bool,
}

impl<'c> Leader<'c> {
    /// Away for so long.
    #[must_use]
    pub fn new(cluster: &'c mut Cluster, away: Duration) -> Self {
        Leader {
            cluster,
            away,
            gone: None,
            back: false,
        }
    }
}

impl Happen for Leader<'_> {
    fn look(&mut self, _: &mut Site, since: Duration) {
        match self.gone {
            None if since > Duration::from_secs(4) => {
                let leader = self.cluster.leader(&format!("{NAME}.turns"), 0).unwrap();
                self.cluster.kill(leader);
                self.gone = Some((leader, since));
            }
            Some((node, gone)) if !self.back && since > gone.saturating_add(self.away) => {
                self.cluster.restart(node).unwrap();
                self.back = true;
            }
            _ => {}
        }
    }

    fn done(&self) -> String {
        match (self.gone, self.back) {
            (None, _) => "nothing".into(),
            (_, true) => format!("the leader's node gone for {} s, back", self.away.as_secs()),
            (_, false) => "the leader's node gone to the end of the run".into(),
        }
    }

    /// A publication that is through sooner does without it; the next one has three nodes again.
    fn end(&mut self, _: &mut Site) {
        if let (Some((node, _)), false) = (self.gone, self.back) {
            self.cluster.restart(node).unwrap();
        }
    }
}

/// From one processor to four and back to two.
#[derive(Default)]
pub struct Scaling {
    step: usize,
    next: Duration,
}

/// What the operator does: one more, or one less.
const STEPS: [bool; 5] = [true, true, true, false, false];

impl Happen for Scaling {
    fn look(&mut self, site: &mut Site, since: Duration) {
        let Some(more) = STEPS.get(self.step) else {
            return;
        };
        if since < self.next {
            return;
        }
        match more {
            true => site.fleet.start(Role::Processor),
            false => site.fleet.scale_down(),
        }
        self.step += 1;
        self.next = since + Duration::from_secs(3);
    }

    fn done(&self) -> String {
        let steps = &STEPS[..self.step];
        let more = steps.iter().filter(|more| **more).count();
        format!("{more} processors more, {} less", steps.len() - more)
    }
}

/// The disk of the broker's log is full for a while.
pub struct FullDisk<'d> {
    disk: &'d mut SmallDisk,
    full: Option<Duration>,
    empty: bool,
}

impl<'d> FullDisk<'d> {
    /// Of this broker.
    #[must_use]
    pub fn new(disk: &'d mut SmallDisk) -> Self {
        FullDisk {
            disk,
            full: None,
            empty: false,
        }
    }
}

impl Happen for FullDisk<'_> {
    fn look(&mut self, _: &mut Site, since: Duration) {
        match self.full {
            None if since > Duration::from_secs(4) => {
                self.disk.fill().unwrap();
                self.full = Some(since);
            }
            Some(full) if !self.empty && since > full + Duration::from_secs(10) => {
                self.disk.empty().unwrap();
                self.disk.restart().unwrap();
                self.empty = true;
            }
            _ => {}
        }
    }

    fn done(&self) -> String {
        match (self.full, self.empty) {
            (None, _) => "nothing".into(),
            (Some(_), false) => "the broker's disk full".into(),
            (Some(_), true) => "the broker's disk full for 10 s, then room and a restart".into(),
        }
    }

    fn end(&mut self, site: &mut Site) {
        if self.full.is_some() && !self.empty {
            self.look(site, Duration::MAX);
        }
    }
}

/// A value of a schema that nobody registered.
const POISON: &[u8] = b"\x00\xff\xff\xff\xffno schema";

/// Records that nobody can read, between the good ones of a step: one that came between the rounds of a tick would be news,
/// and make one round more than an undisturbed run has.
#[derive(Default)]
pub struct Poison {
    put: usize,
    next: Duration,
    publication: Option<Publication>,
}

impl Poison {
    /// How many there are to be.
    pub const COUNT: usize = 3;
}

impl Happen for Poison {
    fn look(&mut self, site: &mut Site, since: Duration) {
        if self.put == Self::COUNT || since < self.next {
            return;
        }
        let Some(publication) = &mut self.publication else {
            self.publication = Publication::new(site.store().log);
            return;
        };
        let mut members = site.fleet.members.iter();
        let publisher = members.position(|member| member.role == Role::Publisher);
        let Some(publisher) = publisher.filter(|_| publication.await_step()) else {
            return;
        };
        // It stands still meanwhile, or the step would be through before the record is there.
        site.fleet.signal(publisher, true);
        let put = publication.goes_on() && publication.put(POISON).is_ok();
        site.fleet.signal(publisher, false);
        if put {
            self.put += 1;
            self.next = since + Duration::from_secs(1);
        }
    }

    fn end(&mut self, _site: &mut Site) {
        assert_eq!(self.put, Self::COUNT, "the publication was over too soon");
    }

    fn done(&self) -> String {
        format!("{} poisoned records", self.put)
    }

    /// Each is in the arrivals and, once, in the quarantine.
    fn set_aside(&self, found: &mut History) {
        let poison = bytes(Some(POISON));
        let mut counts = [0, 0];
        for ((partition, _), records) in &mut *found {
            let place = [".arrivals.market", ".quarantine"];
            let place = place.iter().position(|end| partition.topic.ends_with(end));
            let Some(place) = place else { continue };
            let before = records.len();
            records.retain(|record| place == 0 && !record.contains(&poison));
            counts[place] += before - records.len();
        }
        assert_eq!(counts, [self.put; 2], "poison and quarantine");
        found.retain(|_, records| !records.is_empty());
    }
}

/// How long a run is, and how much goes wrong in it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Weeks of data after the first training.
    pub weeks: usize,
    /// SIGKILLs of services.
    pub kills: usize,
    /// What the kills are drawn from.
    pub seed: u64,
}

/// The names of all scenarios.
pub const SCENARIOS: [&str; 7] = [
    "kills", "zombie", "broker", "leader", "scaling", "disk", "poison",
];

/// Plays a scenario on brokers of its own; nothing where this machine cannot have it.
///
/// # Panics
/// Where the brokers do not start, or the run does not come to its end.
#[must_use]
pub fn play(name: &str, size: Size) -> Option<Outcome> {
    let run = |brokers: &str, processors, happen: &mut dyn Happen| {
        Site::new(brokers, size.weeks, processors).play(size.weeks, happen)
    };
    Some(match name {
        "leader" => {
            let mut cluster = Cluster::start().unwrap();
            let brokers = cluster.bootstrap().to_owned();
            let away = Duration::from_secs(60);
            run(&brokers, 2, &mut Leader::new(&mut cluster, away))
        }
        "disk" => {
            let mut disk = SmallDisk::start(400).unwrap()?;
            let brokers = disk.bootstrap();
            run(&brokers, 1, &mut FullDisk::new(&mut disk))
        }
        _ => {
            let mut broker = Broker::start().unwrap();
            let brokers = broker.bootstrap().to_owned();
            match name {
                "kills" => run(&brokers, 2, &mut Kills::new(size.kills, size.seed)),
                "zombie" => run(&brokers, 2, &mut Zombie::default()),
                "broker" => run(
                    &brokers,
                    1,
                    &mut Restarts::new(&mut broker, 1 + size.kills / 20),
                ),
                "scaling" => run(&brokers, 1, &mut Scaling::default()),
                "poison" => run(&brokers, 1, &mut Poison::default()),
                other => panic!("no scenario {other}"),
            }
        }
    })
}
