//! From scores and reviews to a decision, by one pure function.

use std::collections::BTreeMap;

use diptych_core::{Decision, Stage};
use diptych_store::reviews::Standing;
use diptych_store::scores::Score;

use super::{Policy, Use};

/// What is to be done with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A classifier has not been asked yet.
    Pending,
    /// Decided, and one word for the reason where there is one.
    Decided(Decision, String),
}

/// An item at a screening stage, with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where it stands.
    pub stage: Stage,
    /// Its hash.
    pub content: String,
    /// The text, where it is one.
    pub text: Option<String>,
    /// The index of its prompt.
    pub prompt: i64,
    /// Its category, where it has one yet.
    pub category: String,
    /// The model that made it, where it is an image.
    pub model: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether one of them failed in passing: it is asked again by the next run.
    pub unanswered: bool,
    /// Why classifiers failed on it: the name, and what they said.
    pub errors: Vec<(String, String)>,
    /// What each classifier says that was asked: its name and its score.
    pub scores: Vec<(String, f64)>,
    /// What stands of people's words on it.
    pub standing: Option<Standing>,
}

impl Item {
    /// An item of which nothing is known yet but where it stands and what it is.
    pub fn at(stage: Stage, content: String) -> Self {
        Self {
            stage,
            content,
            text: None,
            prompt: 0,
            category: String::new(),
            model: String::new(),
            outcome: Outcome::Pending,
            unanswered: false,
            errors: Vec::new(),
            scores: Vec::new(),
            standing: None,
        }
    }

    /// Whether people say that it must not be shown (true) or may be (false); none where nobody has said
    /// anything, or they disagree.
    pub fn unsafe_by_people(&self) -> Option<bool> {
        let standing = self.standing.as_ref()?;
        match (standing.last_word, standing.approvals, standing.rejections) {
            (Some(may), ..) => Some(!may),
            (None, 0, 1..) => Some(true),
            (None, 1.., 0) => Some(false),
            (None, ..) => None,
        }
    }

    /// Whether people have decided about it, where `every` of them must approve: an organizer, one who rejects, or
    /// so many who approve.
    pub fn is_reviewed(&self, every: u32) -> bool {
        self.standing.as_ref().is_some_and(|standing| {
            standing.last_word.is_some() || standing.rejections > 0 || standing.approvals >= every.max(1)
        })
    }

    /// Whether a classifier has not been asked yet.
    pub fn is_pending(&self) -> bool {
        self.outcome == Outcome::Pending
    }

    /// Whether a classifier failed on it.
    pub fn is_failed(&self) -> bool {
        !self.errors.is_empty()
    }

    /// What was decided, where something was.
    pub fn decision(&self) -> Option<Decision> {
        match &self.outcome {
            Outcome::Pending => None,
            Outcome::Decided(decision, _) => Some(*decision),
        }
    }
}

/// What one classifier says of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said {
    /// It cannot be asked.
    Missing,
    /// It has not been asked yet.
    Nothing,
    /// It was asked and gave no score that could be used.
    Failed,
    /// The score by which it is positive or not.
    Score(f64),
}

/// What each classifier of the policy says, by the scores that are kept.
pub fn said(policy: &Policy, scores: &[Score]) -> Vec<Said> {
    let said = policy.uses().iter().map(|asked| {
        let score =
            asked.scored_by().and_then(|version| scores.iter().find(|score| score.classifier == version));
        let Some(score) = score else {
            return if asked.version.is_ok() { Said::Nothing } else { Said::Missing };
        };
        positive_score(asked, score).filter(|value| !value.is_nan()).map_or(Said::Failed, Said::Score)
    });
    said.collect()
}

/// The highest score of the labels that count. None where there is none of them, or one that must be is not.
fn positive_score(asked: &Use, score: &Score) -> Option<f64> {
    let labels: BTreeMap<String, f64> = serde_json::from_str(&score.labels).ok()?;
    if asked.positive.is_empty() {
        return labels.into_values().reduce(f64::max);
    }
    if asked.every_label && asked.positive.iter().any(|label| !labels.contains_key(label)) {
        return None;
    }
    asked.positive.iter().filter_map(|label| labels.get(label)).copied().reduce(f64::max)
}

/// Decides about one item.
///
/// People come before classifiers: an organizer's last word, then moderators, who must agree. Where every
/// item is to be looked at, so many approvals are needed, and a classifier's "no" still stands until they are
/// there. Of the classifiers, any positive one removes; one that is missing or failed leaves the item to people.
pub fn decide(policy: &Policy, said: &[Said], standing: Option<&Standing>) -> Outcome {
    let decided = |decision, reason: &str| Outcome::Decided(decision, reason.to_owned());
    if let Some(standing) = standing {
        match standing.last_word {
            Some(true) => return decided(Decision::Passed, ""),
            Some(false) => return decided(Decision::Removed, &standing.reason),
            None if standing.is_disputed() => return decided(Decision::NeedsReview, "disputed"),
            None if standing.rejections > 0 => return decided(Decision::Removed, &standing.reason),
            None if standing.approvals > 0 && standing.approvals >= policy.every() => {
                return decided(Decision::Passed, "");
            }
            None => {}
        }
    }
    match by_classifiers(policy, said) {
        Outcome::Decided(Decision::Passed | Decision::NotScreened, _) if policy.every() > 0 => {
            decided(Decision::NeedsReview, "every_image")
        }
        outcome => outcome,
    }
}

fn by_classifiers(policy: &Policy, said: &[Said]) -> Outcome {
    let mut pending = false;
    let mut problem: Option<String> = None;
    for (asked, said) in policy.uses().iter().zip(said) {
        match said {
            Said::Score(value) if *value >= asked.threshold => {
                return Outcome::Decided(Decision::Removed, asked.name.clone());
            }
            Said::Score(value) if value.is_finite() => {}
            Said::Nothing => pending = true,
            Said::Missing if asked.refused => {
                _ = problem.get_or_insert(format!("{} misconfigured", asked.name));
            }
            Said::Missing => _ = problem.get_or_insert(format!("{} missing", asked.name)),
            Said::Failed | Said::Score(_) => _ = problem.get_or_insert(format!("{} failed", asked.name)),
        }
    }
    match problem {
        _ if pending => Outcome::Pending,
        Some(problem) => Outcome::Decided(Decision::NeedsReview, problem),
        None if policy.uses().is_empty() => Outcome::Decided(Decision::NotScreened, String::new()),
        None => Outcome::Decided(Decision::Passed, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_core::config::{Overrides, SprintConfig};
    use proptest::prelude::*;

    fn policy(every: u32) -> Policy {
        let toml = format!(
            "[sprint]\nslug = \"s\"\ntitle = \"S\"\n[collect]\nsources = [\"x\"]\n\
             [screen]\nimage = [{{ use = \"one\", threshold = 0.8 }}, {{ use = \"two\", threshold = 0.5 }}]\n\
             [review]\nevery_image = {every}\n\
             [classifiers.one]\nengine = \"openai-moderation\"\npositive = [\"nsfw\"]\n\
             [classifiers.two]\nengine = \"openai-moderation\"\npositive = [\"nsfw\", \"gore\"]\n\
             [[models]]\nkey = \"a\"\nname = \"rehearsal/noto\"\nengine = \"rehearsal\"\n\
             [[models]]\nkey = \"b\"\nname = \"rehearsal/fluent\"\nengine = \"rehearsal\"\n"
        );
        let config = SprintConfig::parse("sprint.toml", &toml, &Overrides::none()).unwrap();
        Policy::of_images(&config, std::path::Path::new("."))
    }

    fn score(policy: &Policy, place: usize, labels: &str, error: &str) -> Score {
        Score {
            content: "c".to_owned(),
            classifier: policy.uses()[place].version.clone().unwrap(),
            labels: labels.to_owned(),
            error: error.to_owned(),
            detail: "{}".to_owned(),
        }
    }

    fn decision(outcome: &Outcome) -> Option<Decision> {
        match outcome {
            Outcome::Pending => None,
            Outcome::Decided(decision, _) => Some(*decision),
        }
    }

    #[test]
    fn any_positive_removes_and_any_failure_leaves_it_to_people() {
        let policy = policy(0);
        let low = score(&policy, 0, r#"{"nsfw": 0.79, "sfw": 0.21}"#, "");
        let fine = score(&policy, 1, r#"{"nsfw": 0.1, "gore": 0.2}"#, "");
        let gore = score(&policy, 1, r#"{"nsfw": 0.1, "gore": 0.5}"#, "");
        let failed = score(&policy, 1, "{}", "it crashed");
        let other_labels = score(&policy, 1, r#"{"cat": 0.9}"#, "");
        let half = score(&policy, 1, r#"{"nsfw": 0.1}"#, "");
        let of = |scores: &[&Score]| {
            let scores: Vec<Score> = scores.iter().map(|score| (*score).clone()).collect();
            decision(&decide(&policy, &said(&policy, &scores), None))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&low]), None, "the other one was not asked");
        assert_eq!(of(&[&low, &fine]), Some(Decision::Passed));
        assert_eq!(of(&[&low, &gore]), Some(Decision::Removed));
        assert_eq!(of(&[&gore]), Some(Decision::Removed), "one positive is enough");
        assert_eq!(of(&[&low, &failed]), Some(Decision::NeedsReview));
        assert_eq!(of(&[&low, &other_labels]), Some(Decision::NeedsReview));
        assert_eq!(of(&[&low, &half]), Some(Decision::NeedsReview), "`gore` was not judged");
    }

    proptest! {
        /// Unscreened means unseen, whatever stands: without every score, only people let an item pass.
        #[test]
        fn nothing_passes_that_nobody_has_looked_at(
            every in 0u32..3, first in proptest::option::of(0.0f64..1.0), second in proptest::option::of(0.0f64..1.0),
            failed: bool, approvals in 0u32..4, rejections in 0u32..3, last_word in proptest::option::of(any::<bool>()),
        ) {
            let policy = policy(every);
            let mut scores = Vec::new();
            if let Some(value) = first {
                scores.push(score(&policy, 0, &format!("{{\"nsfw\": {value}}}"), ""));
            }
            if failed {
                scores.push(score(&policy, 1, "{}", "no"));
            } else if let Some(value) = second {
                scores.push(score(&policy, 1, &format!("{{\"gore\": {value}, \"nsfw\": 0}}"), ""));
            }
            let standing = Standing { approvals, rejections, last_word, reason: "violence".to_owned() };
            let outcome = decide(&policy, &said(&policy, &scores), Some(&standing));
            let people = last_word == Some(true)
                || (last_word.is_none() && rejections == 0 && approvals > 0 && approvals >= every);
            let classifiers = first.is_some_and(|value| value < 0.8) && !failed && second.is_some_and(|value| value < 0.5)
                && every == 0 && rejections == 0 && last_word.is_none();
            prop_assert_eq!(decision(&outcome) == Some(Decision::Passed), people || classifiers);
            prop_assert_ne!(decision(&outcome), Some(Decision::NotScreened));
        }
    }
}
