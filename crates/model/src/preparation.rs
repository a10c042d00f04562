//! `preprocessor_config.json`: how pictures are prepared.

use serde::Deserialize;
use serde_json::Value;

/// The largest side that a network is fed, in pixels. The known ones take 224 to 448.
pub const LARGEST: u32 = 2048;

/// How pictures are prepared for one network, step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// To which size, and how.
    pub resize: Option<(Size, Filter)>,
    /// Then the middle of it, of this width and height.
    pub crop: Option<(u32, u32)>,
    /// Then each level, of 0 to 255, times this.
    pub rescale: Option<f64>,
    /// Then less the mean, by the deviation, of red, green and blue.
    pub normalize: Option<([f32; 3], [f32; 3])>,
}

/// To which size a picture is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Width and height.
    Exact(u32, u32),
    /// The shorter side; the other follows.
    Shortest(u32),
}

/// How Pillow weighs the pixels around a point (`Image.Resampling`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The pixel that stands there.
    Nearest,
    /// All of them alike.
    Box,
    /// Less with the distance.
    Bilinear,
    /// As bilinear, and sharper.
    Hamming,
    /// Keys' cubic convolution.
    Bicubic,
    /// A sinc in a window of three pixels.
    Lanczos,
}

impl Filter {
    /// The filter with Pillow's number.
    pub fn from_pillow(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => return None,
        })
    }
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
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
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
    pub fn size(&self) -> (usize, usize) {
        let (width, height) = match (self.crop, self.resize) {
            (Some(size), _) => size,
            (None, Some((Size::Exact(width, height), _))) => (width, height),
            // Refused by `parse`.
            (None, _) => (0, 0),
        };
        (width as usize, height as usize)
    }
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
