//! Annotate: who gets which pair next, and what becomes of an answer. No HTTP here.

use diptych_core::config::{AnnotateConfig, ChecksConfig, ReviewConfig, SprintConfig};
use diptych_core::{AssignmentId, CheckKind, Choice, PersonId, Side, SprintId, SprintState};
use diptych_store::assignments::{Take, Taken};
use diptych_store::checks::{CheckDraw, Checks};
use diptych_store::pairs::Progress;
use diptych_store::reports::Reporting;
use diptych_store::responses::{Respond, Responded, TakenBack};
use diptych_store::{Millis, Store};

use crate::Result;

/// How many pairs a person may hold at once.
pub const MOST_AT_ONCE: usize = 10;

const HOUR: Millis = 3600 * 1000;
const DAY: Millis = 24 * HOUR;

/// So many answers of somebody count before they are measured, each day: who has given none stands in no public list of
/// that day, and would see there that a first answer was to a check.
const BEFORE_CHECKS: i64 = 3;

/// After how long to ask again in a sprint that is paused.
const PAUSE: Millis = 30_000;

/// The longest comment that is taken, in characters.
pub const LONGEST_COMMENT: usize = 2_000;

/// When answers `toxic_content`, and skips, withdraw a pair.
pub fn reporting(config: &SprintConfig) -> Reporting {
    let ReviewConfig { reports, reports_per_day, .. } = config.review;
    Reporting { needed: reports, per_day: reports_per_day, skips: config.annotate.skips_to_review }
}

fn millis(seconds: u64) -> Millis {
    i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
}

/// This person's live assignments first, then, where the sprint is open, new ones up to `count` (1 to
/// [`MOST_AT_ONCE`]).
/// The side of each is drawn here, by a fair coin; and whether a check is mixed in.
///
/// # Errors
/// Where the store fails.
pub async fn take(
    store: &Store,
    sprint: &SprintId,
    config: &SprintConfig,
    state: SprintState,
    person: &PersonId,
    count: usize,
    now: Millis,
) -> Result<Taken> {
    let count = count.clamp(1, MOST_AT_ONCE);
    // What is paused or over asks for nothing new.
    let new = if state == SprintState::Open { count } else { 0 };
    let take = Take {
        sprint: sprint.clone(),
        person: person.clone(),
        count,
        sides: (0..new).map(|_| coin()).collect(),
        now,
        lease: millis(config.annotate.lease_s),
        skip_cooldown: millis(config.annotate.skip_cooldown_s),
        checks: match config.checks.are_on() {
            true => draw_check(config.checks, new, rand::random).map_or(Checks::NotNow, Checks::Now),
            false => Checks::Off,
        },
    };
    let mut taken = store.take(take).await?;
    if taken.held.is_empty() {
        taken.free_at = match state {
            SprintState::Open => taken.free_at,
            SprintState::Paused => Some(now + PAUSE),
            SprintState::Closed | SprintState::Archived => None,
        };
    }
    Ok(taken)
}

fn coin() -> Side {
    if rand::random() { Side::Left } else { Side::Right }
}

/// Whether a check comes in place of one of `count` new pairs, and which; at most one, so that two never follow each
/// other closely. `random` gives numbers from 0 to 1.
fn draw_check(config: ChecksConfig, count: usize, mut random: impl FnMut() -> f64) -> Option<CheckDraw> {
    (1..=count).find_map(|with| {
        let drawn = random();
        let kind = if drawn < config.repeats {
            CheckKind::Repeat
        } else if drawn < config.repeats + config.gold {
            CheckKind::Gold
        } else {
            return None;
        };
        let (side, lot, pictures) = (coin(), rand::random(), rand::random());
        Some(CheckDraw { kind, with, after: BEFORE_CHECKS, side, lot, pictures })
    })
}

/// What a person has given as an answer.
#[derive(Debug, Clone)]
pub struct Given {
    /// What was pressed.
    pub choice: Choice,
    /// How long the pair was looked at, in milliseconds.
    pub duration_ms: Option<i64>,
    /// What the person adds.
    pub comment: Option<String>,
}

/// Takes an answer in; it is on disk when this returns. Where the sprint asks nobody any more, what comes after the lease
/// is not taken.
///
/// # Errors
/// Where the store fails; the answer is not kept then.
pub async fn respond(
    store: &Store,
    reporting: Reporting,
    person: &PersonId,
    assignment: &AssignmentId,
    given: Given,
    now: Millis,
) -> Result<Responded> {
    let Given { choice, duration_ms, comment } = given;
    let comment = comment.map(|text| text.replace('\0', ""));
    let comment = comment.filter(|text| !text.trim().is_empty());
    let respond = Respond {
        person: person.clone(),
        assignment: assignment.clone(),
        choice,
        // A clock that was set back while somebody looked tells nothing.
        duration_ms: duration_ms.filter(|ms| *ms >= 0).map(|ms| ms.min(DAY)),
        comment,
        reporting,
        now,
    };
    Ok(store.respond(respond).await?)
}

/// Takes an answer, or a skip, back.
///
/// # Errors
/// Where the store fails; the answer stands then.
pub async fn take_back(
    store: &Store,
    config: &AnnotateConfig,
    person: &PersonId,
    assignment: &AssignmentId,
    now: Millis,
) -> Result<TakenBack> {
    Ok(store.take_back(person, assignment, now, millis(config.lease_s)).await?)
}

/// A person's count as the public sees it: rounded down to tens, so that it does not join a name on a leaderboard to
/// a pseudonym in the published data.
pub fn rounded(count: i64) -> i64 {
    count - count.rem_euclid(10)
}

/// Whether what everybody was told of a sprint with checks goes on being told: until so many answers have come or gone.
/// Answers to checks are in no count: whoever answers alone, and sees that one did not move, would know which they are.
pub fn stands(told: Progress, is: Progress, changes: i64) -> bool {
    let is_full = |progress: Progress| progress.submitted >= progress.wanted;
    !is_full(told)
        && !is_full(is)
        && is.pairs <= told.pairs
        && (is.submitted - told.submitted).abs() < changes
}

/// After how many answers it is told anew: nobody knows after which one.
pub fn told_again_after() -> i64 {
    10 + i64::from(rand::random::<u8>() % 10)
}

/// In how many days a sprint is done at the pace of the last one, rounded up; none where nobody has answered in it. A
/// sprint that began a while ago, in milliseconds, has its pace of that time; of less than an hour none can be told.
pub fn days_left(given: i64, wanted: i64, last_day: i64, begun: Millis) -> Option<i64> {
    let days = begun.clamp(HOUR, DAY) as f64 / DAY as f64;
    (last_day > 0).then(|| ((wanted - given).max(0) as f64 * days / last_day as f64).ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_come_at_the_rate_that_was_stated() {
        let mut numbers = (0..).map(|number: u32| f64::from(number * 7919 % 10_007) / 10_007.0);
        let config = ChecksConfig { repeats: 0.05, gold: 0.1 };
        let (mut shown, mut of) = (0, [0; 2]);
        for _ in 0..10_007 {
            let check = draw_check(config, 1, || numbers.next().unwrap());
            shown += 1;
            if let Some(check) = check {
                assert_eq!(check.with, 1);
                of[usize::from(check.kind == CheckKind::Gold)] += 1;
            }
        }
        let share = |number: i32| (f64::from(number) / f64::from(shown) * 1000.0).round();
        assert_eq!(of.map(share), [50.0, 100.0]);
        assert_eq!(draw_check(ChecksConfig::default(), 10, || 0.0), None);
        let first = draw_check(config, 3, || 0.0).map(|check| (check.kind, check.with));
        assert_eq!(first, Some((CheckKind::Repeat, 1)), "one at the most");
    }

    #[test]
    fn what_is_shown_of_a_person_is_rounded_down() {
        assert_eq!([0, 9, 10, 19, 1234].map(rounded), [0, 0, 10, 10, 1230]);
    }

    #[test]
    fn a_sprint_with_checks_tells_of_no_single_answer() {
        let of = |pairs, submitted| Progress { pairs, completed: 0, submitted, wanted: 3 * pairs, mark: 0 };
        let told = of(24, 40);
        assert!((31..50).all(|submitted| stands(told, of(24, submitted), 10)), "neither forth nor back");
        assert!(!stands(told, of(24, 50), 10) && !stands(told, of(24, 30), 10));
        assert!(stands(told, of(22, 39), 10), "nor how many pairs a report withdrew");
        assert!(!stands(told, of(30, 40), 10), "more pairs are told");
        assert!(
            !stands(of(24, 70), of(24, 72), 10) && !stands(of(24, 72), of(24, 71), 10),
            "as when it is full"
        );
        assert!((0..100).all(|_| (10..20).contains(&told_again_after())));
    }

    #[test]
    fn a_pace_is_a_forecast_only_where_there_is_one() {
        assert_eq!(days_left(0, 30, 0, DAY), None);
        assert_eq!(days_left(10, 30, 10, DAY), Some(2));
        assert_eq!(days_left(10, 30, 7, 9 * DAY), Some(3), "rounded up");
        assert_eq!(days_left(25, 30, 10, DAY), Some(1));
        assert_eq!(days_left(30, 30, 10, DAY), Some(0));
        assert_eq!(days_left(1_000, 12_000, 1_000, 2 * HOUR), Some(1), "22 hours at 500 an hour");
        assert_eq!(days_left(1_000, 49_000, 1_000, 2 * HOUR), Some(4));
        assert_eq!(days_left(10, 4_810, 10, 1), Some(20), "a minute is no pace");
    }
}
