//! From a decoded picture to a network's input, as `preprocessor_config.json` says.

use std::path::Path;

use diptych_engine::EngineError;
use image::RgbImage;
use serde::Deserialize;
use serde_json::Value;

use crate::resample::{Filter, resize};
use crate::setup;

/// The largest side that a network is fed, in pixels. The known ones take 224 to 448.
const LARGEST: u32 = 2048;

/// How pictures are prepared for one network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preparation {
    resize: Option<(Size, Filter)>,
    crop: Option<(u32, u32)>,
    rescale: Option<f64>,
    normalize: Option<([f32; 3], [f32; 3])>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Width and height.
    Exact(u32, u32),
    /// The shorter side; the other follows.
    Shortest(u32),
}

/// The keys of `preprocessor_config.json` that mean something here; others are for other processors.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    image_processor_type: Option<String>,
    #[serde(default)]
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Value>,
    resample: Option<u32>,
    do_center_crop: Option<bool>,
    crop_size: Option<Value>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

impl Preparation {
    /// Reads `preprocessor_config.json`.
    pub(crate) fn read(path: &Path) -> Result<Self, EngineError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| setup(format!("{}: {error}", path.display())))?;
        Self::parse(&text).map_err(|what| setup(format!("{}: {what}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let processor = written.image_processor_type.or(written.feature_extractor_type).unwrap_or_default();
        let vit = processor.starts_with("ViT") || processor.starts_with("DeiT");
        // Pillow's bilinear is what ViT's processor takes where nothing is said; most others say it.
        let filter = written.resample.unwrap_or(2);
        let filter = Filter::from_pillow(filter)
            .ok_or(format!("`resample` is {filter}, which is no filter of Pillow"))?;
        let resize = match (written.do_resize.unwrap_or(true), &written.size) {
            (false, _) => None,
            (true, Some(size)) => Some((read_size(size, vit)?, filter)),
            (true, None) => Some((Size::Exact(224, 224), filter)),
        };
        let crop = match (written.do_center_crop.unwrap_or(false), &written.crop_size) {
            (false, _) => None,
            (true, Some(size)) => match read_size(size, true)? {
                Size::Exact(width, height) => Some((width, height)),
                Size::Shortest(side) => Some((side, side)),
            },
            (true, None) => Some((224, 224)),
        };
        let normalize = written
            .do_normalize
            .unwrap_or(true)
            .then_some((written.image_mean.unwrap_or([0.5; 3]), written.image_std.unwrap_or([0.5; 3])));
        if let Some((_, deviation)) = &normalize
            && deviation.iter().any(|value| !value.is_normal())
        {
            return Err("`image_std` holds a value to divide by that is 0 or no number".to_owned());
        }
        let rescale =
            written.do_rescale.unwrap_or(true).then_some(written.rescale_factor.unwrap_or(1.0 / 255.0));
        if resize.is_none_or(|(size, _)| matches!(size, Size::Shortest(_))) && crop.is_none() {
            return Err(
                "pictures of different sizes would come out of it; it needs a fixed `size` or a `crop_size`"
                    .to_owned(),
            );
        }
        Ok(Self { resize, crop, rescale, normalize })
    }

    /// Width and height of what comes out.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (width, height) = match (self.crop, self.resize) {
            (Some(size), _) => size,
            (None, Some((Size::Exact(width, height), _))) => (width, height),
            // Refused by `parse`.
            (None, _) => (0, 0),
        };
        (width as usize, height as usize)
    }

    /// The input for one picture: three planes of `width × height`, red first.
    pub(crate) fn apply(&self, picture: &RgbImage) -> Vec<f32> {
        let resized = self.resize.map(|(size, filter)| {
            let (width, height) = match size {
                Size::Exact(width, height) => (width, height),
                Size::Shortest(side) => shortest(picture.width(), picture.height(), side),
            };
            resize(picture, width, height, filter)
        });
        let picture = resized.as_ref().unwrap_or(picture);
        let (width, height) = self.crop.unwrap_or(picture.dimensions());
        let (left, top) = (offset(picture.width(), width), offset(picture.height(), height));
        let plane = width as usize * height as usize;
        let mut planes = vec![0f32; plane * 3];
        let scale = self.rescale.unwrap_or(1.0);
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
                    if let Some((mean, deviation)) = &self.normalize {
                        value = (value - mean[channel]) / deviation[channel];
                    }
                    planes[channel * plane + place] = value;
                }
            }
        }
        planes
    }
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

/// `224`, `[224, 224]`, `{"height": 224, "width": 224}` or `{"shortest_edge": 224}`.
fn read_size(size: &Value, square: bool) -> Result<Size, String> {
    let side = |value: &Value| {
        let side = value.as_u64().and_then(|side| u32::try_from(side).ok());
        side.filter(|side| (1..=LARGEST).contains(side))
            .ok_or(format!("{value} is no size between 1 and {LARGEST}"))
    };
    match size {
        Value::Number(_) if square => side(size).map(|side| Size::Exact(side, side)),
        Value::Number(_) => side(size).map(Size::Shortest),
        Value::Array(sides) if sides.len() == 2 => Ok(Size::Exact(side(&sides[1])?, side(&sides[0])?)),
        Value::Object(keys) => match (keys.get("height"), keys.get("width"), keys.get("shortest_edge")) {
            (Some(height), Some(width), _) => Ok(Size::Exact(side(width)?, side(height)?)),
            (_, _, Some(shortest)) => side(shortest).map(Size::Shortest),
            _ => Err(format!("{size} has neither `height` and `width` nor `shortest_edge`")),
        },
        _ => Err(format!("{size} is no size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `transformers` makes of fifty pictures of odd shapes; see `tests/make_fixtures.py`.
    #[test]
    fn pictures_are_prepared_as_transformers_does_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        for name in ["vit", "clip"] {
            let preparation =
                Preparation::read(&folder.join("prepared").join(format!("{name}.json"))).unwrap();
            let bytes = std::fs::read(folder.join("prepared").join(format!("{name}.i16"))).unwrap();
            let (width, height) = preparation.size();
            let pictures: Vec<&[u8]> = bytes.chunks_exact(width * height * 3 * 2).collect();
            assert_eq!(pictures.len(), 50);
            for (number, wanted) in pictures.into_iter().enumerate() {
                let file = std::fs::read(folder.join("pictures").join(format!("{number:02}.png"))).unwrap();
                let picture = image::load_from_memory(&file).unwrap().into_rgb8();
                let ours = preparation.apply(&picture);
                for (ours, wanted) in ours.iter().zip(wanted.chunks_exact(2)) {
                    let wanted = f32::from(i16::from_le_bytes([wanted[0], wanted[1]])) / 1e4;
                    assert!((ours - wanted).abs() < 1e-3, "{name}, picture {number}: {ours}, not {wanted}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_prepared_for_is_refused() {
        for (text, what) in [
            ("{", "EOF"),
            (r#"{"resample": 9}"#, "no filter"),
            (r#"{"size": {"height": 0, "width": 4}}"#, "no size"),
            (r#"{"size": {"longest_edge": 4}}"#, "neither"),
            (r#"{"size": {"shortest_edge": 4}}"#, "different sizes"),
            (r#"{"size": 224, "image_std": [0, 1, 1]}"#, "divide"),
        ] {
            let error = Preparation::parse(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
