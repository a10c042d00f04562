//! The states that rows pass through, and the parts of a dataset that they end in.

use serde::{Deserialize, Serialize};

use crate::answer::words;

words! {
    /// What clean said of a prompt.
    CleanState {
        /// It goes on.
        Kept = "kept",
        /// It does not; the reason stands beside it.
        Dropped = "dropped",
    }
}

words! {
    /// The part of a dataset that a prompt, with all that comes of it, belongs to.
    Split {
        /// What models are trained on.
        Train = "train",
        /// What is held out for evaluation.
        Test = "test",
    }
}

words! {
    /// What has become of an assignment.
    AssignmentState {
        /// Its person holds the pair.
        Open = "open",
        /// It was answered.
        Answered = "answered",
        /// Its person has passed the pair on.
        Skipped = "skipped",
        /// Its lease has ended without an answer.
        Expired = "expired",
        /// The pair was taken from its person.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// Whether a response counts.
    ResponseState {
        /// It counts.
        Submitted = "submitted",
        /// It is kept beyond an overlap that was made smaller.
        Surplus = "surplus",
        /// It is kept, and its person's answers do not count.
        Excluded = "excluded",
        /// Its person has taken it back.
        TakenBack = "taken_back",
    }
}

words! {
    /// How a showing measures a person.
    CheckKind {
        /// A pair that the person has answered, with the sides swapped.
        Repeat = "repeat",
        /// A pair with a known answer.
        Gold = "gold",
    }
}

words! {
    /// Whether people are asked in a sprint.
    SprintState {
        /// They are.
        Open = "open",
        /// Not now; what they hold they may still answer.
        Paused = "paused",
        /// No more: the results are for everybody.
        Closed = "closed",
        /// The same, and it stands in no list any more.
        Archived = "archived",
    }
}

impl SprintState {
    /// Whether nobody will be asked any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Archived)
    }
}
