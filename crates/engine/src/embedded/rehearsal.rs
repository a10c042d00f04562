//! Rehearsal: pictures without an image model, drawn in this process.

use async_trait::async_trait;
use diptych_rehearsal::{Manner, Scene};

use crate::{EngineError, ImageMaker, ImageRequest, ImageSettings, MadeImage, made};

/// The drawer, in one manner.
pub(crate) struct Rehearsal {
    who: String,
    model: String,
    manner: Manner,
}

impl Rehearsal {
    /// Takes the manner from the model's name.
    pub(crate) fn new(settings: &ImageSettings) -> Result<Self, EngineError> {
        let manner = settings.model.strip_prefix("rehearsal/").and_then(|manner| manner.parse().ok());
        let Some(manner) = manner else {
            return Err(EngineError::setup(format!(
                "model `{}`: a rehearsal is named rehearsal/noto or rehearsal/fluent, not `{}`: its pictures are no model's",
                settings.key, settings.model
            )));
        };
        Ok(Self { who: settings.who(), model: settings.model.clone(), manner })
    }
}

#[async_trait]
impl ImageMaker for Rehearsal {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        let (who, model, manner, request) =
            (self.who.clone(), self.model.clone(), self.manner, request.clone());
        // Drawing and decoding take tens of milliseconds of a core each.
        let drawn = tokio::task::spawn_blocking(move || {
            let scene = Scene {
                // What is drawn are the things of the source prompt; a phrase of style names none.
                prompt: request.subject.as_deref().unwrap_or(&request.prompt),
                category: request.category.as_deref(),
                manner,
                seed: request.seed,
                width: request.width,
                height: request.height,
            };
            let bytes = diptych_rehearsal::draw(&scene)
                .map_err(|error| EngineError::setup(format!("{who}: {error}")))?;
            let image = made(&who, "rehearsal", &model, bytes.into())?;
            Ok(MadeImage {
                revision: Some(env!("CARGO_PKG_VERSION").to_owned()),
                seed: Some(request.seed),
                ..image
            })
        });
        drawn.await.unwrap_or_else(|error| {
            Err(EngineError::unusable(format!("{}: the drawing was broken off: {error}", self.who)))
        })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok("embedded, always there".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, image_maker};

    fn request(width: u32) -> ImageRequest {
        ImageRequest {
            prompt: "a cat on a boat".to_owned(),
            subject: None,
            category: Some("Anime".to_owned()),
            width,
            height: 96,
            steps: None,
            guidance: None,
            seed: 7,
            prompt_index: 1,
            evolution: "quality".to_owned(),
        }
    }

    async fn draw(model: &str, width: u32) -> Result<MadeImage, EngineError> {
        let settings = ImageSettings {
            key: "dev".to_owned(),
            engine: "rehearsal".to_owned(),
            url: None,
            model: model.to_owned(),
            api_key_env: None,
            limits: Limits::default(),
        };
        image_maker(&settings)?.make(&request(width)).await
    }

    #[tokio::test]
    async fn rehearsal_draws_the_same_picture_again_and_says_that_it_did() {
        let image = draw("rehearsal/noto", 128).await.unwrap();
        assert_eq!((image.width, image.height, image.seed), (128, 96, Some(7)));
        assert_eq!((image.provider, image.model.as_str()), ("rehearsal", "rehearsal/noto"));
        assert_eq!(draw("rehearsal/noto", 128).await.unwrap(), image);
    }

    #[tokio::test]
    async fn a_size_or_a_name_that_is_none_stops_the_run() {
        for (model, width) in
            [("rehearsal/noto", 0), ("rehearsal/other", 64), ("black-forest-labs/FLUX.1-dev", 64)]
        {
            let error = draw(model, width).await.unwrap_err();
            assert!(matches!(error, EngineError::Setup { .. }), "{error:?}");
        }
    }
}
