//! Chance that depends on its seed alone: a picture is a function of its scene.

use std::sync::OnceLock;

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for these words and this number.
    pub fn new(words: &[&str], number: u64) -> Self {
        // FNV-1a, with a byte between the words so that they cannot run together.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for word in words {
            for byte in word.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let mut random = Self(hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A number between the two.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with this chance.
    pub fn chance(&mut self, chance: f32) -> bool {
        self.unit() < chance
    }

    /// One of 0 to `count - 1`; 0 for no count.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// One of the items, which must not be empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// A hash of a point, from 0 up to 1: white noise without state.
pub fn speck(x: i32, y: i32, salt: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ salt.wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1u32 << 24) as f32
}

const SIDE: usize = 256;

/// The whole number at or below, without a call into the mathematics library.
#[inline]
pub fn floor(v: f32) -> f32 {
    let whole = v as i32 as f32;
    if whole > v { whole - 1.0 } else { whole }
}

/// A stand-in for the angle of a direction that needs no arc tangent: 0 to 4, once round, evenly enough.
#[inline]
pub fn turn(dx: f32, dy: f32) -> f32 {
    let along = dx / (dx.abs() + dy.abs()).max(1e-6);
    if dy < 0.0 { 3.0 + along } else { 1.0 - along }
}

/// Smooth cloudy noise from 0 to 1 that repeats every 1.0 in each direction (four octaves of value noise).
pub fn clouds(x: f32, y: f32) -> f32 {
    static MAP: OnceLock<Vec<f32>> = OnceLock::new();
    let map: &[f32; SIDE * SIDE] = match MAP.get_or_init(cloud_map).first_chunk() {
        Some(map) => map,
        None => return 0.5,
    };
    let (x, y) = (x * SIDE as f32, y * SIDE as f32);
    let (left, top) = (floor(x), floor(y));
    let (fx, fy) = (x - left, y - top);
    let (i, j) = (left as i32 as usize, top as i32 as usize);
    let (i0, i1) = (i & (SIDE - 1), i.wrapping_add(1) & (SIDE - 1));
    let (j0, j1) = ((j & (SIDE - 1)) * SIDE, (j.wrapping_add(1) & (SIDE - 1)) * SIDE);
    let upper = map[j0 + i0] + (map[j0 + i1] - map[j0 + i0]) * fx;
    let lower = map[j1 + i0] + (map[j1 + i1] - map[j1 + i0]) * fx;
    upper + (lower - upper) * fy
}

fn cloud_map() -> Vec<f32> {
    let mut map = vec![0.0; SIDE * SIDE];
    let mut weight = 0.5;
    for (octave, cells) in [8usize, 16, 32, 64].into_iter().enumerate() {
        let value = |i: usize, j: usize| speck((i % cells) as i32, (j % cells) as i32, 77 + octave as u32);
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        for (index, total) in map.iter_mut().enumerate() {
            let (x, y) = ((index % SIDE) as f32, (index / SIDE) as f32);
            let (x, y) = (x * cells as f32 / SIDE as f32, y * cells as f32 / SIDE as f32);
            let (i, j) = (x as usize, y as usize);
            let (fx, fy) = (smooth(x.fract()), smooth(y.fract()));
            let top = value(i, j) + (value(i + 1, j) - value(i, j)) * fx;
            let low = value(i, j + 1) + (value(i + 1, j + 1) - value(i, j + 1)) * fx;
            *total += weight * (top + (low - top) * fy);
        }
        weight *= 0.5;
    }
    let (low, high) = map.iter().fold((1.0f32, 0.0f32), |(low, high), &v| (low.min(v), high.max(v)));
    map.iter().map(|v| (v - low) / (high - low)).collect()
}
