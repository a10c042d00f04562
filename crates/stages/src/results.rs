//! Results: what the answers say, as counts, agreement and win ratios.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use diptych_core::config::SprintConfig;
use diptych_core::{Answer, PairId};
use diptych_stats as stats;
use diptych_store::EVERY_PROMPT;
use diptych_store::pairs::PairRow;
use diptych_store::responses::ResponseRow;
use serde::Serialize;

use crate::{Ctx, Result};

/// The name of the rule that decides a pair (FORMATS: "the rule that binarizes").
pub const RULE: &str = "majority";

/// A figure. The bounds of its interval come with the statistics of a later version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// The value.
    pub value: f64,
}

impl Figure {
    fn some(value: Option<f64>) -> Option<Self> {
        value.map(|value| Self { value })
    }
}

/// The report, as `diptych report --json` and `GET …/results` give it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The sprint's slug.
    pub sprint: String,
    /// Whether pairs are still waiting for answers.
    pub provisional: bool,
    /// Pairs.
    pub pairs: u64,
    /// Pairs with all the responses that they want.
    pub completed: u64,
    /// Responses that count.
    pub responses: u64,
    /// How often each answer was given.
    pub answers: BTreeMap<&'static str, u64>,
    /// How far people agree on the completed pairs with two or more responses.
    pub agreement: Agreement,
    /// Every model.
    pub models: Vec<ModelReport>,
    /// Every category that has pairs.
    pub categories: Vec<CategoryReport>,
    /// Of the answers that chose a side, the share that chose the left one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side_bias: Option<Figure>,
    /// What each rule makes of the pairs.
    pub rules: Vec<RuleReport>,
    /// What the figures rest on that a reader must know.
    pub notes: Vec<String>,
}

/// Shares of the completed pairs with two or more responses; they add up to 1, and are absent where
/// there is no such pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Everybody gave the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanimous: Option<Figure>,
    /// Over half, but not all, gave the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub majority: Option<Figure>,
    /// No answer has more than half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Figure>,
}

/// How often a model wins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The model's key.
    pub model: String,
    /// Answers that chose it.
    pub wins: u64,
    /// Its win ratios.
    pub win_ratio: WinRatio,
}

/// A model's win ratios; absent where there is nothing to divide by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WinRatio {
    /// Wins by all answers, ties included: what the reference query computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Figure>,
    /// Wins by wins and losses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Figure>,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryReport {
    /// Its name.
    pub category: String,
    /// Its pairs.
    pub pairs: u64,
    /// Its responses that count.
    pub responses: u64,
    /// How often each answer was given.
    pub answers: BTreeMap<&'static str, u64>,
    /// How far people agree.
    pub agreement: CategoryAgreement,
    /// Every model.
    pub models: Vec<ModelReport>,
    /// `{model} better`, `tie` or `not decided`; see [`verdict`].
    pub verdict: String,
}

/// How far people agree within a category; absent as in [`Agreement`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CategoryAgreement {
    /// Everybody gave the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanimous: Option<Figure>,
}

/// What a rule makes of the pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// Its name.
    pub rule: &'static str,
    /// Pairs of which it chooses one image.
    pub kept: u64,
}

/// Which image of a pair is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The first.
    Image1,
    /// The second.
    Image2,
}

/// How often each answer was given to one pair, in the order of [`Answer::ALL`].
pub type Tally = [u32; 5];

/// Counts the responses that count.
pub fn tally(responses: &[ResponseRow]) -> Tally {
    let mut counts = Tally::default();
    for response in responses.iter().filter(|response| response.counts()) {
        counts[response.answer as usize] += 1;
    }
    counts
}

/// The rule `majority`: `both_good` counts once for each image; the image that is above the other
/// and above `both_bad` is chosen, else the pair is left out.
pub fn majority(tally: &Tally) -> Option<Chosen> {
    let count = |answer: Answer| tally[answer as usize];
    let first = count(Answer::Image1) + count(Answer::BothGood);
    let second = count(Answer::Image2) + count(Answer::BothGood);
    let bad = count(Answer::BothBad);
    if first > second && first > bad {
        Some(Chosen::Image1)
    } else if second > first && second > bad {
        Some(Chosen::Image2)
    } else {
        None
    }
}

/// The report over the sprint's pairs and responses.
///
/// # Errors
/// Where the store fails.
pub async fn report(ctx: &Ctx) -> Result<Report> {
    let pairs = ctx.store.pairs(&ctx.sprint, EVERY_PROMPT).await?;
    let responses = ctx.store.responses(&ctx.sprint, EVERY_PROMPT).await?;
    let mut report = of_rows(&ctx.config.sprint.slug, &pairs, &responses);
    report.notes = notes(&ctx.config).iter().map(Note::to_string).collect();
    let simulated = simulated(responses.values().flatten());
    if simulated > 0 {
        report.notes.push(format!(
            "Simulated annotators gave {simulated} of the responses: they show how a report looks, no person's taste."
        ));
    }
    Ok(report)
}

/// How many of these responses count and were made up by the program.
pub(crate) fn simulated<'a>(responses: impl IntoIterator<Item = &'a ResponseRow>) -> u64 {
    responses.into_iter().filter(|response| response.counts() && response.simulated).count() as u64
}

/// Something that a reader of any figure of a sprint must know; its words are a sentence of English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// No screening of texts is configured.
    TextsUnscreened,
    /// No screening of images is configured, and nobody has to look at them.
    ImagesUnscreened,
    /// No classifier looks at images; people look at each.
    ImagesLookedAt,
    /// A model only rehearses.
    Rehearsals,
}

impl Note {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::TextsUnscreened, Self::ImagesUnscreened, Self::ImagesLookedAt, Self::Rehearsals];

    /// A name for it, under which its words stand in other languages.
    pub fn key(self) -> &'static str {
        match self {
            Self::TextsUnscreened => "texts_unscreened",
            Self::ImagesUnscreened => "images_unscreened",
            Self::ImagesLookedAt => "images_looked_at",
            Self::Rehearsals => "rehearsals",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TextsUnscreened => "Texts were not screened.",
            Self::ImagesUnscreened => "Images were not screened.",
            Self::ImagesLookedAt => {
                "Images were not screened by classifiers; people have looked at every one."
            }
            Self::Rehearsals => {
                "The pictures are rehearsals, composed from emoji drawings: they are no model's."
            }
        })
    }
}

/// What a reader of any figure of this sprint must know.
pub fn notes(config: &SprintConfig) -> Vec<Note> {
    let of_images = match config.review.every_image {
        0 => Note::ImagesUnscreened,
        _ => Note::ImagesLookedAt,
    };
    let rehearses = config.models.iter().any(|model| model.engine == "rehearsal");
    let all = [
        (config.screen.text.is_empty(), Note::TextsUnscreened),
        (config.screen.image.is_empty(), of_images),
        (rehearses, Note::Rehearsals),
    ];
    all.into_iter().filter_map(|(holds, note)| holds.then_some(note)).collect()
}

/// What a group of pairs adds up to.
#[derive(Default)]
struct Group<'a> {
    pairs: u64,
    tallies: Vec<(&'a PairRow, Tally)>,
}

impl<'a> Group<'a> {
    fn add(&mut self, pair: &'a PairRow, tally: Tally) {
        self.pairs += 1;
        self.tallies.push((pair, tally));
    }

    fn responses(&self) -> u64 {
        self.tallies.iter().flat_map(|(_, tally)| tally).map(|count| u64::from(*count)).sum()
    }

    fn agreement(&self) -> Option<stats::Agreement> {
        stats::agreement(
            self.tallies
                .iter()
                .filter(|(pair, _)| pair.answered >= pair.overlap)
                .map(|(_, tally)| tally.as_slice()),
        )
    }

    /// How often each answer was given.
    fn answers(&self) -> BTreeMap<&'static str, u64> {
        let count =
            |answer: &Answer| self.tallies.iter().map(|(_, tally)| u64::from(tally[*answer as usize])).sum();
        Answer::ALL.iter().map(|answer| (answer.as_str(), count(answer))).collect()
    }

    /// Every model with its wins and losses, by key.
    fn models(&self) -> BTreeMap<&'a str, (u64, u64)> {
        let mut models: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (pair, tally) in &self.tallies {
            let (first, second) = (u64::from(tally[0]), u64::from(tally[1]));
            for (model, wins, losses) in [(&pair.model_1, first, second), (&pair.model_2, second, first)] {
                let entry = models.entry(model).or_default();
                entry.0 += wins;
                entry.1 += losses;
            }
        }
        models
    }

    fn model_reports(&self) -> Vec<ModelReport> {
        // Of all answers of the group, also to pairs without this model: FORMATS, "what the reference query
        // computes".
        let all = self.responses();
        self.models()
            .into_iter()
            .map(|(model, (wins, losses))| ModelReport {
                model: model.to_owned(),
                wins,
                win_ratio: WinRatio {
                    reference: Figure::some(stats::reference_ratio(wins, all)),
                    decided: Figure::some(stats::decided_ratio(wins, losses)),
                },
            })
            .collect()
    }
}

fn of_rows(slug: &str, pairs: &[PairRow], responses: &HashMap<PairId, Vec<ResponseRow>>) -> Report {
    let mut all = Group::default();
    let mut categories: BTreeMap<&str, Group> = BTreeMap::new();
    let mut sides = (0_u64, 0_u64);
    for pair in pairs {
        let given = responses.get(&pair.id).map(Vec::as_slice).unwrap_or_default();
        let tally = tally(given);
        all.add(pair, tally);
        if !pair.category.is_empty() {
            categories.entry(&pair.category).or_default().add(pair, tally);
        }
        for response in given.iter().filter(|response| response.counts()) {
            let left = match response.answer {
                Answer::Image1 => response.side == diptych_core::Side::Left,
                Answer::Image2 => response.side == diptych_core::Side::Right,
                _ => continue,
            };
            if left { sides.0 += 1 } else { sides.1 += 1 }
        }
    }
    let agreement = all.agreement();
    let completed = pairs.iter().filter(|pair| pair.answered >= pair.overlap).count() as u64;
    let answers = all.answers();
    Report {
        sprint: slug.to_owned(),
        provisional: completed < all.pairs,
        pairs: all.pairs,
        completed,
        responses: all.responses(),
        answers,
        agreement: Agreement {
            unanimous: Figure::some(agreement.map(|shares| shares.unanimous)),
            majority: Figure::some(agreement.map(|shares| shares.majority)),
            split: Figure::some(agreement.map(|shares| shares.split)),
        },
        models: all.model_reports(),
        categories: categories
            .into_iter()
            .map(|(category, group)| CategoryReport {
                category: category.to_owned(),
                pairs: group.pairs,
                responses: group.responses(),
                answers: group.answers(),
                agreement: CategoryAgreement {
                    unanimous: Figure::some(group.agreement().map(|shares| shares.unanimous)),
                },
                models: group.model_reports(),
                verdict: verdict(&group),
            })
            .collect(),
        side_bias: Figure::some(stats::decided_ratio(sides.0, sides.1)),
        rules: vec![RuleReport {
            rule: RULE,
            kept: all.tallies.iter().filter(|(_, tally)| majority(tally).is_some()).count() as u64,
        }],
        notes: Vec::new(),
    }
}

/// How improbable a lead must be by chance before it is called one.
const CHANCE: f64 = 0.05;

/// So many decided answers are needed before evenness is called a tie.
const TIE_ANSWERS: u64 = 30;

/// What a category says of two models, in words: `{model} better` where the sign test over its
/// decided pairs (the rule `majority`) gives chance less than 5 %; `tie` where at least 30 decided
/// answers lie within 45 to 55 %; else `not decided`. Over more than two models, `not decided`:
/// ratings come with the statistics of a later version.
fn verdict(group: &Group) -> String {
    let models = group.models();
    let mut keys = models.keys();
    let (Some(first), Some(second), None) = (keys.next(), keys.next(), keys.next()) else {
        return "not decided".to_owned();
    };
    // Several answers to one pair are not independent, pairs are: so pairs are counted.
    let (mut firsts, mut seconds) = (0_u64, 0_u64);
    for (pair, tally) in &group.tallies {
        let winner = match majority(tally) {
            Some(Chosen::Image1) => &pair.model_1,
            Some(Chosen::Image2) => &pair.model_2,
            None => continue,
        };
        if winner == first { firsts += 1 } else { seconds += 1 }
    }
    if stats::sign_test(firsts, seconds) < CHANCE {
        return format!("{} better", if firsts > seconds { first } else { second });
    }
    let (wins, losses) = models[*first];
    match stats::decided_ratio(wins, losses) {
        Some(ratio) if wins + losses >= TIE_ANSWERS && (0.45..=0.55).contains(&ratio) => "tie".to_owned(),
        _ => "not decided".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_core::{Evolution, ImageHash, PromptIndex, ResponseState, Side, Split, UnitKey};
    use proptest::prelude::*;

    fn pair(number: usize, category: &str) -> PairRow {
        PairRow {
            id: PairId::from_text(number.to_string()),
            key: UnitKey::from_text(number.to_string()),
            row_id: format!("{number}-quality"),
            prompt_index: PromptIndex(number as i64),
            evolution: Evolution::Quality,
            category: category.to_owned(),
            sub_category: "film".to_owned(),
            prompt: "a fox".to_owned(),
            split: Split::Train,
            model_1: "dev".to_owned(),
            model_2: "sd".to_owned(),
            image_1_key: UnitKey::from_text("1"),
            image_2_key: UnitKey::from_text("2"),
            image_1: ImageHash::from_text("1"),
            image_2: ImageHash::from_text("2"),
            overlap: 3,
            answered: 3,
        }
    }

    fn rows(answers: &[(usize, &[Answer])]) -> HashMap<PairId, Vec<ResponseRow>> {
        answers
            .iter()
            .map(|(number, answers)| {
                let id = PairId::from_text(number.to_string());
                let rows = answers
                    .iter()
                    .map(|answer| ResponseRow {
                        simulated: false,
                        pair: id.clone(),
                        pseudonym: "p".to_owned(),
                        answer: *answer,
                        side: Side::Left,
                        duration_ms: None,
                        created_at: 0,
                        state: ResponseState::Submitted,
                    })
                    .collect();
                (id.clone(), rows)
            })
            .collect()
    }

    #[test]
    fn with_three_models_the_reference_ratio_is_of_all_answers_of_the_category() {
        use Answer::{Image1, Image2};
        let of = |number, model_1: &str, model_2: &str| PairRow {
            model_1: model_1.to_owned(),
            model_2: model_2.to_owned(),
            ..pair(number, "Anime")
        };
        let pairs = [of(1, "dev", "sd"), of(2, "dev", "xl"), of(3, "sd", "xl")];
        let responses = rows(&[(1, &[Image1, Image2]), (2, &[Image1, Image1]), (3, &[Image1, Image2])]);
        let report = of_rows("s", &pairs, &responses);
        let dev = &report.categories[0].models[0];
        assert_eq!((dev.model.as_str(), dev.wins), ("dev", 3));
        assert_eq!(dev.win_ratio.reference.unwrap().value, 3.0 / 6.0);
        assert_eq!(dev.win_ratio.decided.unwrap().value, 3.0 / 4.0);
        assert_eq!(report.categories[0].answers["image_1"], 4);
    }

    #[test]
    fn a_small_sprint_by_hand() {
        use Answer::{BothBad, BothGood, Image1, Image2};
        let pairs = [pair(1, "Anime"), pair(2, "Anime"), pair(3, "Manga")];
        let responses = rows(&[
            (1, &[Image1, Image1, Image1]),
            (2, &[Image1, Image2, BothGood]),
            (3, &[BothBad, BothBad, Image2]),
        ]);
        let report = of_rows("s", &pairs, &responses);
        assert_eq!((report.pairs, report.completed, report.responses, report.provisional), (3, 3, 9, false));
        assert_eq!(report.answers["image_1"], 4);
        let third = 1.0 / 3.0;
        let shares = [report.agreement.unanimous, report.agreement.majority, report.agreement.split];
        assert_eq!(shares, [Some(Figure { value: third }); 3]);
        let dev = &report.models[0];
        assert_eq!((dev.model.as_str(), dev.wins), ("dev", 4));
        assert_eq!(dev.win_ratio.reference.unwrap().value, 4.0 / 9.0);
        assert_eq!(dev.win_ratio.decided.unwrap().value, 4.0 / 6.0);
        assert_eq!(report.side_bias.unwrap().value, 4.0 / 6.0);
        assert_eq!(report.rules[0].kept, 1);
        assert_eq!(report.categories[1].category, "Manga");
        assert!(report.categories.iter().all(|category| category.verdict == "not decided"));
    }

    #[test]
    fn verdicts_call_a_lead_a_tie_and_what_is_open() {
        use Answer::{Image1, Image2};
        let pairs: Vec<PairRow> = (0..20).map(|number| pair(number, "Anime")).collect();
        let verdict_of = |answers: &dyn Fn(usize) -> Vec<Answer>| {
            let given: Vec<(usize, Vec<Answer>)> = (0..20).map(|number| (number, answers(number))).collect();
            let given: Vec<(usize, &[Answer])> = given.iter().map(|(n, a)| (*n, a.as_slice())).collect();
            of_rows("s", &pairs, &rows(&given)).categories[0].verdict.clone()
        };
        assert_eq!(verdict_of(&|_| vec![Image2; 3]), "sd better");
        assert_eq!(verdict_of(&|number| vec![if number % 2 == 0 { Image1 } else { Image2 }; 3]), "tie");
        assert_eq!(verdict_of(&|number| vec![if number < 13 { Image1 } else { Image2 }; 3]), "not decided");
        assert_eq!(verdict_of(&|_| vec![]), "not decided");
    }

    proptest! {
        #[test]
        fn the_rule_is_the_published_one(tally: [u8; 5]) {
            let tally: Tally = tally.map(u32::from);
            let [one, two, good, bad, _] = tally;
            let chosen = majority(&tally);
            let first = one + good > two + good && one + good > bad;
            let second = two + good > one + good && two + good > bad;
            prop_assert_eq!(chosen == Some(Chosen::Image1), first);
            prop_assert_eq!(chosen == Some(Chosen::Image2), second);
        }
    }
}
