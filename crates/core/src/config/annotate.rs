//! How people answer, how that is measured, and what organizers hear of.

use serde::{Deserialize, Serialize};

use super::{Overlap, Problem};

/// How people answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnnotateConfig {
    /// How many people answer each pair.
    pub overlap: Overlap,
    /// How long a person may hold a pair before it goes back, in seconds.
    pub lease_s: u64,
    /// How long after a skip the same pair stays away from that person, in seconds.
    pub skip_cooldown_s: u64,
    /// So many people who skip a pair bring it to the moderators.
    pub skips_to_review: u32,
    /// Whether everybody may see the results before the sprint closes.
    pub public_results: bool,
    /// What the answers are for, in a sentence or two that people read before they begin.
    pub about: String,
    /// What people are to look at, in place of the program's own words; a line is a paragraph.
    pub guidelines: String,
    /// The age that people say they have before they begin, in years; none where it does not matter.
    pub minimum_age: Option<u8>,
    /// What becomes of the answers of who has their data removed.
    pub leaving: Leaving,
}

/// What becomes of the answers of somebody who has their data removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leaving {
    /// They stay under a pseudonym that nothing joins to the person any more.
    #[default]
    Keep,
    /// They are removed, and others are asked in their place.
    Remove,
}

impl Default for AnnotateConfig {
    fn default() -> Self {
        Self {
            overlap: Overlap::of(3),
            lease_s: 600,
            skip_cooldown_s: 86_400,
            skips_to_review: 3,
            public_results: false,
            about: String::new(),
            guidelines: String::new(),
            minimum_age: None,
            leaving: Leaving::Keep,
        }
    }
}

impl AnnotateConfig {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |good: bool, path: &[&str], message: String| {
            if !good {
                found.push(Problem::new(path, message));
            }
        };
        check(
            (1..=1000).contains(&self.overlap.min) && self.overlap.max <= 1000,
            &["annotate", "overlap"],
            format!("{} people a pair: it must be 1 to 1000", self.overlap),
        );
        check(
            self.overlap.min <= self.overlap.max,
            &["annotate", "overlap"],
            "`min` is more than `max`".to_owned(),
        );
        check(self.skips_to_review > 0, &["annotate", "skips_to_review"], "must be at least 1".to_owned());
        check(self.lease_s > 0, &["annotate", "lease_s"], "must be at least 1 second".to_owned());
        found
    }
}

/// Showings that measure a person, mixed in among the pairs: outside overlap, results and exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksConfig {
    /// The share of what people are shown that they have answered before, with the sides swapped.
    pub repeats: f64,
    /// The share with a known answer: a picture of the prompt beside a picture of another one.
    pub gold: f64,
}

impl ChecksConfig {
    /// Whether there are any.
    pub fn are_on(&self) -> bool {
        self.repeats + self.gold > 0.0
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (key, share) in [("repeats", self.repeats), ("gold", self.gold)] {
            if !(0.0..=0.25).contains(&share) {
                found.push(Problem::new(&["checks", key], format!("{share} is not a share from 0 to 0.25")));
            }
        }
        found
    }
}

/// When organizers hear of something without looking for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// When one person, or one address, gives more than this share of a day's answers.
    pub share: f64,
    /// When an hour brings less than this share of what an hour of the day before did.
    pub fall: f64,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { share: 0.25, fall: 0.2 }
    }
}

impl AlertsConfig {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (key, share) in [("share", self.share), ("fall", self.fall)] {
            if !(0.0..=1.0).contains(&share) {
                found.push(Problem::new(&["alerts", key], format!("{share} is not a share from 0 to 1")));
            }
        }
        found
    }
}
