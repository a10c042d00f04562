//! Seeded draws: the same seed gives the same choice on every machine, in any order, on any thread.

use sha2::{Digest, Sha256};

/// A number that looks random and depends only on the seed, the purpose and the index.
pub fn draw(seed: u64, purpose: &str, index: i64) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(index.to_le_bytes());
    hasher.update(purpose.as_bytes());
    let digest = hasher.finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

/// Maps a draw to `0..bound` (0 where `bound` is 0), by multiplication instead of remainder: the
/// bias is below 2⁻⁶⁴ × bound. Source: Lemire, "Fast random integer generation in an interval" (2019).
pub fn below(draw: u64, bound: usize) -> usize {
    ((u128::from(draw) * bound as u128) >> 64) as usize
}

/// Maps a draw to `[0, 1)`.
pub fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_and_repeatable() {
        assert_eq!(draw(1, "a", 2), draw(1, "a", 2));
        assert_ne!(draw(1, "a", 2), draw(1, "b", 2));
        assert_ne!(draw(1, "a", 2), draw(2, "a", 2));
        let mean = (0..10_000).map(|index| unit(draw(7, "mean", index))).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((0..1000).all(|index| below(draw(7, "below", index), 3) < 3));
        assert_eq!(below(u64::MAX, 0), 0);
    }
}
