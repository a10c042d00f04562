//! What screening says of an item, and the type that proves that an item may be used.

use serde::{Deserialize, Serialize};

use crate::answer::words;

words! {
    /// What screening and review say of one item.
    Decision {
        /// Every configured classifier let it pass.
        Passed = "passed",
        /// A classifier or a person removed it.
        Removed = "removed",
        /// A classifier is missing or failed: nobody sees it until a person has looked.
        NeedsReview = "needs_review",
        /// No classifier is configured for this kind of item; that was the organizer's choice.
        NotScreened = "not_screened",
    }
}

/// What the configuration asks for at one screening stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreeningPolicy {
    /// At least one classifier is configured.
    Classifiers,
    /// The configured list is empty.
    None,
}

/// An item that may be generated from, paired or shown.
///
/// Made only by [`Screened::admit`], so code that takes a `Screened<T>` cannot be written for
/// anything that screening has not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened<T> {
    item: T,
    decision: Decision,
}

impl<T> Screened<T> {
    /// Admits an item that passed, or that was not screened where the configured list is empty.
    ///
    /// # Errors
    /// Gives the item and its decision back where they do not allow it to be used.
    pub fn admit(item: T, decision: Decision, policy: ScreeningPolicy) -> Result<Self, (T, Decision)> {
        match (decision, policy) {
            (Decision::Passed, _) | (Decision::NotScreened, ScreeningPolicy::None) => {
                Ok(Self { item, decision })
            }
            _ => Err((item, decision)),
        }
    }

    /// The item.
    pub fn get(&self) -> &T {
        &self.item
    }

    /// The item itself, no longer marked.
    pub fn into_inner(self) -> T {
        self.item
    }

    /// `Passed` or `NotScreened`.
    pub fn decision(&self) -> Decision {
        self.decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passed_items_and_those_that_nobody_wanted_screened_are_admitted() {
        for policy in [ScreeningPolicy::Classifiers, ScreeningPolicy::None] {
            for decision in Decision::ALL {
                let wanted = *decision == Decision::Passed
                    || (*decision == Decision::NotScreened && policy == ScreeningPolicy::None);
                assert_eq!(Screened::admit((), *decision, policy).is_ok(), wanted, "{decision} {policy:?}");
            }
        }
    }
}
