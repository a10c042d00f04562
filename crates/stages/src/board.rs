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
    /// Responses that count, rounded down; none where so few have answered that a count would tell.
    pub responses: Option<i64>,
    /// Those of today, rounded down in the same way.
    pub today: Option<i64>,
    /// Days in a row with an answer.
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
    let of = |count: fn(&Standing) -> i64| {
        let counts: Vec<(i64, bool)> = standings.iter().map(|one| (count(one), one.name.is_some())).collect();
        shown(&counts)
    };
    let (responses, today) = (of(|one| one.responses), of(|one| one.lately));
    let placed = standings.into_iter().zip(responses).zip(today).map(|((one, responses), today)| {
        let active = one.lately > 0;
        let who = match one.name {
            Some(name) => Who::Name(name),
            None => Who::Alias(alias(sprint, &one.person)),
        };
        let Standing { streak, simulated, .. } = one;
        (active, Place { who, responses, today, streak, simulated })
    });
    let (mut all, mut of_today) = (Vec::new(), Vec::new());
    for (active, place) in placed {
        if active {
            of_today.push(place.clone());
        }
        all.push(place);
    }
    all.sort_by(|one, other| other.responses.cmp(&one.responses).then_with(|| one.who.cmp(&other.who)));
    of_today.sort_by(|one, other| other.today.cmp(&one.today).then_with(|| one.who.cmp(&other.who)));
    (all, of_today)
}

/// Of counts, each with whether it stands beside a name, what is shown of each: rounded down to tens, and then so far
/// that [`ALIKE`] people share it. Of those who are left over at the low end no name stands alone.
fn shown(counts: &[(i64, bool)]) -> Vec<Option<i64>> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(counts[*place].0));
    let ten = |place: usize| rounded(counts[order[place]].0);
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for place in 0..order.len() {
        match groups.last_mut() {
            Some(group) if group.len() < ALIKE || ten(place) == ten(place - 1) => group.end = place + 1,
            _ => groups.push(place..place + 1),
        }
    }
    let is_open = |group: &std::ops::Range<usize>| {
        group.len() < ALIKE && group.clone().any(|place| counts[order[place]].1)
    };
    if let Some(last) = groups.pop_if(|last| is_open(last)) {
        match groups.last_mut() {
            Some(before) => before.end = last.end,
            None => groups.push(last),
        }
    }
    let mut shown = vec![None; counts.len()];
    for group in groups {
        let least = (!is_open(&group)).then(|| ten(group.end - 1));
        for place in group {
            shown[order[place]] = least;
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
        let alone = |counts: &[i64]| shown(&counts.iter().map(|count| (*count, false)).collect::<Vec<_>>());
        assert_eq!(alone(&[1240, 75, 980, 901, 78, 5, 71]), [900, 70, 900, 900, 70, 0, 70].map(Some));
        assert_eq!(alone(&[50, 40, 30, 30, 35]), [30; 5].map(Some), "all of a ten stand together");
        assert_eq!(alone(&[500, 480, 450, 12]), [450, 450, 450, 10].map(Some));
        assert_eq!(alone(&[7]), [Some(0)]);
        assert_eq!(alone(&[]), []);
    }

    #[test]
    fn no_name_stands_alone() {
        assert_eq!(shown(&[(500, false), (480, false), (450, false), (12, true)]), [Some(10); 4]);
        assert_eq!(shown(&[(500, true), (480, false)]), [None, None], "of two, one could be told");
        assert_eq!(shown(&[(500, true), (480, false), (3, false)]), [Some(0); 3]);
    }

    proptest::proptest! {
        /// Whatever people have given: a count is never more than one's own, and whoever goes by the counts that are
        /// published finds at least three people who may be the one with a name.
        #[test]
        fn a_name_may_be_any_of_three(counts in proptest::collection::vec((0..200_i64, proptest::bool::weighted(0.3)), 0..30)) {
            let shown = shown(&counts);
            for ((count, named), shows) in counts.iter().zip(&shown) {
                let Some(least) = shows else { continue };
                proptest::prop_assert!(least <= count && least % 10 == 0);
                let above = shown.iter().flatten().filter(|other| *other > least).min();
                let may_be = counts.iter().filter(|(other, _)| other >= least && above.is_none_or(|above| other < above));
                proptest::prop_assert!(!named || may_be.count() >= ALIKE);
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
        assert_eq!(
            all.iter().map(|place| place.responses).collect::<Vec<_>>(),
            [50, 50, 50, 50, 0].map(Some)
        );
        assert_eq!(today.len(), 3);
        assert!(today.iter().all(|place| place.today == Some(0)));
        assert_ne!(alias(&sprint, &ids[0]), alias(&SprintId::new(), &ids[0]), "another one elsewhere");
        assert!(!ids.iter().any(|id| id.as_str().contains(&alias(&sprint, id))));
    }
}
