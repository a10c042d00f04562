//! Yahoo's open_nsfw, which was trained behind a pipeline of its own.
//!
//! Pictures are resized to 256×256 without regard to their shape, the middle 224×224 is written and read
//! again as a JPEG of quality 75 (the training pictures had been through that), and the network takes blue
//! first, less the mean of its training set. Source: Yahoo's `classify_nsfw.py`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use diptych_engine::{EngineError, ImageClassifier, Labels};
use diptych_model::Filter;
use image::RgbImage;

use crate::files::checked_version;
use crate::image_model::{in_parallel, of_all_frames};
use crate::libjpeg;
use crate::network::{self, Input, Network};
use crate::resample::{Part, resize_part};
use crate::{Spec, unusable};

const RESIZED: u32 = 256;
const SIDE: u32 = 224;
/// Blue, green, red.
const MEAN: [f32; 3] = [104.0, 117.0, 123.0];

/// The classifier.
pub(crate) struct OpenNsfw {
    version: String,
    network: Arc<dyn Network>,
}

impl OpenNsfw {
    pub(crate) fn load(spec: &Spec) -> Result<Self, EngineError> {
        let weights = network::weights(&spec.name, &spec.folder)?;
        let version = checked_version(&spec.name, &spec.folder, &weights)?;
        let network = network::load(&spec.name, &spec.folder, &weights, None)?;
        Ok(Self { version, network: network.into() })
    }
}

fn frame(network: &dyn Network, picture: &RgbImage) -> Result<Labels, EngineError> {
    let side = SIDE as usize;
    let input = Input::Pixels { shape: [1, side, side, 3], values: prepare(picture)? };
    let rows = network::rows(network, input)?;
    match rows.first().map(Vec::as_slice) {
        Some([sfw, nsfw]) if sfw.is_finite() && nsfw.is_finite() => {
            Ok(Labels::from([("sfw".to_owned(), *sfw), ("nsfw".to_owned(), *nsfw)]))
        }
        other => Err(unusable(format!("the network gave {other:?} in place of two scores"))),
    }
}

fn prepare(picture: &RgbImage) -> Result<Vec<f32>, EngineError> {
    let middle = (RESIZED - SIDE) / 2..(RESIZED + SIDE) / 2;
    let middle = Part { columns: middle.clone(), rows: middle };
    let middle = resize_part(picture, RESIZED, RESIZED, Filter::Bilinear, &middle);
    let middle = libjpeg::through(&middle);
    let mut values = Vec::with_capacity(middle.as_raw().len());
    for pixel in middle.pixels() {
        let [red, green, blue] = pixel.0.map(f32::from);
        values.extend([blue - MEAN[0], green - MEAN[1], red - MEAN[2]]);
    }
    Ok(values)
}

#[async_trait]
impl ImageClassifier for OpenNsfw {
    async fn classify(&self, images: Vec<Bytes>) -> Vec<Result<Labels, EngineError>> {
        in_parallel(Arc::new(Arc::clone(&self.network)), images, |network, bytes| {
            of_all_frames(bytes, |picture| frame(&**network, picture))
        })
        .await
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn labels(&self) -> Option<Vec<String>> {
        Some(vec!["sfw".to_owned(), "nsfw".to_owned()])
    }

    fn together(&self) -> usize {
        16
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok(format!("loaded, runs on {}", self.network.runtime()))
    }
}
