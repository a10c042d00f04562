//! Pictures, bytes in and bytes out: what is a picture at all, and how people are shown one.
//!
//! Bytes come from strangers: image servers, folders, uploads. So a walk over the file's skeleton
//! ([`Outline`]) finds its size and frames before a single pixel is allocated, limits are applied to
//! that, and only then is it decoded, to the last frame: what [`inspect`] accepts is whole. No input or
//! output happens here, and nothing panics on any bytes.

mod display;
mod outline;
mod sheet;

use std::fmt;
use std::io::Cursor;
use std::panic::AssertUnwindSafe;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, Frame, ImageDecoder, ImageFormat, ImageReader, RgbImage};

pub use display::{Encoding, MAT, for_display, overview, thumbnail};
pub use outline::Outline;
pub use sheet::{contact_sheet, plain_png};

/// What a picture may cost to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest file, in bytes.
    pub bytes: usize,
    /// The longest side, in pixels.
    pub side: u32,
    /// The most pixels, over all frames of an animation together.
    pub pixels: u64,
    /// The most frames of an animation.
    pub frames: u32,
}

impl Default for Limits {
    /// 32 MiB, 16,384 pixels a side, 64 million pixels in all, 256 frames.
    fn default() -> Self {
        Self { bytes: 32 << 20, side: 16_384, pixels: 64_000_000, frames: 256 }
    }
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG, animated ones included.
    Png,
    /// WebP, animated ones included.
    Webp,
    /// GIF; shown by its first frame.
    Gif,
}

impl Format {
    /// The usual ending of a file's name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    /// The media type, as in `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    fn decoder(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Gif => "GIF",
        })
    }
}

/// What a whole picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Its format, told by its bytes.
    pub format: Format,
    /// How wide it is shown, in pixels, turned as its metadata asks.
    pub width: u32,
    /// How high it is shown.
    pub height: u32,
    /// How many frames it has; 1 unless it is animated.
    pub frames: u32,
}

/// Why bytes are not a picture that can be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// There are no bytes.
    #[error("the image is empty: 0 bytes")]
    Empty,
    /// No known signature.
    #[error("this is not a JPEG, PNG, WebP or GIF image (it starts with {start})")]
    Unknown {
        /// The first bytes, readable.
        start: String,
    },
    /// The file is longer than allowed.
    #[error("the image has {bytes} bytes; at most {limit} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// More pixels or frames than allowed.
    #[error(
        "the image is too large: {width}×{height} pixels, {frames} frame(s); at most {side} a side, \
         {pixels} pixels and {most} frames in all"
    )]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Its frames.
        frames: u32,
        /// The longest side allowed.
        side: u32,
        /// The most pixels allowed.
        pixels: u64,
        /// The most frames allowed.
        most: u32,
    },
    /// The file ends before the picture does.
    #[error("the {format} image is cut off: the file ends before the picture does")]
    Truncated {
        /// Its format.
        format: Format,
    },
    /// The file contradicts itself.
    #[error("the {format} image is damaged: {what}")]
    Damaged {
        /// Its format.
        format: Format,
        /// What is wrong.
        what: String,
    },
    /// A canvas that no picture can be put on.
    #[error("a canvas of {width}×{height} pixels is not between 1 and {most} a side")]
    Canvas {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The longest side.
        most: u32,
    },
    /// A picture could not be written.
    #[error("the picture could not be encoded: {what}")]
    Encode {
        /// What is wrong.
        what: String,
    },
}

/// Says what a picture is, after decoding all of it.
///
/// # Errors
/// Where the bytes are no picture, pass a limit (found before anything is allocated), are cut off or
/// do not decode.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Info, PictureError> {
    let outline = check(bytes, limits)?;
    let first = decode_first(bytes, &outline, limits)?;
    if outline.frames > 1 {
        decode_rest(bytes, &outline, limits, |_| true)?;
    }
    let (width, height) = (first.width(), first.height());
    Ok(Info { format: outline.format, width, height, frames: outline.frames })
}

/// Decodes every frame as a person would see it (upright, flattened onto [`MAT`]) and gives them one by
/// one, until `look` has seen enough and says false.
///
/// # Errors
/// As [`inspect`]; frames before the damage were given then.
pub fn frames(
    bytes: &[u8],
    limits: &Limits,
    mut look: impl FnMut(&RgbImage) -> bool,
) -> Result<(), PictureError> {
    let outline = check(bytes, limits)?;
    if outline.frames == 1 {
        look(&display::flattened(decode_first(bytes, &outline, limits)?));
        return Ok(());
    }
    decode_rest(bytes, &outline, limits, |frame| look(&display::flattened(frame.into_buffer().into())))
}

/// The first frame, turned upright, within the limits.
fn decode(bytes: &[u8], limits: &Limits) -> Result<DynamicImage, PictureError> {
    let outline = check(bytes, limits)?;
    decode_first(bytes, &outline, limits)
}

fn check(bytes: &[u8], limits: &Limits) -> Result<Outline, PictureError> {
    if bytes.len() > limits.bytes {
        return Err(PictureError::TooLong { bytes: bytes.len(), limit: limits.bytes });
    }
    let outline = Outline::read(bytes)?;
    let Outline { format, width, height, frames } = outline;
    if width == 0 || height == 0 || frames == 0 {
        return Err(PictureError::Damaged {
            format,
            what: format!("{width}×{height} pixels, {frames} frame(s)"),
        });
    }
    let pixels = u64::from(width).saturating_mul(u64::from(height)).saturating_mul(u64::from(frames));
    if width.max(height) > limits.side || pixels > limits.pixels || frames > limits.frames {
        return Err(PictureError::TooLarge {
            width,
            height,
            frames,
            side: limits.side,
            pixels: limits.pixels,
            most: limits.frames,
        });
    }
    Ok(outline)
}

/// What the decoders may allocate: the widest pixel they produce is 8 bytes, and some hold a frame twice.
fn allocation(limits: &Limits) -> image::Limits {
    let mut bounds = image::Limits::no_limits();
    bounds.max_image_width = Some(limits.side);
    bounds.max_image_height = Some(limits.side);
    bounds.max_alloc = Some(limits.pixels.saturating_mul(16).saturating_add(1 << 20));
    bounds
}

/// Runs a decoder. Some panic on damaged files (zune-jpeg 0.5.15 on odd sampling factors: `fuzz/corpus`).
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T, PictureError>) -> Result<T, PictureError> {
    // What a decoder leaves half-done is dropped with it.
    std::panic::catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(PictureError::Damaged { format, what: "its decoder gave up".to_owned() }))
}

fn decode_first(bytes: &[u8], outline: &Outline, limits: &Limits) -> Result<DynamicImage, PictureError> {
    guarded(outline.format, || decode_first_unguarded(bytes, outline, limits))
}

fn decode_first_unguarded(
    bytes: &[u8],
    outline: &Outline,
    limits: &Limits,
) -> Result<DynamicImage, PictureError> {
    let format = outline.format;
    let damaged = |error: image::ImageError| PictureError::Damaged { format, what: error.to_string() };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.decoder());
    reader.limits(allocation(limits));
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    // The outline is what the limits were applied to, so a decoder that sees another size is not run.
    if decoder.dimensions() != (outline.width, outline.height) {
        return Err(PictureError::Damaged { format, what: "it states two different sizes".to_owned() });
    }
    // An orientation that cannot be read is none: the picture itself is whole.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// All frames of an animation, until `look` says false.
fn decode_rest(
    bytes: &[u8],
    outline: &Outline,
    limits: &Limits,
    mut look: impl FnMut(Frame) -> bool,
) -> Result<(), PictureError> {
    let format = outline.format;
    let damaged = |error: image::ImageError| PictureError::Damaged { format, what: error.to_string() };
    let input = Cursor::new(bytes);
    let frames = guarded(format, || {
        Ok(match format {
            Format::Jpeg => None,
            Format::Gif => {
                let mut decoder = GifDecoder::new(input).map_err(damaged)?;
                decoder.set_limits(allocation(limits)).map_err(damaged)?;
                Some(decoder.into_frames())
            }
            Format::Webp => Some(WebPDecoder::new(input).map_err(damaged)?.into_frames()),
            Format::Png => {
                let decoder = PngDecoder::with_limits(input, allocation(limits)).map_err(damaged)?;
                Some(decoder.apng().map_err(damaged)?.into_frames())
            }
        })
    })?;
    let Some(mut frames) = frames else { return Ok(()) };
    let mut decoded = 0;
    while let Some(frame) = guarded(format, || frames.next().transpose().map_err(damaged))? {
        decoded += 1;
        if !look(frame) {
            return Ok(());
        }
    }
    // What one reader takes for an animation and another for a still would be screened by half.
    if decoded != outline.frames {
        let what = format!("it states {} frames and has {decoded}", outline.frames);
        return Err(PictureError::Damaged { format, what });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
