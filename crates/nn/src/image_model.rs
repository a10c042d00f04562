//! A classifier of pictures as Hugging Face models are: pre-processing, a network, a score per label.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use diptych_engine::{EngineError, ImageClassifier, Labels};
use diptych_model::{Config, Preparation};
use image::RgbImage;
use rayon::prelude::*;

use crate::files::checked_version;
use crate::network::{self, Input, Network};
use crate::pixels;
use crate::{Spec, read_config};

struct Loaded {
    config: Config,
    preparation: Preparation,
    network: Box<dyn Network>,
}

/// A classifier of pictures.
pub(crate) struct ImageModel {
    version: String,
    loaded: Arc<Loaded>,
}

impl ImageModel {
    pub(crate) fn load(spec: &Spec) -> Result<Self, EngineError> {
        let config = read_config(&spec.folder)?;
        let preparation = pixels::read(&spec.folder.join("preprocessor_config.json"))?;
        let weights = network::weights(&spec.name, &spec.folder)?;
        let version = checked_version(&spec.name, &spec.folder, &weights)?;
        let network = network::load(&spec.name, &spec.folder, &weights, Some(&config))?;
        Ok(Self { version, loaded: Arc::new(Loaded { config, preparation, network }) })
    }
}

impl Loaded {
    fn frame(&self, picture: &RgbImage) -> Result<Labels, EngineError> {
        let (width, height) = self.preparation.size();
        let values = pixels::apply(&self.preparation, picture);
        let input = Input::Pixels { shape: [1, 3, height, width], values };
        match network::rows(&*self.network, input)?.first() {
            Some(logits) => self.config.scores(logits).map_err(crate::unusable),
            None => Err(crate::unusable("the network gave nothing")),
        }
    }
}

/// What is said of a picture: of each label the highest score that any of its frames has.
pub(crate) fn of_all_frames(
    bytes: &[u8],
    mut classify: impl FnMut(&RgbImage) -> Result<Labels, EngineError>,
) -> Result<Labels, EngineError> {
    let mut most = Labels::new();
    let mut failed = None;
    diptych_picture::frames(bytes, &diptych_picture::Limits::default(), |picture| match classify(picture) {
        Ok(labels) => {
            for (label, score) in labels {
                let highest = most.entry(label).or_insert(score);
                *highest = highest.max(score);
            }
            true
        }
        Err(error) => {
            failed = Some(error);
            false
        }
    })
    .map_err(|error| crate::unusable(error.to_string()))?;
    match failed {
        Some(error) => Err(error),
        None => Ok(most),
    }
}

/// Classifies many pictures, each on one thread, and survives what panics.
pub(crate) async fn in_parallel<L: Send + Sync + 'static>(
    loaded: Arc<L>,
    images: Vec<Bytes>,
    classify: fn(&L, &[u8]) -> Result<Labels, EngineError>,
) -> Vec<Result<Labels, EngineError>> {
    let count = images.len();
    let done = tokio::task::spawn_blocking(move || {
        images.par_iter().map(|bytes| classify(&loaded, bytes)).collect::<Vec<_>>()
    });
    done.await.unwrap_or_else(|_| vec![Err(crate::unusable("the classifier crashed")); count])
}

#[async_trait]
impl ImageClassifier for ImageModel {
    async fn classify(&self, images: Vec<Bytes>) -> Vec<Result<Labels, EngineError>> {
        in_parallel(Arc::clone(&self.loaded), images, |loaded, bytes| {
            of_all_frames(bytes, |picture| loaded.frame(picture))
        })
        .await
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn labels(&self) -> Option<Vec<String>> {
        Some(self.loaded.config.labels.clone())
    }

    fn together(&self) -> usize {
        16
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok(format!("loaded, runs on {}", self.loaded.network.runtime()))
    }
}
