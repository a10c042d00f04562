//! Resizing as Pillow (up to version 12) does it, to the bit. Version 13 takes the second pass first for some
//! shapes, which moves a level here and there.
//!
//! Classifiers were trained, and publish their scores, behind Pillow's resizing: weights in fixed point with
//! 22 bits, rounded to 8 bits a channel after each of two passes. Libraries that compute more finely, or
//! with fewer bits for speed, differ by a level here and there, which is more than a threshold forgives.

mod kernel;

use std::ops::Range;

use diptych_model::Filter;
use image::RgbImage;
use kernel::Kernel;

/// Bits behind the point in a weight: 32, less 8 of a channel, less 2 for overshoot.
const BITS: u32 = 32 - 8 - 2;

/// How far it reaches, in pixels of the larger grid.
fn support(filter: Filter) -> f64 {
    match filter {
        Filter::Nearest => 0.0,
        Filter::Box => 0.5,
        Filter::Bilinear | Filter::Hamming => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos => 3.0,
    }
}

/// How much a pixel at this distance counts.
fn weight(filter: Filter, x: f64) -> f64 {
    let sinc = |x: f64| {
        if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
    };
    let distance = x.abs();
    match filter {
        Filter::Nearest => 0.0,
        Filter::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Filter::Bilinear => (1.0 - distance).max(0.0),
        Filter::Hamming => match distance {
            0.0 => 1.0,
            d if d >= 1.0 => 0.0,
            d => sinc(d) * (0.54 + 0.46 * (d * std::f64::consts::PI).cos()),
        },
        // Keys' cubic convolution with a = -0.5.
        Filter::Bicubic => match distance {
            d if d < 1.0 => (1.5 * d - 2.5) * d * d + 1.0,
            d if d < 2.0 => ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0,
            _ => 0.0,
        },
        Filter::Lanczos => {
            if (-3.0..3.0).contains(&x) {
                sinc(x) * sinc(x / 3.0)
            } else {
                0.0
            }
        }
    }
}

/// What one pixel of the result is made of: where it begins, and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

fn taps(filter: Filter, from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = support(filter) * stretch;
    (0..to)
        .map(|place| {
            let centre = (f64::from(place) + 0.5) * scale;
            // Truncation towards zero, as C's conversions do it.
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as i64).min(i64::from(from)).max(first as i64) as usize;
            let raw: Vec<f64> = (first..end)
                .map(|pixel| weight(filter, (pixel as f64 - centre + 0.5) * (1.0 / stretch)))
                .collect();
            let sum: f64 = raw.iter().sum();
            let weights = raw
                .iter()
                .map(|weight| {
                    let share = if sum == 0.0 { *weight } else { weight / sum };
                    let fixed = share * f64::from(1u32 << BITS);
                    (if share < 0.0 { fixed - 0.5 } else { fixed + 0.5 }) as i32
                })
                .collect();
            Taps { first, weights }
        })
        .collect()
}

/// A part of a picture: its columns and rows.
pub(crate) struct Part {
    pub(crate) columns: Range<u32>,
    pub(crate) rows: Range<u32>,
}

/// The picture at another size, both sides at least 1.
pub(crate) fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    resize_part(picture, width, height, filter, &Part { columns: 0..width, rows: 0..height })
}

/// A part of the picture at another size: what [`resize`] gives, cut out, without the work for the rest.
pub(crate) fn resize_part(
    picture: &RgbImage,
    width: u32,
    height: u32,
    filter: Filter,
    part: &Part,
) -> RgbImage {
    let across = kernels(filter, picture.width(), width, &part.columns);
    let down = kernels(filter, picture.height(), height, &part.rows);
    let line = across.len() * 3;
    let mut result = RgbImage::new(across.len() as u32, down.len() as u32);
    // The lines that a row of the result may be made of, and where the first of them stands.
    let (first, end) = (down.first().map_or(0, Kernel::first), down.last().map_or(0, Kernel::end));
    let from = picture.width() as usize * 3;
    let mut source = vec![0; from + kernel::BEYOND];
    let mut lines = vec![0; (end - first) * line];
    let rows = picture.as_raw().chunks_exact(from).skip(first);
    for (row, target) in rows.zip(lines.chunks_exact_mut(line)) {
        source[..from].copy_from_slice(row);
        for (kernel, target) in across.iter().zip(target.as_chunks_mut().0) {
            *target = kernel.across(&source);
        }
    }
    for (kernel, target) in down.iter().zip(result.chunks_exact_mut(line)) {
        kernel.down(&lines[(kernel.first() - first) * line..], line, target);
    }
    result
}

/// How the levels of a range of pixels are made of a line of `from` pixels that becomes one of `to`.
fn kernels(filter: Filter, from: u32, to: u32, range: &Range<u32>) -> Vec<Kernel> {
    let taps =
        if filter == Filter::Nearest || from == to { nearest(from, to) } else { taps(filter, from, to) };
    let (start, end) = (range.start.min(to) as usize, range.end.min(to) as usize);
    taps[start..end].iter().map(Kernel::of).collect()
}

/// Each pixel as the one that is nearest to it.
fn nearest(from: u32, to: u32) -> Vec<Taps> {
    let place = |at: u32| {
        let exact = (f64::from(at) + 0.5) * f64::from(from) / f64::from(to);
        (exact as u32).min(from - 1) as usize
    };
    (0..to).map(|at| Taps { first: place(at), weights: vec![1 << BITS] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_a_pixel_add_up_to_one() {
        for filter in [Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos] {
            for (from, to) in [(1, 1), (1, 9), (7, 3), (1024, 224), (224, 1024), (3, 2)] {
                for taps in taps(filter, from, to) {
                    let sum: i64 = taps.weights.iter().map(|weight| i64::from(*weight)).sum();
                    let off = (sum - (1 << BITS)).unsigned_abs();
                    assert!(off <= taps.weights.len() as u64, "{filter:?} {from} to {to}: off by {off}");
                    assert!(taps.first + taps.weights.len() <= from as usize);
                }
            }
        }
    }

    #[test]
    fn a_part_is_what_would_be_cut_out() {
        let picture =
            RgbImage::from_fn(61, 47, |x, y| image::Rgb([(x * 4) as u8, (y * 5) as u8, (x * y) as u8]));
        for filter in (0..6).filter_map(Filter::from_pillow) {
            for (width, height) in [(32, 32), (61, 20), (100, 47), (9, 90)] {
                let whole = resize(&picture, width, height, filter);
                let part = Part { columns: 2..8, rows: 3..19 };
                let cut = image::imageops::crop_imm(&whole, 2, 3, 6, 16).to_image();
                assert!(resize_part(&picture, width, height, filter, &part) == cut, "{filter:?} {width}");
            }
        }
    }

    #[test]
    fn a_plain_picture_stays_plain() {
        let plain = RgbImage::from_pixel(31, 17, image::Rgb([3, 200, 77]));
        for filter in (0..6).filter_map(Filter::from_pillow) {
            let resized = resize(&plain, 8, 40, filter);
            assert!(resized.pixels().all(|pixel| pixel.0 == [3, 200, 77]), "{filter:?}");
        }
    }
}
