//! The demo's simulated annotators: labelled as such, with preferences that are stated.
//!
//! They take and answer pairs through the same functions as people. Categories are answered whole
//! or not at all, so that the report has a win, a tie and something open, and the visitor has pairs.

use std::collections::{BTreeMap, HashMap};

use diptych_core::{AssignmentId, Choice, Name, PersonId, Role, Side, seed};
use diptych_store::EVERY_PROMPT;
use diptych_store::pairs::PairRow;
use diptych_store::people::PersonKind;
use diptych_store::responses::{Respond, Responded};
use diptych_store::simulate::{HeldPair, hold_pair};

use crate::ctx::now;
use crate::{Ctx, Result, StageError};

/// What simulated annotators prefer in a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taste {
    /// The first model, nearly always.
    First,
    /// The second model, nearly always.
    Second,
    /// Each model for half of the pairs.
    Even,
    /// The first model a little more often.
    Leaning,
}

impl Taste {
    /// In words, for the visitor.
    pub fn says(self, first: &str, second: &str) -> String {
        match self {
            Taste::First => format!("prefer {first}"),
            Taste::Second => format!("prefer {second}"),
            Taste::Even => format!("prefer {first} for every other pair, {second} for the rest"),
            Taste::Leaning => format!("lean to {first}, and often disagree"),
        }
    }
}

/// What was simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// The annotators' names.
    pub names: Vec<String>,
    /// What they prefer, by category.
    pub tastes: BTreeMap<String, Taste>,
    /// How many answers they have given.
    pub answers: usize,
    /// Who may review what they have reported: a name to sign in with on this machine.
    pub moderator: &'static str,
}

/// The order in which tastes are handed to categories, the largest first.
const TASTES: [Taste; 4] = [Taste::First, Taste::Even, Taste::Second, Taste::Leaning];

/// Who reviews in the demo.
const MODERATOR: &str = "Moderator";

/// Simulates answers to about half of the pairs, whole categories at a time. What is answered stays,
/// so a second call adds nothing.
///
/// # Errors
/// Where the store fails.
pub async fn simulate(ctx: &Ctx) -> Result<Simulated> {
    let overlap = ctx.config.annotate.overlap.max as usize;
    let names: Vec<String> = (1..=overlap).map(|number| format!("Simulated annotator {number}")).collect();
    let mut people = Vec::new();
    for name in &names {
        people.push(ctx.store.person(&named(name)?, PersonKind::Simulated, now()).await?.id);
    }
    let pairs = ctx.store.pairs(&ctx.sprint, EVERY_PROMPT).await?;
    // What was reported the first time counts all the same, so that a second call chooses alike.
    let total = pairs.len() + ctx.store.reported_pairs(&ctx.sprint).await?.len();
    let mut by_category: HashMap<&str, Vec<&PairRow>> = HashMap::new();
    for pair in &pairs {
        by_category.entry(&pair.category).or_default().push(pair);
    }
    let mut categories: Vec<(&str, Vec<&PairRow>)> = by_category.into_iter().collect();
    categories.sort_by_key(|(name, pairs)| (std::cmp::Reverse(pairs.len()), *name));
    let mut tastes = BTreeMap::new();
    let (mut chosen, mut answers) = (0, 0);
    for (category, pairs_of) in categories {
        if 2 * (chosen + pairs_of.len()) > total {
            continue;
        }
        chosen += pairs_of.len();
        let taste = TASTES[tastes.len() % TASTES.len()];
        tastes.insert(category.to_owned(), taste);
        for (number, pair) in pairs_of.iter().enumerate() {
            for (who, person) in people.iter().enumerate() {
                answers += usize::from(answer(ctx, person, who, pair, number, taste).await?);
            }
        }
    }
    // One of the open pairs is reported, so that the review page has something to review.
    let open = pairs.iter().find(|pair| !tastes.contains_key(&pair.category));
    if let (Some(pair), Some(person)) = (open, people.first())
        && ctx.store.reports_of(&ctx.sprint, person).await? == (0, 0, 0)
    {
        answers += usize::from(give(ctx, person, pair, Side::Left, Choice::ToxicContent).await?);
    }
    let moderator = ctx.store.person(&named(MODERATOR)?, PersonKind::Person, now()).await?;
    ctx.store.set_role(&ctx.sprint, &moderator.id, Role::Organizer).await?;
    Ok(Simulated { names, tastes, answers, moderator: MODERATOR })
}

/// One simulated answer; says whether it is new.
async fn answer(
    ctx: &Ctx,
    person: &PersonId,
    who: usize,
    pair: &PairRow,
    number: usize,
    taste: Taste,
) -> Result<bool> {
    let side = if seed::draw(17, pair.key.as_str(), who as i64).is_multiple_of(2) {
        Side::Left
    } else {
        Side::Right
    };
    let draw = seed::unit(seed::draw(23, pair.key.as_str(), who as i64));
    let first_wins = match taste {
        Taste::First => draw < 0.94,
        Taste::Second => draw >= 0.94,
        Taste::Even => number.is_multiple_of(2),
        Taste::Leaning => draw < 0.6,
    };
    let odd = seed::unit(seed::draw(29, pair.key.as_str(), who as i64));
    let choice = match (odd, taste) {
        // Nobody is of one mind all the time; the even ones are, so that a small demo shows a tie.
        (odd, Taste::First | Taste::Second | Taste::Leaning) if odd < 0.06 => Choice::BothGood,
        (odd, Taste::Leaning) if odd < 0.3 => Choice::BothBad,
        _ if first_wins == (side == Side::Left) => Choice::Left,
        _ => Choice::Right,
    };
    give(ctx, person, pair, side, choice).await
}

/// Takes the pair and answers it, as a person would; says whether the answer is new.
async fn give(ctx: &Ctx, person: &PersonId, pair: &PairRow, side: Side, choice: Choice) -> Result<bool> {
    let held = HeldPair { pair: pair.id.clone(), person: person.clone(), side, now: now(), lease: 60_000 };
    let Some(assignment) = hold_pair(&ctx.store, held).await? else { return Ok(false) };
    Ok(respond(ctx, person, &assignment, choice).await? == Responded::Recorded)
}

async fn respond(
    ctx: &Ctx,
    person: &PersonId,
    assignment: &AssignmentId,
    choice: Choice,
) -> Result<Responded> {
    let respond = Respond {
        reporting: crate::annotate::reporting(&ctx.config),
        person: person.clone(),
        assignment: assignment.clone(),
        choice,
        duration_ms: None,
        comment: Some("simulated".to_owned()),
        now: now(),
    };
    Ok(ctx.store.respond(respond).await?)
}

fn named(name: &str) -> Result<Name> {
    Name::parse(name).map_err(|error| StageError::Refused(format!("`{name}`: {error}")))
}
