//! The sums of a resize: pixels times weights of 22 bits, exact in 32 bits.
//!
//! A weight is taken apart into what stands above and below its bit 11. Each part times a level fits a
//! multiplication of 16 bits, and processors do eight of those, and add two and two, in one step.

use wide::{i16x8, i32x4, u8x16};

use super::{BITS, Taps};

/// How many bytes behind a line may be read (and count for nothing).
pub(super) const BEYOND: usize = 24;

/// The bit at which weights are taken apart.
const APART: u32 = 11;

/// The weights of one pixel of the result.
pub(super) struct Kernel {
    first: usize,
    end: usize,
    pairs: Vec<Pair>,
}

/// The weights of two neighbours in turn, above and below bit 11. The second is 0 behind the last one.
struct Pair {
    above: i16x8,
    below: i16x8,
}

impl Kernel {
    pub(super) fn of(taps: &Taps) -> Self {
        let pair = |weights: &[i32]| {
            let weights = [weights[0], weights.get(1).copied().unwrap_or(0)];
            let all =
                |part: fn(i32) -> i32| i16x8::new(std::array::from_fn(|at| part(weights[at % 2]) as i16));
            Pair { above: all(|weight| weight >> APART), below: all(|weight| weight & ((1 << APART) - 1)) }
        };
        let end = taps.first + taps.weights.len();
        Self { first: taps.first, end, pairs: taps.weights.chunks(2).map(pair).collect() }
    }

    /// The first pixel that it weighs.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The first pixel behind those that it weighs.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The pixel that this makes of a line of pixels.
    pub(super) fn across(&self, line: &[u8]) -> [u8; 3] {
        let mut sums = Sums::new();
        for (pair, pixels) in self.pairs.iter().zip(line[self.first * 3..].windows(19).step_by(6)) {
            // Red beside the neighbour's red, and so on.
            sums.add(u8x16::unpack_low(sixteen(pixels), sixteen(&pixels[3..])), pair);
        }
        let [red, green, blue, _] = sums.levels();
        [red, green, blue]
    }

    /// The line that this makes of lines of so many bytes, from its first one on.
    pub(super) fn down(&self, lines: &[u8], length: usize, target: &mut [u8]) {
        let (targets, rest) = target.as_chunks_mut::<16>();
        let whole = targets.len() * 16;
        for (number, target) in targets.iter_mut().enumerate() {
            let mut sums = [Sums::new(); 4];
            for (pair, lines) in self.pairs.iter().zip(lines.chunks(2 * length)) {
                let first = sixteen(&lines[number * 16..]);
                let second = lines.get(length + number * 16..).map_or(first, sixteen);
                let (low, high) = (u8x16::unpack_low(first, second), u8x16::unpack_high(first, second));
                let [a, b, c, d] = &mut sums;
                a.add(low, pair);
                b.add_high(low, pair);
                c.add(high, pair);
                d.add_high(high, pair);
            }
            for (target, sums) in target.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
                *target = sums.levels();
            }
        }
        for (at, target) in rest.iter_mut().enumerate() {
            let mut sums = Sums::new();
            for (pair, lines) in self.pairs.iter().zip(lines.chunks(2 * length)) {
                let levels = [0, length].map(|line| lines.get(line + whole + at).copied().unwrap_or(0));
                sums.add(u8x16::new(std::array::from_fn(|place| levels[place % 2])), pair);
            }
            *target = sums.levels()[0];
        }
    }
}

/// Four sums, above and below bit 11.
#[derive(Clone, Copy)]
struct Sums {
    above: i32x4,
    below: i32x4,
}

impl Sums {
    fn new() -> Self {
        Self { above: i32x4::ZERO, below: i32x4::splat(1 << (BITS - 1)) }
    }

    /// Adds the first four pairs of levels, each times its pair of weights.
    fn add(&mut self, levels: u8x16, pair: &Pair) {
        self.add_words(i16x8::from_u8x16_low(levels), pair);
    }

    /// Adds the last four pairs.
    fn add_high(&mut self, levels: u8x16, pair: &Pair) {
        self.add_words(i16x8::from_u8x16_high(levels), pair);
    }

    fn add_words(&mut self, levels: i16x8, pair: &Pair) {
        self.above += levels.dot(pair.above);
        self.below += levels.dot(pair.below);
    }

    fn levels(self) -> [u8; 4] {
        let sums: i32x4 = ((self.above << APART) + self.below) >> BITS;
        sums.to_array().map(|sum| sum.clamp(0, 255) as u8)
    }
}

/// The first sixteen bytes, of which there are so many.
fn sixteen(bytes: &[u8]) -> u8x16 {
    u8x16::new(bytes.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the sums in 64 bits.
        #[test]
        fn sums_are_exact(
            levels in proptest::collection::vec(any::<u8>(), 3 * 41 * 20),
            first in 0usize..10,
            weights in proptest::collection::vec(-400_000i32..900_000, 1..=10),
        ) {
            let kernel = Kernel::of(&Taps { first, weights: weights.clone() });
            let wanted = |at: usize, step: usize| {
                let sum: i64 = weights
                    .iter()
                    .enumerate()
                    .map(|(place, weight)| i64::from(*weight) * i64::from(levels[(first + place) * step + at]))
                    .sum();
                ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
            };
            let mut line = levels[..3 * 20].to_vec();
            line.resize(3 * 20 + BEYOND, 77);
            prop_assert_eq!(kernel.across(&line), [wanted(0, 3), wanted(1, 3), wanted(2, 3)]);
            for length in [3 * 16, 3 * 41, 3] {
                let mut target = vec![0; length];
                kernel.down(&levels[first * length..length * 20], length, &mut target);
                let all: Vec<u8> = (0..length).map(|at| wanted(at, length)).collect();
                prop_assert_eq!(target, all);
            }
        }
    }
}
