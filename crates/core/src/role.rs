//! What people may do.

use serde::{Deserialize, Serialize};

use crate::answer::words;

words! {
    /// What a person may do in a sprint; each may do what those before it may.
    Role {
        /// Answers.
        Annotator = "annotator",
        /// Also reviews.
        Moderator = "moderator",
        /// Also sees results, and changes thresholds; has the last word.
        Organizer = "organizer",
    }
}
