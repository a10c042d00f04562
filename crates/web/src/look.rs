//! A sprint's own look: a colour for lines, focus and progress, and a picture that stands for it. The walls around
//! the pictures that people compare stay grey whatever is chosen.

use std::path::PathBuf;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use diptych_core::config::Colour;
use diptych_picture::Limits;
use tokio::sync::Mutex;

use crate::hosted::HostedSprint;
use crate::problem::{Path, Problem};
use crate::state::App;

/// The brightest surface that the colour stands on in the light scheme, and the brightest in the dark one: `--wall`
/// and `--sheet` of `design.css`.
const SURFACES: [Colour; 2] = [Colour([0xf3; 3]), Colour([0x21; 3])];

/// What WCAG 2.2 (1.4.3) asks of text.
const CONTRAST: f64 = 4.5;

/// The longest side of a cover, in pixels.
const LONGEST_SIDE: u32 = 1200;

/// The largest file that is read for one, in bytes.
const LARGEST: u64 = 16 << 20;

/// Relative luminance (WCAG 2.2).
fn luminance(Colour(channels): Colour) -> f64 {
    let [red, green, blue] = channels.map(|channel| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Between 1 and 21 (WCAG 2.2).
fn contrast(one: Colour, other: Colour) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The colour, as much darker or lighter as it takes to be read on this surface.
fn readable(colour: Colour, surface: Colour) -> Colour {
    let towards = if luminance(surface) > 0.5 { 0.0 } else { 255.0 };
    let mixed = |share: f64| {
        let mix = |channel: u8| f64::from(channel) + (towards - f64::from(channel)) * share;
        Colour(colour.0.map(|channel| mix(channel).round() as u8))
    };
    let fits = |colour: &Colour| contrast(*colour, surface) >= CONTRAST;
    (0..=50).map(|step| mixed(f64::from(step) / 50.0)).find(fits).unwrap_or(mixed(1.0))
}

pub(crate) async fn stylesheet(
    State(app): State<App>,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let accent = app.sprint(&slug)?.config().look.accent;
    let accent = accent.ok_or_else(|| Problem::not_found("This sprint has no colour of its own."))?;
    let [light, dark] = SURFACES.map(|surface| readable(accent, surface));
    let css = format!(
        ":root {{ --accent: {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark} }} }}\n"
    );
    // The address has the colour in it.
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")];
    Ok((headers, css).into_response())
}

/// A sprint's cover, made when somebody asks and kept until its file changes.
#[derive(Default)]
pub(crate) struct Cover(Mutex<Option<Made>>);

struct Made {
    file: PathBuf,
    changed: Option<SystemTime>,
    /// A JPEG; none where the file is no picture.
    bytes: Option<Bytes>,
}

impl Cover {
    /// The sprint's cover as a JPEG, where it has one.
    pub(crate) async fn of(&self, sprint: &HostedSprint) -> Option<Bytes> {
        let ctx = sprint.ctx();
        let file = ctx.folder.join(ctx.config.look.cover.as_ref()?);
        let changed = tokio::fs::metadata(&file).await.and_then(|file| file.modified()).ok();
        let mut kept = self.0.lock().await;
        if let Some(made) = kept.as_ref().filter(|made| made.file == file && made.changed == changed) {
            return made.bytes.clone();
        }
        let made = make(&file).await;
        if let Err(why) = &made {
            tracing::warn!(cover = %file.display(), why, "the sprint's cover cannot be shown");
        }
        let bytes = made.ok();
        *kept = Some(Made { file, changed, bytes: bytes.clone() });
        bytes
    }
}

async fn make(file: &std::path::Path) -> Result<Bytes, String> {
    let length = tokio::fs::metadata(file).await.map_err(|error| error.to_string())?.len();
    if length > LARGEST {
        return Err(format!("it has {length} bytes, and may have {LARGEST}"));
    }
    let bytes = tokio::fs::read(file).await.map_err(|error| error.to_string())?;
    let made = tokio::task::spawn_blocking(move || {
        diptych_picture::thumbnail(&bytes, LONGEST_SIDE, &Limits::default())
    });
    let made = made.await.map_err(|error| error.to_string())?;
    made.map(Bytes::from).map_err(|error| error.to_string())
}

pub(crate) async fn cover(State(app): State<App>, Path(slug): Path<String>) -> Result<Response, Problem> {
    let sprint = app.sprint(&slug)?;
    let cover = sprint.cover().await.ok_or_else(|| Problem::not_found("This sprint has no cover."))?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, cover).into_response())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contrast_is_as_wcag_has_it() {
        let [black, white, grey] = [[0; 3], [255; 3], [0x77; 3]].map(Colour);
        assert!((contrast(black, white) - 21.0).abs() < 1e-9);
        assert!((contrast(white, grey) - 4.48).abs() < 0.01, "{}", contrast(white, grey));
    }

    #[test]
    fn a_colour_that_can_be_read_stays_as_it_is() {
        let purple = Colour([0x5a, 0x2c, 0xa0]);
        assert_eq!(readable(purple, SURFACES[0]), purple);
        assert_ne!(readable(purple, SURFACES[1]), purple);
    }

    proptest! {
        #[test]
        fn every_colour_can_be_read_in_both_schemes(channels: [u8; 3]) {
            for surface in SURFACES {
                prop_assert!(contrast(readable(Colour(channels), surface), surface) >= CONTRAST);
            }
        }
    }
}
