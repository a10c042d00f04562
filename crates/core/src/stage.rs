//! The batch stages, in the order in which they run.

use crate::answer::words;

use serde::{Deserialize, Serialize};

words! {
    /// A batch stage of a sprint.
    Stage {
        /// Reads the sources into prompts.
        Collect = "collect",
        /// Normalises prompts and drops duplicates, other languages and odd lengths.
        Clean = "clean",
        /// Screens prompts.
        ScreenPrompts = "screen-prompts",
        /// Writes the variants of each prompt.
        Enhance = "enhance",
        /// Screens variants.
        ScreenVariants = "screen-variants",
        /// Makes an image of each variant with each model.
        Generate = "generate",
        /// Screens images.
        ScreenImages = "screen-images",
        /// Puts two images of a variant side by side.
        Pair = "pair",
    }
}

impl Stage {
    /// The stages that a word on the command line names: a stage's own name, or `screen` for all three.
    pub fn from_command_line(word: &str) -> Option<Vec<Stage>> {
        if word == "screen" {
            return Some(vec![Stage::ScreenPrompts, Stage::ScreenVariants, Stage::ScreenImages]);
        }
        Stage::from_word(word).map(|stage| vec![stage])
    }
}
