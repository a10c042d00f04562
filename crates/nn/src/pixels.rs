//! From a decoded picture to a network's input, as `preprocessor_config.json` says.

use std::path::Path;

use diptych_engine::EngineError;
use diptych_model::{LARGEST, Preparation, Size};
use image::RgbImage;

use crate::resample::resize;
use crate::setup;

/// Reads `preprocessor_config.json`.
pub(crate) fn read(path: &Path) -> Result<Preparation, EngineError> {
    let bad = |what: String| setup(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    Preparation::parse(&text).map_err(bad)
}

/// The input for one picture: three planes of `width × height`, red first.
pub(crate) fn apply(how: &Preparation, picture: &RgbImage) -> Vec<f32> {
    let resized = how.resize.map(|(size, filter)| {
        let (width, height) = match size {
            Size::Exact(width, height) => (width, height),
            Size::Shortest(side) => shortest(picture.width(), picture.height(), side),
        };
        resize(picture, width, height, filter)
    });
    let picture = resized.as_ref().unwrap_or(picture);
    let (width, height) = how.crop.unwrap_or(picture.dimensions());
    let (left, top) = (offset(picture.width(), width), offset(picture.height(), height));
    let plane = width as usize * height as usize;
    let mut planes = vec![0f32; plane * 3];
    let scale = how.rescale.unwrap_or(1.0);
    for y in 0..height {
        for x in 0..width {
            // Outside of the picture, where it is smaller than its crop, stands black.
            let (from_x, from_y) = (i64::from(x) + left, i64::from(y) + top);
            let inside = (0..i64::from(picture.width())).contains(&from_x)
                && (0..i64::from(picture.height())).contains(&from_y);
            let pixel = if inside { picture.get_pixel(from_x as u32, from_y as u32).0 } else { [0; 3] };
            let place = y as usize * width as usize + x as usize;
            for (channel, level) in pixel.into_iter().enumerate() {
                let mut value = (f64::from(level) * scale) as f32;
                if let Some((mean, deviation)) = &how.normalize {
                    value = (value - mean[channel]) / deviation[channel];
                }
                planes[channel * plane + place] = value;
            }
        }
    }
    planes
}

/// Where a centred crop begins; before the picture where that is smaller.
fn offset(side: u32, crop: u32) -> i64 {
    (i64::from(side) - i64::from(crop)).div_euclid(2)
}

/// The size whose shorter side is `side`. The longer one is cut to whole pixels, as Python's `int` does.
fn shortest(width: u32, height: u32, side: u32) -> (u32, u32) {
    let longer = |long: u32, short: u32| {
        let exact = u64::from(side) * u64::from(long) / u64::from(short.max(1));
        u32::try_from(exact).unwrap_or(u32::MAX).clamp(1, LARGEST * 64)
    };
    if width <= height { (side, longer(height, width)) } else { (longer(width, height), side) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `transformers` makes of fifty pictures of odd shapes; see `tests/make_fixtures.py`.
    #[test]
    fn pictures_are_prepared_as_transformers_does_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        for name in ["vit", "clip"] {
            let preparation = read(&folder.join("prepared").join(format!("{name}.json"))).unwrap();
            let bytes = std::fs::read(folder.join("prepared").join(format!("{name}.i16"))).unwrap();
            let (width, height) = preparation.size();
            let pictures: Vec<&[u8]> = bytes.chunks_exact(width * height * 3 * 2).collect();
            assert_eq!(pictures.len(), 50);
            for (number, wanted) in pictures.into_iter().enumerate() {
                let file = std::fs::read(folder.join("pictures").join(format!("{number:02}.png"))).unwrap();
                let picture = image::load_from_memory(&file).unwrap().into_rgb8();
                let ours = apply(&preparation, &picture);
                for (ours, wanted) in ours.iter().zip(wanted.chunks_exact(2)) {
                    let wanted = f32::from(i16::from_le_bytes([wanted[0], wanted[1]])) / 1e4;
                    assert!((ours - wanted).abs() < 1e-3, "{name}, picture {number}: {ours}, not {wanted}");
                }
            }
        }
    }
}
