//! What people are shown: every picture re-encoded the same way, so that nothing tells who made it.
//!
//! The original's format, size, metadata and even its way of being encoded could give a model away. So
//! each is decoded, put upright, fitted whole onto a canvas that both sides share, and written as a WebP or a
//! JPEG of one quality without metadata. The same bytes in give the same bytes out.

use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use jpeg_encoder::{ColorType, Encoder};

use crate::{Limits, PictureError, decode};

/// The colour around a picture that does not fill its canvas, and behind what is transparent: a neutral
/// grey in the middle of what the eye sees, which flatters neither dark nor light pictures.
pub const MAT: [u8; 3] = [119, 119, 119];

/// High enough that the encoding is not what people compare; from 90 on, colour keeps its full resolution.
const QUALITY: u8 = 90;

/// How a picture is written for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// For every browser of today: smaller at the same quality.
    WebP,
    /// For all others.
    Jpeg,
}

impl Encoding {
    /// The ending of its files' names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::WebP => "webp",
            Self::Jpeg => "jpg",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// The longest side of a canvas.
const MOST: u32 = 8192;

/// The picture in these sizes, each of exactly that canvas: whole, scaled up or down to fit, centred on [`MAT`].
///
/// # Errors
/// Where the bytes are no picture within the limits, or the canvas is not between 1 and 8,192 a side.
pub fn for_display(
    bytes: &[u8],
    sizes: &[(u32, u32)],
    encoding: Encoding,
    limits: &Limits,
) -> Result<Vec<Vec<u8>>, PictureError> {
    for &(width, height) in sizes {
        if !(1..=MOST).contains(&width) || !(1..=MOST).contains(&height) {
            return Err(PictureError::Canvas { width, height, most: MOST });
        }
    }
    // Decoded once, and flattened before anything is made of it.
    let picture = DynamicImage::ImageRgb8(flattened(decode(bytes, limits)?));
    let encoded = sizes.iter().map(|&(width, height)| {
        let canvas = fitted(picture.clone(), width, height);
        match encoding {
            Encoding::Jpeg => jpeg(&canvas),
            Encoding::WebP => webp(&canvas),
        }
    });
    encoded.collect()
}

/// The picture as a JPEG whose longer side is at most this, in its own proportions, never enlarged.
///
/// # Errors
/// Where the bytes are no picture within the limits, or the side is not between 1 and 8,192.
pub fn thumbnail(bytes: &[u8], longest: u32, limits: &Limits) -> Result<Vec<u8>, PictureError> {
    if !(1..=MOST).contains(&longest) {
        return Err(PictureError::Canvas { width: longest, height: longest, most: MOST });
    }
    let picture = decode(bytes, limits)?;
    let (width, height) = if picture.width().max(picture.height()) <= longest {
        (picture.width(), picture.height())
    } else {
        fit(picture.width(), picture.height(), longest, longest)
    };
    jpeg(&scaled(picture, width, height))
}

/// The most frames of an animation that an overview shows.
const OVERVIEW: u32 = 16;

/// What a person must see who answers for the picture, as a square JPEG, so that proportions do not tell which model
/// made it: a still one whole, of an animation up to 16 of its frames, evenly spread, side by side.
///
/// # Errors
/// As [`thumbnail`].
pub fn overview(bytes: &[u8], longest: u32, limits: &Limits) -> Result<Vec<u8>, PictureError> {
    if !(1..=MOST).contains(&longest) {
        return Err(PictureError::Canvas { width: longest, height: longest, most: MOST });
    }
    let frames = crate::inspect(bytes, limits)?.frames;
    if frames < 2 {
        return jpeg(&fitted(decode(bytes, limits)?, longest, longest));
    }
    let shown = frames.min(OVERVIEW);
    let across = (1..).find(|side| side * side >= shown).unwrap_or(1);
    let cell = (longest / across).max(1);
    let (mut number, mut cells) = (0, Vec::new());
    crate::frames(bytes, limits, |frame| {
        // The first and the last one, and as many as fit between them.
        let next = u32::try_from(cells.len()).unwrap_or(u32::MAX);
        if next < shown && number == next * (frames - 1) / (shown - 1) {
            cells.push(fitted(DynamicImage::ImageRgb8(frame.clone()), cell, cell));
        }
        number += 1;
        true
    })?;
    let mut sheet = RgbImage::from_pixel(longest, longest, image::Rgb(MAT));
    for (place, picture) in (0..).zip(&cells) {
        image::imageops::replace(
            &mut sheet,
            picture,
            (place % across * cell).into(),
            (place / across * cell).into(),
        );
    }
    jpeg(&sheet)
}

/// The picture fitted whole and centred onto a canvas of this size.
pub(crate) fn fitted(picture: DynamicImage, width: u32, height: u32) -> RgbImage {
    let (inner_width, inner_height) = fit(picture.width(), picture.height(), width, height);
    let inner = scaled(picture, inner_width, inner_height);
    if (inner_width, inner_height) == (width, height) {
        return inner;
    }
    let mut canvas = RgbImage::from_pixel(width, height, image::Rgb(MAT));
    let (left, top) = ((width - inner_width) / 2, (height - inner_height) / 2);
    image::imageops::replace(&mut canvas, &inner, left.into(), top.into());
    canvas
}

/// The largest size of these proportions that fits onto the canvas; at least one pixel a side.
fn fit(width: u32, height: u32, canvas_width: u32, canvas_height: u32) -> (u32, u32) {
    let [w, h, cw, ch] = [width, height, canvas_width, canvas_height].map(u64::from);
    let (inner_width, inner_height) =
        if w * ch >= h * cw { (cw, (h * cw + w / 2) / w) } else { ((w * ch + h / 2) / h, ch) };
    let clamp = |side: u64, most: u32| u32::try_from(side).unwrap_or(most).clamp(1, most);
    (clamp(inner_width, canvas_width), clamp(inner_height, canvas_height))
}

fn scaled(picture: DynamicImage, width: u32, height: u32) -> RgbImage {
    let flat = flattened(picture);
    if flat.dimensions() == (width, height) {
        return flat;
    }
    image::imageops::resize(&flat, width, height, FilterType::CatmullRom)
}

/// Without transparency: what shines through is the mat.
pub(crate) fn flattened(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let source = picture.into_rgba8();
    let mut flat = RgbImage::new(source.width(), source.height());
    for (to, from) in flat.pixels_mut().zip(source.pixels()) {
        let alpha = u32::from(from.0[3]);
        for ((to, from), mat) in to.0.iter_mut().zip(from.0).zip(MAT) {
            let mixed = u32::from(from) * alpha + u32::from(mat) * (255 - alpha);
            *to = u8::try_from((mixed + 127) / 255).unwrap_or(u8::MAX);
        }
    }
    flat
}

pub(crate) fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let (width, height) = picture.dimensions();
    let (Ok(short_width), Ok(short_height)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(PictureError::Canvas { width, height, most: MOST });
    };
    let mut out = Vec::new();
    Encoder::new(&mut out, QUALITY)
        .encode(picture.as_raw(), short_width, short_height, ColorType::Rgb)
        .map_err(|error| PictureError::Encode { what: error.to_string() })?;
    Ok(out)
}

fn webp(picture: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let (width, height) = picture.dimensions();
    let failed = |what: &str| PictureError::Encode { what: what.to_owned() };
    let mut config = webp::WebPConfig::new().map_err(|()| failed("WebP cannot be configured"))?;
    config.quality = f32::from(QUALITY);
    // WebP keeps colour at half its resolution; this makes edges of colour as sharp as that allows.
    config.use_sharp_yuv = 1;
    let encoder = webp::Encoder::from_rgb(picture.as_raw(), width, height);
    let encoded = encoder
        .encode_advanced(&config)
        .map_err(|error| PictureError::Encode { what: format!("{error:?}") })?;
    Ok(encoded.to_vec())
}
