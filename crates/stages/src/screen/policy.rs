//! What the configuration asks of texts and of images.

use std::path::Path;

use diptych_core::ScreeningPolicy;
use diptych_core::config::{ClassifierUse, SprintConfig};

use super::classifiers;

/// A classifier as it is to be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Its name in the configuration.
    pub name: String,
    /// From which score on it is positive.
    pub threshold: f64,
    /// The labels that count as positive.
    pub positive: Vec<String>,
    /// What its scores are kept under, or why it cannot be asked.
    pub version: Result<String, String>,
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

    /// What the scores of those that can be asked are kept under.
    pub fn versions(&self) -> Vec<String> {
        self.uses.iter().filter_map(|asked| asked.version.clone().ok()).collect()
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
