//! Annotators: what each person's answers look like, with intervals, and what it would change to leave them out.
//! The figures judge nobody; they say where an organizer should look.

use std::collections::{BTreeMap, HashMap};

use diptych_core::config::Overlap;
use diptych_core::{Answer, CheckKind, Choice, PairId, ResponseState};
use diptych_stats as stats;
use diptych_store::EVERY_PROMPT;
use diptych_store::checks::CheckCount;
use diptych_store::pairs::PairRow;
use diptych_store::responses::ResponseRow;
use diptych_store::standings::Annotator;
use serde::Serialize;

use crate::results::{Tally, majority, tally};
use crate::{Ctx, Result};

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// So many.
    pub part: u64,
    /// Of so many.
    pub whole: u64,
}

impl Share {
    fn count(&mut self, yes: bool) {
        self.part += u64::from(yes);
        self.whole += 1;
    }

    /// The share, from 0 to 1; none of nothing.
    pub fn value(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
    }

    /// Its 95 % interval (Wilson); none of nothing.
    pub fn interval(self) -> Option<(f64, f64)> {
        stats::wilson(self.part, self.whole)
    }

    /// Whether it is surely below this.
    fn is_below(self, bound: f64) -> bool {
        self.interval().is_some_and(|(_, high)| high < bound)
    }

    /// Whether it is surely above this.
    fn is_above(self, bound: f64) -> bool {
        self.interval().is_some_and(|(low, _)| low > bound)
    }
}

/// What it would change to leave somebody out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Change {
    /// Pairs on which others would be asked.
    pub reopened: u64,
    /// Pairs that would choose another image, or none, by the answers that are left.
    pub verdicts: u64,
    /// The model whose share of decided answers would change most: its key, that share, and what it would become.
    pub model: Option<(String, f64, f64)>,
}

/// What one person's answers look like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Who.
    pub who: Who,
    /// Answers that count; of somebody who is excluded, those that did.
    pub answers: u64,
    /// Half of them took no longer, in milliseconds.
    pub median_ms: Option<i64>,
    /// Of the answers that chose a side, those that chose the left one.
    pub left: Share,
    /// The most times in a row that the same was pressed, and what.
    pub run: Option<(Choice, usize)>,
    /// Where most of the others on a pair gave one answer: how often this person gave it too.
    pub agreement: Share,
    /// Checks with a known answer that were passed.
    pub gold: Share,
    /// Pairs that came again with their sides swapped and got the same answer.
    pub repeats: Share,
    /// What it would change to leave them out.
    pub change: Change,
    /// What is out of line.
    pub remarks: Vec<Remark>,
}

/// What is out of line in somebody's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Remark {
    /// They miss checks with a known answer.
    MissesKnown,
    /// They answer a pair otherwise when its sides are swapped.
    OtherwiseSwapped,
    /// They choose the left side too often.
    PrefersLeft,
    /// They choose the right side too often.
    PrefersRight,
    /// They agree with others less than chance would.
    AgreesLittle,
    /// They answer faster than anybody can look: within so many milliseconds, half of the time.
    TooFast(i64),
    /// They pressed the same so many times in a row.
    SameInARow(Choice, usize),
}

/// A person, as the sprint's organizers see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    /// The name under which their answers are published.
    pub pseudonym: String,
    /// Their own.
    pub name: String,
    /// Whether the program made them up, for the demo.
    pub simulated: bool,
    /// Why their answers do not count; none where they do.
    pub excluded: Option<String>,
}

/// Below so many answers nothing is out of line.
const ENOUGH: u64 = 20;

/// Faster than anybody can look at two pictures, in milliseconds.
const TOO_FAST: i64 = 800;

/// A run that no sequence of pairs explains.
const LONG_RUN: usize = 20;

/// Everybody who has answered in the sprint: who is most out of line first, then who has answered most.
///
/// # Errors
/// Where the store fails.
pub async fn figures(ctx: &Ctx) -> Result<Vec<Figures>> {
    let pairs = ctx.store.pairs(&ctx.sprint, EVERY_PROMPT).await?;
    let responses = ctx.store.responses(&ctx.sprint, EVERY_PROMPT).await?;
    let people = ctx.store.annotators(&ctx.sprint).await?;
    let checks = ctx.store.check_counts(&ctx.sprint).await?;
    Ok(of_rows(&pairs, &responses, people, &checks, ctx.config.annotate.overlap))
}

/// A response, with its pair and all that were given to it.
type Given<'a> = (&'a PairRow, &'a [ResponseRow], &'a ResponseRow);

fn of_rows(
    pairs: &[PairRow],
    responses: &HashMap<PairId, Vec<ResponseRow>>,
    people: Vec<Annotator>,
    checks: &[CheckCount],
    overlap: Overlap,
) -> Vec<Figures> {
    let totals = wins(pairs, |pair| responses.get(&pair.id).map(|given| tally(given)));
    let mut of: HashMap<&str, Vec<Given>> = HashMap::new();
    for pair in pairs {
        let given = responses.get(&pair.id).map(Vec::as_slice).unwrap_or_default();
        for response in given {
            if matches!(response.state, ResponseState::Submitted | ResponseState::Excluded) {
                of.entry(&response.pseudonym).or_default().push((pair, given, response));
            }
        }
    }
    let mut figures: Vec<Figures> = people
        .into_iter()
        .map(|person| {
            let mut mine = of.remove(person.pseudonym.as_str()).unwrap_or_default();
            mine.sort_by_key(|(_, _, response)| response.created_at);
            let checks: Vec<&CheckCount> =
                checks.iter().filter(|check| check.pseudonym == person.pseudonym).collect();
            of_person(person, &mine, &checks, &totals, overlap)
        })
        .filter(|figures| figures.answers + figures.gold.whole + figures.repeats.whole > 0)
        .collect();
    figures.sort_by_key(|figures| std::cmp::Reverse((figures.remarks.len(), figures.answers)));
    figures
}

/// Every model's wins and losses.
type Wins<'a> = BTreeMap<&'a str, (u64, u64)>;

fn wins<'a>(pairs: &'a [PairRow], tally: impl Fn(&PairRow) -> Option<Tally>) -> Wins<'a> {
    let mut wins = Wins::new();
    for pair in pairs {
        let Some(tally) = tally(pair) else { continue };
        add(
            &mut wins,
            pair,
            u64::from(tally[Answer::Image1 as usize]),
            u64::from(tally[Answer::Image2 as usize]),
        );
    }
    wins
}

fn add<'a>(wins: &mut Wins<'a>, pair: &'a PairRow, first: u64, second: u64) {
    for (model, won, lost) in [(&pair.model_1, first, second), (&pair.model_2, second, first)] {
        let entry = wins.entry(model).or_default();
        *entry = (entry.0 + won, entry.1 + lost);
    }
}

fn of_person(
    person: Annotator,
    mine: &[Given],
    checks: &[&CheckCount],
    totals: &Wins<'_>,
    overlap: Overlap,
) -> Figures {
    let (mut left, mut agreement, mut change) = (Share::default(), Share::default(), Change::default());
    let (mut pressed, mut times, mut won) = (Vec::new(), Vec::new(), Wins::new());
    for (pair, given, response) in mine {
        let choice = response.answer.choice(response.side);
        pressed.push(choice);
        times.extend(response.duration_ms);
        if matches!(choice, Choice::Left | Choice::Right) {
            left.count(choice == Choice::Left);
        }
        let all = tally(given);
        let mut others = all;
        others[response.answer as usize] -= u32::from(response.counts());
        if let Some(most) = plurality(&others) {
            agreement.count(most == response.answer);
        }
        if response.counts() {
            let left = without(given, response, overlap);
            change.reopened += u64::from(overlap.wanted(&left) > left.iter().sum());
            change.verdicts += u64::from(majority(&all) != majority(&left));
            add(
                &mut won,
                pair,
                u64::from(response.answer == Answer::Image1),
                u64::from(response.answer == Answer::Image2),
            );
        }
    }
    change.model = largest_shift(totals, &won);
    let share = |kind: CheckKind| {
        let count = checks.iter().find(|count| count.kind == kind.as_str());
        count.map_or(Share::default(), |count| Share {
            part: count.passed.unsigned_abs(),
            whole: (count.passed + count.failed).unsigned_abs(),
        })
    };
    let mut figures = Figures {
        who: Who {
            simulated: person.kind == "simulated",
            pseudonym: person.pseudonym,
            name: person.name,
            excluded: person.excluded,
        },
        answers: mine.len() as u64,
        median_ms: stats::median(&times),
        left,
        run: stats::longest_run(&pressed),
        agreement,
        gold: share(CheckKind::Gold),
        repeats: share(CheckKind::Repeat),
        change,
        remarks: Vec::new(),
    };
    figures.remarks = remarks(&figures);
    figures
}

/// The answers to a pair that count where this one does not: those that came after it was filled take its place.
fn without(given: &[ResponseRow], response: &ResponseRow, overlap: Overlap) -> Tally {
    let mut left = tally(given);
    left[response.answer as usize] -= 1;
    for surplus in given.iter().filter(|other| other.state == ResponseState::Surplus) {
        if left.iter().sum::<u32>() < overlap.max {
            left[surplus.answer as usize] += 1;
        }
    }
    left
}

/// The answer that was given most often; none where two were, or nothing was.
fn plurality(tally: &Tally) -> Option<Answer> {
    let most = *tally.iter().max()?;
    let mut with = Answer::ALL.iter().filter(|answer| tally[**answer as usize] == most);
    match (with.next(), with.next()) {
        (Some(answer), None) if most > 0 => Some(*answer),
        _ => None,
    }
}

fn largest_shift(totals: &Wins<'_>, mine: &Wins<'_>) -> Option<(String, f64, f64)> {
    let mut largest: Option<(String, f64, f64)> = None;
    for (model, (won, lost)) in mine {
        let (all_won, all_lost) = totals.get(model).copied().unwrap_or_default();
        let was = stats::decided_ratio(all_won, all_lost);
        let becomes = stats::decided_ratio(all_won.saturating_sub(*won), all_lost.saturating_sub(*lost));
        if let (Some(was), Some(becomes)) = (was, becomes)
            && largest.as_ref().is_none_or(|(_, a, b)| (was - becomes).abs() > (a - b).abs())
        {
            largest = Some(((*model).to_owned(), was, becomes));
        }
    }
    largest.filter(|(_, was, becomes)| was != becomes)
}

fn remarks(figures: &Figures) -> Vec<Remark> {
    let median = figures.median_ms.filter(|median| *median < TOO_FAST).map(Remark::TooFast);
    let run = figures.run.filter(|(_, run)| *run >= LONG_RUN);
    let of_many = [
        figures.left.is_above(0.6).then_some(Remark::PrefersLeft),
        figures.left.is_below(0.4).then_some(Remark::PrefersRight),
        figures.agreement.is_below(0.34).then_some(Remark::AgreesLittle),
        median,
    ];
    let of_many = of_many.into_iter().filter(|_| figures.answers >= ENOUGH);
    [
        figures.gold.is_below(0.75).then_some(Remark::MissesKnown),
        figures.repeats.is_below(0.5).then_some(Remark::OtherwiseSwapped),
    ]
    .into_iter()
    .chain(of_many)
    .chain([run.map(|(choice, run)| Remark::SameInARow(choice, run))])
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use diptych_core::{Evolution, ImageHash, PromptIndex, Side, Split, UnitKey};

    use super::*;

    fn pair(number: i64) -> PairRow {
        let text = number.to_string();
        PairRow {
            id: PairId::from_text(text.clone()),
            key: UnitKey::of(&[&text]),
            row_id: text.clone(),
            prompt_index: PromptIndex(number),
            evolution: Evolution::ALL[0],
            category: "Food".to_owned(),
            sub_category: String::new(),
            prompt: text.clone(),
            split: Split::Train,
            model_1: "dev".to_owned(),
            model_2: "sd".to_owned(),
            image_1_key: UnitKey::of(&["1", &text]),
            image_2_key: UnitKey::of(&["2", &text]),
            image_1: ImageHash::of(text.as_bytes()),
            image_2: ImageHash::of(text.as_bytes()),
            overlap: 3,
            answered: 3,
        }
    }

    fn response(pair: i64, who: &str, answer: Answer, side: Side) -> ResponseRow {
        ResponseRow {
            pair: PairId::from_text(pair.to_string()),
            pseudonym: who.to_owned(),
            simulated: false,
            answer,
            side,
            duration_ms: Some(300 + pair),
            created_at: pair,
            state: ResponseState::Submitted,
        }
    }

    /// Two people who look, on 40 pairs, and one who always presses left.
    fn crowd() -> Vec<Figures> {
        let pairs: Vec<PairRow> = (0..40).map(pair).collect();
        let mut responses: HashMap<PairId, Vec<ResponseRow>> = HashMap::new();
        for pair in &pairs {
            let number = pair.prompt_index.0;
            let side = if number % 2 == 0 { Side::Left } else { Side::Right };
            let liked = if number % 3 == 0 { Answer::Image2 } else { Answer::Image1 };
            let lazy = Choice::Left.answer(side).unwrap();
            responses.insert(
                pair.id.clone(),
                vec![
                    response(number, "ana", liked, side),
                    response(number, "ben", liked, side.other()),
                    response(number, "lea", lazy, side),
                ],
            );
        }
        let people = ["ana", "ben", "lea"].map(|name| Annotator {
            pseudonym: name.to_owned(),
            name: name.to_uppercase(),
            kind: "person".to_owned(),
            excluded: None,
        });
        let checks = [
            CheckCount { pseudonym: "ana".to_owned(), kind: "gold".to_owned(), passed: 9, failed: 0 },
            CheckCount { pseudonym: "lea".to_owned(), kind: "gold".to_owned(), passed: 4, failed: 8 },
            CheckCount { pseudonym: "lea".to_owned(), kind: "repeat".to_owned(), passed: 0, failed: 10 },
        ];
        of_rows(&pairs, &responses, people.into(), &checks, Overlap::of(3))
    }

    #[test]
    fn who_is_left_out_is_missed_only_where_somebody_must_be_asked() {
        let two_or_three = Overlap { min: 2, max: 3 };
        let given = |answers: [Answer; 3], last: ResponseState| {
            let [ana, ben, cem] = answers;
            let mut all = vec![
                response(0, "ana", ana, Side::Left),
                response(0, "ben", ben, Side::Left),
                response(0, "cem", cem, Side::Left),
            ];
            all[2].state = last;
            all
        };
        let asks = |given: &[ResponseRow], overlap: Overlap| {
            let left = without(given, &given[0], overlap);
            overlap.wanted(&left) > left.iter().sum()
        };
        let (one, other) = (Answer::Image1, Answer::Image2);
        let counted = given([other, one, one], ResponseState::Submitted);
        assert!(!asks(&counted, two_or_three), "the other two agree");
        assert!(asks(&counted, Overlap::of(3)));
        let split = given([one, one, other], ResponseState::Submitted);
        assert!(asks(&split, two_or_three), "the other two do not");
        let surplus = given([one, one, other], ResponseState::Surplus);
        assert!(!asks(&surplus, Overlap::of(2)), "one more is there");
        assert_eq!(without(&surplus, &surplus[0], Overlap::of(2)).iter().sum::<u32>(), 2);
    }

    #[test]
    fn who_always_presses_the_same_stands_out() {
        let figures = crowd();
        let lea = &figures[0];
        assert_eq!(lea.who.name, "LEA", "who is out of line stands first");
        assert_eq!(lea.left, Share { part: 40, whole: 40 });
        assert_eq!(lea.run, Some((Choice::Left, 40)));
        assert_eq!((lea.gold, lea.repeats), (Share { part: 4, whole: 12 }, Share { part: 0, whole: 10 }));
        assert_eq!(lea.remarks.len(), 5, "{:?}", lea.remarks);
        assert_eq!((lea.change.reopened, lea.change.verdicts), (40, 0), "the others agree without her");
        for other in &figures[1..] {
            // Too fast are all three; nothing else is said of those who look.
            assert!(matches!(other.remarks[..], [Remark::TooFast(300..400)]), "{:?}", other.remarks);
        }
    }

    #[test]
    fn what_it_changes_to_leave_somebody_out() {
        let figures = crowd();
        let lea = &figures[0];
        // Her 40 answers are 20 for each model; the others' 80 are 52 for dev, 28 for sd.
        let (model, was, becomes) = lea.change.model.clone().unwrap();
        assert_eq!((model.as_str(), was, becomes), ("dev", 72.0 / 120.0, 52.0 / 80.0));
        assert!(figures[1].agreement.value() > lea.agreement.value());
    }

    #[test]
    fn most_of_the_others_is_one_answer_or_none() {
        assert_eq!(plurality(&[0; 5]), None);
        assert_eq!(plurality(&[1, 1, 0, 0, 0]), None);
        assert_eq!(plurality(&[1, 0, 2, 0, 0]), Some(Answer::BothGood));
    }
}
