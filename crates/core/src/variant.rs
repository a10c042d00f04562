//! The ways in which a prompt is rewritten before it is sent to the image models.

use serde::{Deserialize, Serialize};

use crate::answer::words;
use crate::id::PromptIndex;

words! {
    /// How a prompt was rewritten.
    Evolution {
        /// Short and plain.
        Simplified = "simplified",
        /// Rich and detailed.
        Quality = "quality",
    }
}

/// The id of a published row: `{index}-{evolution}`, with `-{model_1}-{model_2}` where the sprint
/// has more than two models, so that an id always names one row (FORMATS: the `results` table).
pub fn row_id(index: PromptIndex, evolution: Evolution, models: Option<(&str, &str)>) -> String {
    match models {
        None => format!("{index}-{evolution}"),
        Some((first, second)) => format!("{index}-{evolution}-{first}-{second}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_ids_are_those_of_the_published_format() {
        assert_eq!(row_id(PromptIndex(3368), Evolution::Quality, None), "3368-quality");
        assert_eq!(row_id(PromptIndex(7), Evolution::Simplified, Some(("dev", "sd"))), "7-simplified-dev-sd");
    }
}
