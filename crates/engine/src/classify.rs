//! Classifiers: what they are asked and what they say.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use crate::EngineError;

/// What a classifier says of one item: each of its labels with a score between 0 and 1.
pub type Labels = BTreeMap<String, f32>;

/// Looks at texts.
#[async_trait]
pub trait TextClassifier: Send + Sync {
    /// One outcome a text, in their order. A text that could not be classified is an error of its own.
    async fn classify(&self, texts: Vec<String>) -> Vec<Result<Labels, EngineError>>;

    /// What its scores depend on besides the text: its name, its model file, the way it prepares its input.
    /// Items that were scored by another version are scored again.
    fn version(&self) -> &str;

    /// Its labels, where they are known before it is asked.
    fn labels(&self) -> Option<Vec<String>>;

    /// How many texts it likes to be given at once.
    fn together(&self) -> usize;

    /// Tries, for no money, whether it can be reached with its settings; one sentence on what it found.
    async fn probe(&self) -> Result<String, EngineError>;
}

/// Looks at pictures, as whole files.
#[async_trait]
pub trait ImageClassifier: Send + Sync {
    /// One outcome a picture, in their order; of an animation, the highest scores of its frames.
    async fn classify(&self, images: Vec<Bytes>) -> Vec<Result<Labels, EngineError>>;

    /// As [`TextClassifier::version`].
    fn version(&self) -> &str;

    /// As [`TextClassifier::labels`].
    fn labels(&self) -> Option<Vec<String>>;

    /// How many pictures it likes to be given at once.
    fn together(&self) -> usize;

    /// As [`TextClassifier::probe`].
    async fn probe(&self) -> Result<String, EngineError>;
}
