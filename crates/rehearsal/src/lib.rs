//! Pictures without an image model: composed from emoji drawings, so that a whole sprint can be rehearsed
//! offline, at once and for free. The prompt's words choose the drawings and the place, the category a
//! treatment, and two manners stand for two model families that people can tell apart and choose between.
//!
//! Everything here is a pure function: the same [`Scene`] always gives the same bytes.

mod arrange;
mod backdrop;
mod canvas;
mod compose;
mod drawings;
mod elsewhere;
mod mark;
mod nature;
mod palette;
mod random;
mod sky;
mod treatment;
mod words;

use std::{fmt, str::FromStr};

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// The widest and highest picture that is drawn, in pixels.
pub const MAX_SIDE: u32 = 4096;

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The asked size is not within 1 to [`MAX_SIDE`] on each side.
    #[error(
        "a rehearsal picture of {width}×{height} pixels cannot be drawn: give each side 1 to {MAX_SIDE} pixels"
    )]
    Size {
        /// The asked width in pixels.
        width: u32,
        /// The asked height in pixels.
        height: u32,
    },
    /// The name of a manner is not known.
    #[error("there is no rehearsal manner {0:?}: use \"noto\" or \"fluent\"")]
    Manner(String),
    /// The embedded file of drawings is damaged.
    #[error("the embedded drawings cannot be read: rebuild the program from clean sources")]
    Drawings,
    /// One embedded drawing is damaged.
    #[error("the embedded drawing {0:?} cannot be read: rebuild the program from clean sources")]
    Drawing(&'static str),
    /// The picture could not be encoded.
    #[error("the rehearsal picture cannot be encoded as JPEG")]
    Encoding(#[from] jpeg_encoder::EncodingError),
}

/// One of the two families of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manner {
    /// Shaded drawings (Noto Emoji), soft light, air and texture: the painter of the two.
    Noto = 0,
    /// Flat drawings (Fluent Emoji), paper-cut shapes and hard shadows: the poster designer of the two.
    Fluent = 1,
}

impl Manner {
    /// Both manners.
    pub const ALL: [Self; 2] = [Self::Noto, Self::Fluent];

    /// The name, as configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Noto => "noto",
            Self::Fluent => "fluent",
        }
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Manner {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|manner| manner.as_str() == name)
            .ok_or_else(|| Error::Manner(name.to_owned()))
    }
}

/// What a picture is asked to show, and how.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The prompt, in any language and length; English words find the most drawings.
    pub prompt: &'a str,
    /// One of the taxonomy's categories, such as `Pixel art`; others are drawn without a treatment.
    pub category: Option<&'a str>,
    /// The family of the picture.
    pub manner: Manner,
    /// Another seed gives another arrangement of the same things.
    pub seed: u64,
    /// Width in pixels, 1 to [`MAX_SIDE`].
    pub width: u32,
    /// Height in pixels, 1 to [`MAX_SIDE`].
    pub height: u32,
}

/// Draws the scene and returns it as JPEG.
///
/// # Errors
/// [`Error::Size`] for a size that is not drawn; the other errors mean that the program itself is damaged.
pub fn draw(scene: &Scene) -> Result<Vec<u8>, Error> {
    let (width, height) = (scene.width, scene.height);
    let rgb = paint(scene)?;
    let mut jpeg = Vec::with_capacity(rgb.len() / 12);
    let mut encoder = Encoder::new(&mut jpeg, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // Within `MAX_SIDE`, which fits.
    encoder.encode(&rgb, width as u16, height as u16, ColorType::Rgb)?;
    Ok(jpeg)
}

/// Draws the scene and returns its pixels, row by row, three bytes each.
///
/// # Errors
/// As [`draw`].
pub fn paint(scene: &Scene) -> Result<Vec<u8>, Error> {
    let (width, height) = (scene.width, scene.height);
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(Error::Size { width, height });
    }
    let reading = words::read(scene.prompt)?;
    let style = treatment::Style::of(scene.category);
    let mut canvas = compose::compose(scene, &reading, style)?;
    treatment::finish(&mut canvas, scene, style);
    mark::stamp(&mut canvas);
    Ok(canvas.to_rgb())
}

/// The names of the drawings that the prompt's words ask for, the most telling first.
///
/// # Errors
/// [`Error::Drawings`] when the embedded file is damaged.
pub fn drawings_named_by(prompt: &str) -> Result<Vec<&'static str>, Error> {
    let all = drawings::all()?;
    Ok(words::read(prompt)?.subjects.iter().map(|subject| all[subject.drawing].name).collect())
}
