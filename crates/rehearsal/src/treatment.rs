//! What the category does to a picture: twelve treatments, each visibly its own.

mod hand;
mod lens;

use crate::{
    Scene,
    canvas::{Canvas, Stamp},
    random::Random,
};

/// The treatment of a category, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Cinematic,
    Photographic,
    Anime,
    Manga,
    DigitalArt,
    PixelArt,
    FantasyArt,
    Neonpunk,
    Model,
    Painting,
    Animation,
    Illustration,
}

impl Style {
    /// The style that the taxonomy's name of a category stands for.
    pub fn of(category: Option<&str>) -> Self {
        match category.unwrap_or_default().to_lowercase().as_str() {
            "cinematic" => Self::Cinematic,
            "photographic" => Self::Photographic,
            "anime" => Self::Anime,
            "manga" => Self::Manga,
            "digital art" => Self::DigitalArt,
            "pixel art" => Self::PixelArt,
            "fantasy art" => Self::FantasyArt,
            "neonpunk" => Self::Neonpunk,
            "3d model" => Self::Model,
            "painting" => Self::Painting,
            "animation" => Self::Animation,
            "illustration" => Self::Illustration,
            _ => Self::Plain,
        }
    }

    /// Whether things stand in a studio rather than where the prompt says.
    pub fn is_studio(self) -> bool {
        self == Self::Model
    }

    /// How things are cut or drawn before they are put down.
    pub fn dress(self, stamp: &mut Stamp, unit: f32, main: bool) {
        let (ink, width) = match self {
            Self::Anime => ([0.12, 0.08, 0.2], 0.005),
            Self::Manga => ([0.0, 0.0, 0.0], 0.007),
            Self::Animation => ([1.0, 0.99, 0.96], 0.012),
            Self::Illustration => ([0.16, 0.14, 0.24], 0.0045),
            _ => return,
        };
        stamp.rim = None;
        stamp.outline = Some((ink, (unit * width * if main { 1.0 } else { 0.65 }).max(0.8)));
    }
}

/// Finishes the picture in the style.
pub fn finish(canvas: &mut Canvas, scene: &Scene, style: Style) {
    let mut random = Random::new(&[scene.prompt, scene.manner.as_str(), "finish"], scene.seed);
    let manner = scene.manner;
    match style {
        Style::Plain => {}
        Style::Cinematic => lens::cinematic(canvas),
        Style::Photographic => lens::photographic(canvas, &mut random),
        Style::DigitalArt => lens::digital(canvas, manner, &mut random),
        Style::FantasyArt => lens::fantasy(canvas, manner, &mut random),
        Style::Neonpunk => lens::neon(canvas, manner, &mut random),
        Style::Model => lens::model(canvas),
        Style::Anime => hand::anime(canvas, manner, &mut random),
        Style::Manga => hand::manga(canvas, manner, &mut random),
        Style::PixelArt => hand::pixels(canvas, manner),
        Style::Painting => hand::painting(canvas, manner, &mut random),
        Style::Animation => hand::animation(canvas, manner),
        Style::Illustration => hand::illustration(canvas, manner, &mut random),
    }
}
