//! The job that Mainstem and Kafka Streams both do: its project, its records, and its features computed the plain way.
//!
//! The records are those of a generator with a fixed seed: 81 bytes each, of a thousand entities, the busiest a hundred
//! times as busy as the others.

use std::error::Error;

use mainstem_columns::put::{put_double, put_long, put_text};
use mainstem_schemas::definition::Project;
use mainstem_schemas::{Millis, wire};

/// Event time of the first record; the others follow by a millisecond.
pub const BEGIN: Millis = Millis(1_760_000_000_000);
/// Name of the source and of the view.
pub const NAME: &str = "job";
/// Entities.
pub const ENTITIES: usize = 1000;
/// Features of a row.
pub const FEATURES: usize = 10;
/// Records of an entity that its windows reach over.
const WINDOW: usize = 48;

/// The project, as its file says.
pub fn project() -> Result<Project, Box<dyn Error>> {
    mainstem_project::parse("job.yaml", include_str!("../job.yaml")).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        told.join("\n").into()
    })
}

/// S. Vigna's SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// A record.
pub struct Arrival {
    /// Whom it is about, from 0: `e0000`.
    pub entity: usize,
    /// When it happened.
    pub time: Millis,
    /// `f1` to `f8`, each of a standard normal distribution.
    pub columns: [f64; 8],
}

impl Arrival {
    /// Key of the record.
    pub fn key(&self) -> String {
        format!("e{:04}", self.entity)
    }

    /// Appends its value.
    pub fn put_value(&self, schema: u32, out: &mut Vec<u8>) {
        wire::put_header(out, schema);
        put_text(out, &self.key());
        put_long(out, self.time.0);
        self.columns.iter().for_each(|x| put_double(out, *x));
    }
}

/// So many records; `f3` is shifted by 1.5 in the second half.
pub fn arrivals(count: usize) -> impl Iterator<Item = Arrival> {
    let mut random = SplitMix(20_261_121);
    (0..count).map(move |at| {
        let u = random.unit();
        let mut columns = [0.0; 8];
        for pair in columns.chunks_exact_mut(2) {
            let radius = (-2.0 * random.unit().ln()).sqrt();
            let angle = std::f64::consts::TAU * random.unit();
            pair.copy_from_slice(&[radius * angle.cos(), radius * angle.sin()]);
        }
        columns[2] += if at >= count / 2 { 1.5 } else { 0.0 };
        Arrival {
            entity: (ENTITIES as f64 * u * u) as usize,
            time: Millis(BEGIN.0 + at as i64),
            columns,
        }
    })
}

/// The features of one entity, computed as Kafka Streams' job does: over the slots of a ring, in their order.
#[derive(Clone, Default)]
pub struct Plain {
    seen: usize,
    ewma: f64,
    rings: [Vec<f64>; 2],
}

impl Plain {
    /// The features of the entity's next record, in the view's order.
    pub fn features(&mut self, columns: &[f64; 8]) -> [f64; FEATURES] {
        let slot = self.seen % WINDOW;
        let lag = match self.seen {
            0 => f64::NAN,
            seen => self.rings[0][(seen - 1) % WINDOW],
        };
        self.ewma = match self.seen {
            0 => columns[2],
            _ => 0.1 * columns[2] + (1.0 - 0.1) * self.ewma,
        };
        for (ring, x) in self.rings.iter_mut().zip(columns) {
            match ring.get_mut(slot) {
                Some(place) => *place = *x,
                None => ring.push(*x),
            }
        }
        self.seen += 1;
        let [a, b, c, d] = statistics(&self.rings[0]);
        let [e, f, g, h] = statistics(&self.rings[1]);
        [a, b, c, d, e, f, g, h, lag, self.ewma]
    }
}

/// Mean, population standard deviation from sum and sum of squares, smallest, largest.
fn statistics(values: &[f64]) -> [f64; 4] {
    let n = values.len() as f64;
    let (sum, squares) = values
        .iter()
        .fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = sum / n;
    let variance = (squares / n - mean * mean).max(0.0);
    [mean, variance.sqrt(), low, high]
}
