//! The pairs that wait for people, in the order in which they are given out.
//!
//! Pairs that are begun come first, so that they are finished. Among the others each stands at the share of its
//! category that will be done when its turn comes: whoever takes them in this order gets no category ahead of the
//! others by more than a pair. Within a category, and where two come at the same share, the draw decides. All who
//! ask in one transaction are served from one look at the head of the line.

use diptych_core::{PersonId, SprintId};
use serde::{Deserialize, Deserializer};
use sqlx::AssertSqlSafe;

use crate::assignments::Face;
use crate::{Connection, Millis, Result, Store, any, as_array, rows_as_one, rows_in};

/// Whether the assignment `a` keeps its pair from its person: a hold, an answer, or a skip that has not cooled
/// down. `$2` is the time before which a skip has.
const KEEPS_OUT: &str = "(a.state IN ('open', 'answered') OR (a.state = 'skipped' AND a.ended_at > $2))";

/// Whether nothing keeps a pair from the person `$3`; `$2` as above.
///
/// Counted, not `NOT EXISTS`: PostgreSQL makes a join of that, and then looks at all that the person ever
/// did instead of the few pairs that are asked for.
fn free_for_person() -> String {
    format!(
        "(SELECT COUNT(*) FROM assignments a WHERE a.pair = pairs.id AND a.person = $3 AND {KEEPS_OUT}) = 0"
    )
}

/// The people whom something keeps from a pair, in one text; `$2` as above.
pub(crate) fn not_for(pair: &str) -> String {
    format!("(SELECT string_agg(a.person, ' ') FROM assignments a WHERE a.pair = {pair} AND {KEEPS_OUT})")
}

/// [`not_for`], one by one.
pub(crate) fn people<'de, D: Deserializer<'de>>(not_for: D) -> Result<Vec<String>, D::Error> {
    let people = Option::<String>::deserialize(not_for)?;
    Ok(people.iter().flat_map(|people| people.split(' ')).map(str::to_owned).collect())
}

/// How fine a share is, in bits: finer than one pair in a million.
const SHARE: i64 = 1 << 40;

impl Store {
    /// Puts the sprint's line in order: for when pairs were added or withdrawn in numbers.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_line(&self, sprint: &SprintId) -> Result<()> {
        let categories: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT category FROM pairs WHERE sprint = $1 AND current")
                .bind(sprint.as_str())
                .fetch_all(self.readers())
                .await?;
        // A category at a time, so that answers wait for none of it long.
        for category in categories {
            let sprint = sprint.clone();
            self.write(move |connection| {
                let (sprint, category) = (sprint.clone(), category.clone());
                Box::pin(async move {
                    let query = format!(
                        "UPDATE pairs SET shuffle = placed.place FROM (SELECT id AS pair, \
                         {SHARE} / (2 * COUNT(*) OVER ()) * (2 * ROW_NUMBER() OVER (ORDER BY begun DESC, draw, id) - 1) \
                         + draw % 65536 AS place FROM pairs WHERE sprint = $1 AND category = $2 AND current) AS placed \
                         WHERE pairs.id = placed.pair AND pairs.shuffle <> placed.place"
                    );
                    let query = sqlx::query(AssertSqlSafe(query)).bind(sprint.as_str()).bind(category);
                    query.execute(connection).await?;
                    Ok(())
                })
            })
            .await?;
        }
        Ok(())
    }
}

/// The head of one sprint's line, while takes are served from it.
#[derive(Debug)]
pub(crate) struct Line {
    pairs: Vec<Waiting>,
    /// Whether no pair stands behind these.
    whole: bool,
}

/// A pair with places left, as [`rows`] asks for it.
#[derive(Debug, Deserialize)]
struct Waiting {
    pair: String,
    #[serde(deserialize_with = "any")]
    begun: bool,
    shuffle: i64,
    places: i64,
    /// The people who have a part in it, or have just skipped it.
    #[serde(deserialize_with = "people")]
    not_for: Vec<String>,
    face: Face,
}

/// Asks for the first `limit` pairs of the line of the sprint `$1`, with [`not_for`]'s `$2`; only for those that are free
/// for the person `$3`, where that is wanted. The limit stands in the text: PostgreSQL would sort the whole line for one
/// that it does not know.
fn rows(connection: &Connection, limit: usize, for_person: bool) -> String {
    let free = if for_person { format!(" AND {}", free_for_person()) } else { String::new() };
    let columns =
        format!("id, begun, shuffle, slots, {}, {}", not_for("line.id"), as_array(connection, Face::COLUMNS));
    let from = format!(
        "(SELECT id, begun, shuffle, slots, {} FROM pairs WHERE sprint = $1 AND current AND slots > 0{free} \
         ORDER BY begun DESC, shuffle LIMIT {limit}) AS line",
        Face::COLUMNS
    );
    rows_as_one(connection, &columns, "ORDER BY begun DESC, shuffle, id", &from)
}

impl Line {
    /// Asks for the first `limit` pairs of the line of the sprint `$1`; `$2` is the time before which a skip has cooled
    /// down.
    pub(crate) fn ask(connection: &Connection, limit: usize) -> String {
        rows(connection, limit, false)
    }

    /// What [`Line::ask`] gives.
    pub(crate) fn of(found: &str, limit: usize) -> Result<Self> {
        let pairs: Vec<Waiting> = rows_in(found)?;
        Ok(Self { whole: pairs.len() < limit, pairs })
    }

    /// Whether somebody who found too little here may find more behind.
    pub(crate) fn goes_on(&self) -> bool {
        !self.whole
    }

    /// Brings forward what stands behind the head and is free for this person, who has found no more in it.
    /// What was given from the head must be in the database by now.
    pub(crate) async fn bring(
        &mut self,
        connection: &mut Connection,
        sprint: &SprintId,
        cooled: Millis,
        length: usize,
        person: &PersonId,
    ) -> Result<()> {
        let query = sqlx::query_scalar(AssertSqlSafe(rows(connection, length.next_power_of_two(), true)));
        let query = query.bind(sprint.as_str()).bind(cooled).bind(person.as_str());
        let found: String = query.fetch_one(connection).await?;
        self.pairs.extend(rows_in::<Waiting>(&found)?);
        Ok(())
    }

    /// Gives this person a place in up to `count` pairs: each pair's id, and what is shown of it.
    pub(crate) fn give(&mut self, person: &PersonId, count: usize) -> Vec<(String, Face)> {
        let person = person.as_str();
        let free = |waiting: &&mut Waiting| {
            waiting.places > 0 && !waiting.not_for.iter().any(|other| other == person)
        };
        let mut given = Vec::with_capacity(count);
        for waiting in self.pairs.iter_mut().filter(free).take(count) {
            waiting.places -= 1;
            waiting.begun = true;
            waiting.not_for.push(person.to_owned());
            given.push((waiting.pair.clone(), waiting.face.clone()));
        }
        self.pairs.sort_by_key(|waiting| (!waiting.begun, waiting.shuffle));
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(pair: &str, begun: bool, shuffle: i64, places: i64, not_for: &[&str]) -> Waiting {
        let not_for = not_for.iter().map(|person| (*person).to_owned()).collect();
        let face = serde_json::from_str(r#"["a heron", "Animals", "left", "right", 1024, 1024]"#).unwrap();
        Waiting { pair: pair.to_owned(), begun, shuffle, places, not_for, face }
    }

    fn give(line: &mut Line, person: &str, count: usize) -> String {
        let given = line.give(&PersonId::from_text(person), count);
        given.into_iter().map(|(pair, _)| pair).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_asks_later_finishes_what_others_have_begun() {
        let mut line = Line {
            pairs: vec![
                waiting("a", true, 9, 1, &["ana"]),
                waiting("b", false, 1, 2, &[]),
                waiting("c", false, 2, 2, &[]),
                waiting("d", false, 3, 2, &["ben"]),
            ],
            whole: true,
        };
        assert_eq!(give(&mut line, "ana", 2), "b c", "not `a`, in which she has a part");
        assert_eq!(give(&mut line, "ben", 3), "b c a", "all three are begun by now");
        assert_eq!(give(&mut line, "ben", 3), "", "`d` he has skipped");
        assert_eq!(give(&mut line, "cem", 3), "d", "the others are full");
        assert_eq!(give(&mut line, "ana", 1), "d");
    }
}
