//! What the configuration asks of texts and of images.

use std::path::Path;

use diptych_core::ScreeningPolicy;
use diptych_core::config::{ClassifierUse, SprintConfig};

use super::classifiers;
use crate::{Ctx, Result};

/// A classifier as it is to be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Its name in the configuration.
    pub name: String,
    /// From which score on it is positive.
    pub threshold: f64,
    /// The labels that count as positive; empty where all do.
    pub positive: Vec<String>,
    /// Whether the configuration names these labels: then each must be scored. A known model's own labels are
    /// what it is known to call them, of which one is enough.
    pub every_label: bool,
    /// What its scores are kept under, or why it cannot be asked.
    pub version: Result<String, String>,
    /// Whether the configuration asks of it what it cannot say: then nothing that it has said counts.
    pub refused: bool,
    /// Where it cannot be asked: what its newest scores are kept under, which go on to count.
    pub newest: Option<String>,
}

impl Use {
    /// What the scores that count are kept under, where there can be any.
    pub fn scored_by(&self) -> Option<&str> {
        self.version.as_deref().ok().or(self.newest.as_deref())
    }
}

/// What is asked of one kind of item.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    uses: Vec<Use>,
    every: u32,
}

impl Policy {
    /// What the configuration of the sprint in this folder asks of texts.
    pub fn of_texts(config: &SprintConfig, folder: &Path) -> Self {
        Self { uses: Self::uses_of(config, folder, &config.screen.text), every: 0 }
    }

    /// What it asks of images.
    pub fn of_images(config: &SprintConfig, folder: &Path) -> Self {
        Self { uses: Self::uses_of(config, folder, &config.screen.image), every: config.review.every_image }
    }

    fn uses_of(config: &SprintConfig, folder: &Path, listed: &[ClassifierUse]) -> Vec<Use> {
        listed.iter().map(|listed| classifiers::resolve(config, folder, listed)).collect()
    }

    /// Its classifiers.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The same with another threshold of one classifier.
    #[must_use]
    pub fn with_threshold(mut self, name: &str, threshold: f64) -> Self {
        for asked in self.uses.iter_mut().filter(|asked| asked.name == name) {
            asked.threshold = threshold;
        }
        self
    }

    /// How many people must approve every item; 0 where only what classifiers leave to them is looked at.
    pub fn every(&self) -> u32 {
        self.every
    }

    /// What the scores that count are kept under.
    pub fn versions(&self) -> Vec<String> {
        self.uses.iter().filter_map(|asked| asked.scored_by().map(str::to_owned)).collect()
    }

    /// With the newest scores of those that cannot be asked: what a classifier has passed while its files were
    /// here need not be passed again on a machine without them.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn with_newest(mut self, ctx: &Ctx) -> Result<Self> {
        if self.missing().next().is_some() {
            let versions = ctx.store.scored_by(&ctx.sprint).await?;
            for asked in self.uses.iter_mut().filter(|asked| asked.version.is_err() && !asked.refused) {
                let own = |version: &&String| version.starts_with(&format!("{}@", asked.name));
                asked.newest = versions.iter().find(own).cloned();
            }
        }
        Ok(self)
    }

    /// Those that cannot be asked, and why.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.uses
            .iter()
            .filter_map(|asked| Some((asked.name.as_str(), asked.version.as_ref().err()?.as_str())))
    }

    /// Whether it asks anybody.
    pub fn asks(&self) -> ScreeningPolicy {
        if self.uses.is_empty() && self.every == 0 {
            ScreeningPolicy::None
        } else {
            ScreeningPolicy::Classifiers
        }
    }
}
