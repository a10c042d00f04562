//! What becomes of a picture that libjpeg writes at quality 75 and reads again.
//!
//! open_nsfw was trained behind that, and its scores move by more than a threshold forgives where colours are
//! averaged or spread otherwise, as the image libraries here do it. So it is done as libjpeg does, to the bit: its integer
//! transform (`jfdctint.c`, `jidctint.c`), how colours are converted (`jccolor.c`, `jdcolor.c`), how four pixels share one (`h2v2_downsample` in `jcsample.c`), and how it is
//! spread again ("fancy upsampling" in `jdsample.c`).

use image::RgbImage;

/// The tables of Annex K at quality 75: halved, rounded up.
const LUMA: [u16; 64] = halved([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]);
const CHROMA: [u16; 64] = halved([
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
]);

const fn halved(table: [u16; 64]) -> [u16; 64] {
    let (mut result, mut place) = ([0; 64], 0);
    while place < 64 {
        result[place] = (table[place] * 50 + 50) / 100;
        place += 1;
    }
    result
}

/// One channel.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

impl Plane {
    fn at(&self, x: usize, y: usize) -> i32 {
        i32::from(self.values[y.min(self.height - 1) * self.width + x.min(self.width - 1)])
    }
}

/// The picture after it, both sides even.
pub(crate) fn through(picture: &RgbImage) -> RgbImage {
    let [luma, blue, red] = split(picture);
    let luma = quantized(&luma, &LUMA);
    let (blue, red) = (quantized(&halve(&blue), &CHROMA), quantized(&halve(&red), &CHROMA));
    let (blue, red) = (spread(&blue), spread(&red));
    let mut result = RgbImage::new(picture.width(), picture.height());
    for (pixel, ((y, cb), cr)) in
        result.pixels_mut().zip(luma.values.iter().zip(&blue.values).zip(&red.values))
    {
        pixel.0 = in_rgb(i32::from(*y), i32::from(*cb) - 128, i32::from(*cr) - 128);
    }
    result
}

/// Through the block transform, the table, and back.
fn quantized(plane: &Plane, table: &[u16; 64]) -> Plane {
    let (width, height) = (plane.width, plane.height);
    let mut values = vec![0; width * height];
    for top in (0..height).step_by(8) {
        for left in (0..width).step_by(8) {
            let mut block = [[0; 8]; 8];
            for (y, row) in block.iter_mut().enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = plane.at(left + x, top + y) - 128;
                }
            }
            transform(&mut block);
            // The transform gives eighths, and so the steps are taken.
            for (coefficient, step) in block.as_flattened_mut().iter_mut().zip(table) {
                let step = i32::from(*step);
                let steps = (coefficient.abs() + 4 * step) / (8 * step) * coefficient.signum();
                *coefficient = steps * step;
            }
            transform_back(&mut block);
            for (y, row) in block.iter().enumerate().take(height - top) {
                for (x, value) in row.iter().enumerate().take(width - left) {
                    values[(top + y) * width + left + x] = (value + 128).clamp(0, 255) as u8;
                }
            }
        }
    }
    Plane { width, height, values }
}

type Block = [[i32; 8]; 8];

/// Bits behind the point in the constants below, and in what is between the two passes.
const CONST_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

// The rotations of Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications"
// (1989), in 13 bits.
const C0_298: i32 = 2_446;
const C0_390: i32 = 3_196;
const C0_541: i32 = 4_433;
const C0_765: i32 = 6_270;
const C0_899: i32 = 7_373;
const C1_175: i32 = 9_633;
const C1_501: i32 = 12_299;
const C1_847: i32 = 15_137;
const C1_961: i32 = 16_069;
const C2_053: i32 = 16_819;
const C2_562: i32 = 20_995;
const C3_072: i32 = 25_172;

fn rounded(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

fn transposed(block: &Block) -> Block {
    let mut result = [[0; 8]; 8];
    for (y, row) in block.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            result[x][y] = *value;
        }
    }
    result
}

/// Four odd values and what the rotations make of them: the part that both directions share.
fn rotated([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    let shared = (a + c + b + d) * C1_175;
    let (outer, inner) = (-(a + d) * C0_899, -(b + c) * C2_562);
    let (even, odd) = (shared - (a + c) * C1_961, shared - (b + d) * C0_390);
    [a * C0_298 + outer + even, b * C2_053 + inner + odd, c * C3_072 + inner + even, d * C1_501 + outer + odd]
}

/// The cosine transform, in eighths.
fn transform(block: &mut Block) {
    let pass = |row: &[i32; 8], second: bool| {
        let sums: [i32; 4] = std::array::from_fn(|place| row[place] + row[7 - place]);
        let differences: [i32; 4] = std::array::from_fn(|place| row[3 - place] - row[4 + place]);
        let (low, high) = (sums[0] + sums[3], sums[1] + sums[2]);
        let (wide, narrow) = (sums[0] - sums[3], sums[1] - sums[2]);
        let shared = (wide + narrow) * C0_541;
        let bits = if second { CONST_BITS + PASS_BITS } else { CONST_BITS - PASS_BITS };
        let whole = |value: i32| if second { rounded(value, PASS_BITS) } else { value << PASS_BITS };
        let odd = rotated(differences).map(|value| rounded(value, bits));
        [
            whole(low + high),
            odd[3],
            rounded(shared + wide * C0_765, bits),
            odd[2],
            whole(low - high),
            odd[1],
            rounded(shared - narrow * C1_847, bits),
            odd[0],
        ]
    };
    let rows = transposed(&block.map(|row| pass(&row, false)));
    *block = transposed(&rows.map(|column| pass(&column, true)));
}

/// And back, in whole values.
fn transform_back(block: &mut Block) {
    let pass = |row: &[i32; 8], bits: u32| {
        let shared = (row[2] + row[6]) * C0_541;
        let (narrow, wide) = (shared - row[6] * C1_847, shared + row[2] * C0_765);
        let (low, high) = ((row[0] + row[4]) << CONST_BITS, (row[0] - row[4]) << CONST_BITS);
        let even = [low + wide, high + narrow, high - narrow, low - wide];
        let odd = rotated([row[7], row[5], row[3], row[1]]);
        std::array::from_fn(|place| {
            let near = place.min(7 - place);
            let value = if place < 4 { even[near] + odd[3 - near] } else { even[near] - odd[3 - near] };
            rounded(value, bits)
        })
    };
    let columns = transposed(&transposed(block).map(|column| pass(&column, CONST_BITS - PASS_BITS)));
    *block = columns.map(|row| pass(&row, CONST_BITS + PASS_BITS + 3));
}

/// Brightness and both colour differences.
fn split(picture: &RgbImage) -> [Plane; 3] {
    let half = 128 << 16;
    let channel = |weights: [i32; 3], add: i32| Plane {
        width: picture.width() as usize,
        height: picture.height() as usize,
        values: picture
            .pixels()
            .map(|pixel| {
                let sum: i32 =
                    pixel.0.iter().zip(weights).map(|(level, weight)| i32::from(*level) * weight).sum();
                ((sum + add) >> 16) as u8
            })
            .collect(),
    };
    [
        channel([19_595, 38_470, 7_471], 32_768),
        channel([-11_059, -21_709, 32_768], half + 32_767),
        channel([32_768, -27_439, -5_329], half + 32_767),
    ]
}

/// Each four values as one, rounded up and down in turn.
fn halve(plane: &Plane) -> Plane {
    let (width, height) = (plane.width.div_ceil(2), plane.height.div_ceil(2));
    let mut values = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let sum: i32 = [(0, 0), (1, 0), (0, 1), (1, 1)]
                .iter()
                .map(|(right, down)| plane.at(2 * x + right, 2 * y + down))
                .sum();
            let bias = if x % 2 == 0 { 1 } else { 2 };
            values.push(((sum + bias) >> 2) as u8);
        }
    }
    Plane { width, height, values }
}

/// Each value as four: three quarters of it, one quarter of its neighbour, in both directions.
fn spread(plane: &Plane) -> Plane {
    let (width, height) = (plane.width * 2, plane.height * 2);
    let mut values = Vec::with_capacity(width * height);
    for y in 0..height {
        let near = y / 2;
        let far = if y % 2 == 0 { near.saturating_sub(1) } else { near + 1 };
        let column = |x: usize| 3 * plane.at(x, near) + plane.at(x, far);
        for x in 0..width {
            let this = column(x / 2);
            let value = match x {
                0 => (this * 4 + 8) >> 4,
                x if x == width - 1 => (this * 4 + 7) >> 4,
                x if x % 2 == 0 => (this * 3 + column(x / 2 - 1) + 8) >> 4,
                x => (this * 3 + column(x / 2 + 1) + 7) >> 4,
            };
            values.push(value as u8);
        }
    }
    Plane { width, height, values }
}

fn in_rgb(y: i32, cb: i32, cr: i32) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    [
        y + ((91_881 * cr + HALF) >> 16),
        y + ((-22_554 * cb + HALF - 46_802 * cr) >> 16),
        y + ((116_130 * cb + HALF) >> 16),
    ]
    .map(|level| level.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_through_the_transform() {
        let mut block: Block =
            std::array::from_fn(|y| std::array::from_fn(|x| ((x * 37 + y * 91) % 256) as i32 - 128));
        let before = block;
        transform(&mut block);
        assert_eq!(
            block[0][0],
            before.as_flattened().iter().sum::<i32>(),
            "eight times the mean of 64, in eighths"
        );
        for value in block.as_flattened_mut() {
            *value = (*value + 4) >> 3;
        }
        transform_back(&mut block);
        for (after, before) in block.as_flattened().iter().zip(before.as_flattened()) {
            assert!((after - before).abs() <= 2, "{after}, and {before} before");
        }
    }

    #[test]
    fn a_plain_picture_keeps_its_colour() {
        let plain = RgbImage::from_pixel(32, 16, image::Rgb([200, 100, 50]));
        let after = through(&plain);
        for pixel in after.pixels() {
            assert!(pixel.0.iter().zip([200u8, 100, 50]).all(|(is, was)| is.abs_diff(was) <= 4), "{pixel:?}");
        }
    }
}
