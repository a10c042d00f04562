//! What everybody may know of who has answered how much: enough for thanks and prizes, too little to find somebody's
//! answers in the published data.

use diptych_core::{PersonId, SprintId};
use diptych_store::standings::Standing;
use sha2::{Digest as _, Sha256};

use crate::annotate::rounded;

/// So many people share each count that is shown.
const ALIKE: usize = 3;

/// One person, as everybody may know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of who asks for theirs to be shown; else an alias, under which nothing is published.
    pub who: Who,
    /// Responses that count, rounded down; none where so few people have answered that any count would tell.
    pub responses: Option<i64>,
    /// Those of today, rounded down in the same way, and never more than `responses` says.
    pub today: Option<i64>,
    /// Days in a row with an answer; no more than `responses` says.
    pub streak: i64,
    /// Whether the program made this person up, for the demo.
    pub simulated: bool,
}

/// Under which name a person stands there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Their own.
    Name(String),
    /// Eight digits that are theirs in this sprint, on this board alone.
    Alias(String),
}

/// The people of a sprint, those with the most responses first; and those of today, by what they have given today. Whose
/// count is shown alike stand in an order that says nothing of it: names first.
pub fn board(sprint: &SprintId, standings: Vec<Standing>) -> (Vec<Place>, Vec<Place>) {
    let of = |count: fn(&Standing) -> i64| shown(&standings.iter().map(count).collect::<Vec<_>>());
    let (responses, today) = (of(|one| one.responses), of(|one| one.lately));
    let (mut all, mut of_today) = (Vec::new(), Vec::new());
    for ((one, responses), today) in standings.into_iter().zip(responses).zip(today) {
        let who = match one.name {
            Some(name) => Who::Name(name),
            None => Who::Alias(alias(sprint, &one.person)),
        };
        // Whoever has answered so much today, or on so many days, has answered as much in all: that, too, is all that
        // is told of it.
        let known = responses.unwrap_or(0);
        let place = Place {
            who,
            responses,
            today: today.map(|today| today.min(known)),
            streak: one.streak.min(known.max(1)),
            simulated: one.simulated,
        };
        if one.lately > 0 {
            of_today.push(place.clone());
        }
        all.push(place);
    }
    all.sort_by(|one, other| other.responses.cmp(&one.responses).then_with(|| one.who.cmp(&other.who)));
    of_today.sort_by(|one, other| other.today.cmp(&one.today).then_with(|| one.who.cmp(&other.who)));
    (all, of_today)
}

/// The first so many of final standings, and behind them whoever asks for their name to be shown: thanks are for them, too.
pub fn to_be_thanked(mut people: Vec<Place>, most: usize) -> Vec<Place> {
    let behind = people.split_off(most.min(people.len()));
    people.extend(behind.into_iter().filter(|one| matches!(one.who, Who::Name(_))));
    people
}

/// What is shown of each of these counts: rounded down to tens, and then so far that [`ALIKE`] people share it. Those who
/// are left over at the low end stand with the ones above; where there are fewer people in all, nothing is shown.
fn shown(counts: &[i64]) -> Vec<Option<i64>> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(counts[*place]));
    let ten = |place: usize| rounded(counts[order[place]]);
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for place in 0..order.len() {
        match groups.last_mut() {
            Some(group) if group.len() < ALIKE || ten(place) == ten(place - 1) => group.end = place + 1,
            _ => groups.push(place..place + 1),
        }
    }
    if let Some(few) = groups.pop_if(|last| last.len() < ALIKE)
        && let Some(above) = groups.last_mut()
    {
        above.end = few.end;
    }
    let mut shown = vec![None; counts.len()];
    for group in groups {
        let least = ten(group.end - 1);
        for place in group {
            shown[order[place]] = Some(least);
        }
    }
    shown
}

/// Of the id, which nobody is ever told, and of the sprint, so that nobody is followed from one to another.
fn alias(sprint: &SprintId, person: &PersonId) -> String {
    let hash = Sha256::digest(format!("board {sprint} {person}"));
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(name: Option<&str>, responses: i64, lately: i64) -> Standing {
        let (person, name) = (PersonId::new(), name.map(str::to_owned));
        Standing { person, name, simulated: false, responses, lately, streak: 1 }
    }

    #[test]
    fn three_people_share_each_count() {
        let all = |counts: &[i64]| shown(counts).into_iter().map(Option::unwrap).collect::<Vec<_>>();
        assert_eq!(all(&[1240, 75, 980, 901, 78, 71]), [900, 70, 900, 900, 70, 70]);
        let left_over = [1240, 75, 980, 901, 78, 5, 71];
        assert_eq!(all(&left_over), [900, 0, 900, 900, 0, 0, 0], "who is left over stands with those above");
        assert_eq!(all(&[50, 40, 30, 30, 35]), [30; 5], "all of a ten stand together");
        assert_eq!(all(&[500, 480, 450, 12]), [10; 4]);
        assert_eq!(shown(&[500, 480]), [None, None], "of two, one could be told");
        assert_eq!(shown(&[]), []);
    }

    #[test]
    fn who_asks_for_it_is_thanked_by_name() {
        let names = [Some("Ana"), None, None, None, Some("Ben"), None];
        let standings = names.iter().zip(0..).map(|(name, place)| standing(*name, 500 - 50 * place, 0));
        let (people, _) = board(&SprintId::new(), standings.collect());
        let thanked = to_be_thanked(people.clone(), 2);
        assert_eq!(thanked.len(), 3);
        assert_eq!((&thanked[..2], thanked[2].who.clone()), (&people[..2], Who::Name("Ben".to_owned())));
        assert_eq!(to_be_thanked(people.clone(), 6), people);
        assert_eq!(to_be_thanked(people.clone(), 10), people);
    }

    proptest::proptest! {
        /// Whatever people have given: nothing that is shown of anybody is more than they have, and of all that is shown of
        /// them at least three people may be the one who has it.
        #[test]
        fn anybody_may_be_any_of_three(people in proptest::collection::vec((0..200_i64, 0..200_i64, 0..9_i64), 0..30)) {
            let standings = people.iter().map(|(responses, lately, streak)| Standing {
                streak: *streak.min(responses),
                ..standing(None, *responses, *lately.min(responses))
            });
            let standings: Vec<Standing> = standings.collect();
            let (places, _) = board(&SprintId::new(), standings.clone());
            for place in &places {
                let Some(least) = place.responses else {
                    proptest::prop_assert!(people.len() < ALIKE && place.today.unwrap_or(0) == 0 && place.streak <= 1);
                    continue;
                };
                proptest::prop_assert!(least % 10 == 0);
                // Whoever has fewer than the next that is shown, and as much as is told.
                let above = places.iter().filter_map(|other| other.responses).filter(|other| *other > least).min();
                let told = least.max(place.today.unwrap_or(0)).max(place.streak.min(least));
                let may_be = standings.iter().filter(|other| {
                    other.responses >= told && above.is_none_or(|above| other.responses < above)
                });
                proptest::prop_assert!(may_be.count() >= ALIKE);
            }
        }
    }

    #[test]
    fn a_board_says_no_more_than_it_shows() {
        let sprint = SprintId::new();
        let people = vec![
            standing(None, 55, 0),
            standing(Some("Zoe"), 52, 12),
            standing(Some("Ana"), 58, 0),
            standing(None, 51, 40),
            standing(None, 9, 9),
        ];
        let ids: Vec<PersonId> = people.iter().map(|one| one.person.clone()).collect();
        let (all, today) = board(&sprint, people);
        let names: Vec<&Who> = all.iter().map(|place| &place.who).collect();
        assert_eq!(names[..2], [&Who::Name("Ana".to_owned()), &Who::Name("Zoe".to_owned())]);
        assert!(all.iter().all(|place| place.responses == Some(0) && place.streak == 1), "{all:?}");
        assert_eq!(today.len(), 3);
        assert!(today.iter().all(|place| place.today == Some(0)));
        assert_ne!(alias(&sprint, &ids[0]), alias(&SprintId::new(), &ids[0]), "another one elsewhere");
        assert!(!ids.iter().any(|id| id.as_str().contains(&alias(&sprint, id))));
    }
}
