//! Reviews: what moderators and organizers decide of texts and images, as a log that only grows.

use std::collections::HashMap;
use std::sync::Arc;

use diptych_core::{PersonId, Role, SprintId};
use sqlx::{AssertSqlSafe, Row};

use crate::scores::Kind;
use crate::{Connection, Millis, Result, Store, StoreError, rows_at_once, value_rows};

/// What a person says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be shown.
    Approve,
    /// It must not.
    Reject,
    /// The person's last word is taken back: what they said before it stands again.
    Undo,
}

impl Verdict {
    /// `approve`, `reject` or `undo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Approve => "approve",
            Verdict::Reject => "reject",
            Verdict::Undo => "undo",
        }
    }

    /// The verdict of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Verdict::Approve, Verdict::Reject, Verdict::Undo].into_iter().find(|one| one.as_str() == word)
    }
}

/// What is to be recorded of several items at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReview {
    /// Of what kind they are.
    pub kind: Kind,
    /// Their hashes.
    pub contents: Vec<String>,
    /// Who decides.
    pub person: PersonId,
    /// Whether an organizer does, whose word is the last one.
    pub organizer: bool,
    /// What.
    pub verdict: Verdict,
    /// Why it is rejected: one word.
    pub reason: String,
    /// What the person adds.
    pub note: String,
    /// Whether a rejected image takes its whole row along (`removes = "row"`).
    pub whole_row: bool,
    /// The prompts that came of these texts, where they are texts.
    pub prompts: Vec<i64>,
    /// Now.
    pub now: Millis,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Of what kind the item is.
    pub kind: Kind,
    /// Its hash.
    pub content: String,
    /// Who decided.
    pub person: PersonId,
    /// The name of that person.
    pub name: String,
    /// Whether as an organizer.
    pub organizer: bool,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What was added.
    pub note: String,
    /// When.
    pub created_at: Millis,
}

/// Each person's last word on each item that was not taken back, the oldest first.
pub fn last_words(log: &[Review]) -> HashMap<(Kind, &str), Vec<&Review>> {
    let mut said: HashMap<(Kind, &str, &PersonId), Vec<&Review>> = HashMap::new();
    for review in log {
        let words = said.entry((review.kind, &review.content, &review.person)).or_default();
        match review.verdict {
            Verdict::Undo => _ = words.pop(),
            Verdict::Approve | Verdict::Reject => words.push(review),
        }
    }
    let mut items: HashMap<(Kind, &str), Vec<&Review>> = HashMap::new();
    for ((kind, content, _), mut words) in said {
        items.entry((kind, content)).or_default().extend(words.pop());
    }
    for words in items.values_mut() {
        words.sort_by_key(|review| (review.created_at, &review.person));
    }
    items
}

/// What stands of everybody's words on one item: each person's last one that was not taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The moderators who approve of it.
    pub approvals: u32,
    /// The moderators who reject it.
    pub rejections: u32,
    /// What the organizers' last word is, where there is one.
    pub last_word: Option<bool>,
    /// Why it was rejected the last time.
    pub reason: String,
}

impl Standing {
    /// Whether moderators disagree and no organizer has decided.
    pub fn is_disputed(&self) -> bool {
        self.last_word.is_none() && self.approvals > 0 && self.rejections > 0
    }
}

/// What stands of a log, by item.
pub fn standing(log: &[Review]) -> HashMap<(Kind, String), Standing> {
    let stands = |words: &[&Review]| {
        let mut item = Standing::default();
        for review in words {
            let approves = review.verdict == Verdict::Approve;
            if review.organizer {
                item.last_word = Some(approves);
            } else if approves {
                item.approvals += 1;
            } else {
                item.rejections += 1;
            }
            if !approves {
                item.reason.clone_from(&review.reason);
            }
        }
        item
    };
    let words = last_words(log).into_iter().filter(|(_, words)| !words.is_empty());
    words.map(|((kind, content), words)| ((kind, content.to_owned()), stands(&words))).collect()
}

impl Store {
    /// The sprint's log, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reviews(&self, sprint: &SprintId) -> Result<Vec<Review>> {
        let rows = sqlx::query(
            "SELECT reviews.kind, content, person, people.name, role, verdict, reason, note, reviews.created_at \
             FROM reviews JOIN people ON people.id = reviews.person WHERE sprint = $1 ORDER BY reviews.id",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                let unknown = |word: String| StoreError::UnknownWord { table: "reviews", word };
                let kind: String = row.try_get("kind")?;
                let verdict: String = row.try_get("verdict")?;
                Ok(Review {
                    kind: Kind::from_word(&kind).ok_or_else(|| unknown(kind))?,
                    content: row.try_get("content")?,
                    person: PersonId::from_text(row.try_get::<String, _>("person")?),
                    name: row.try_get("name")?,
                    organizer: row.try_get::<String, _>("role")? == Role::Organizer.as_str(),
                    verdict: Verdict::from_word(&verdict).ok_or_else(|| unknown(verdict))?,
                    reason: row.try_get("reason")?,
                    note: row.try_get("note")?,
                    created_at: row.try_get("created_at")?,
                })
            })
            .collect()
    }

    /// How many decisions this person has made since `since`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reviews_of(&self, sprint: &SprintId, person: &PersonId, since: Millis) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM reviews WHERE sprint = $1 AND person = $2 AND created_at >= $3 \
             AND verdict <> 'undo'",
        )
        .bind(sprint.as_str())
        .bind(person.as_str())
        .bind(since)
        .fetch_one(self.readers())
        .await?)
    }

    /// How long the sprint's log is: changes with every review.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn review_count(&self, sprint: &SprintId) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM reviews WHERE sprint = $1")
            .bind(sprint.as_str())
            .fetch_one(self.readers())
            .await?)
    }

    /// Records what somebody decides. In the same transaction, pairs of what is no longer approved are withdrawn,
    /// also from people who hold them, and reports about these images end. Whether pairs come back is for the
    /// stages to say.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn record_review(&self, sprint: &SprintId, review: NewReview) -> Result<()> {
        let (sprint, review) = (sprint.clone(), Arc::new(review));
        self.write(move |connection| {
            let (sprint, review) = (sprint.clone(), Arc::clone(&review));
            Box::pin(async move {
                for contents in review.contents.chunks(rows_at_once(10)) {
                    let query = format!(
                        "INSERT INTO reviews (id, sprint, kind, content, person, role, verdict, reason, note, \
                         created_at) VALUES {}",
                        value_rows(contents.len(), 10)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(query));
                    for content in contents {
                        query = query
                            .bind(uuid::Uuid::now_v7().to_string())
                            .bind(sprint.as_str())
                            .bind(review.kind.as_str())
                            .bind(content)
                            .bind(review.person.as_str())
                            .bind(if review.organizer { Role::Organizer } else { Role::Moderator }.as_str())
                            .bind(review.verdict.as_str())
                            .bind(&review.reason)
                            .bind(&review.note)
                            .bind(review.now);
                    }
                    query.execute(&mut *connection).await?;
                }
                let approved = review.verdict == Verdict::Approve;
                if review.kind == Kind::Image {
                    for image in &review.contents {
                        if !approved {
                            let images = "image_1 = $2 OR image_2 = $2";
                            let of = match review.whole_row {
                                true => format!("prompt_idx IN (SELECT prompt_idx FROM pairs WHERE sprint = $1 AND ({images}))"),
                                false => format!("({images})"),
                            };
                            let query = format!(
                                "UPDATE pairs SET wanted = FALSE WHERE sprint = $1 AND {of} RETURNING id"
                            );
                            let query = sqlx::query_scalar(AssertSqlSafe(query)).bind(sprint.as_str()).bind(image);
                            let pairs: Vec<String> = query.fetch_all(&mut *connection).await?;
                            withdraw(connection, pairs, review.now).await?;
                        }
                        crate::reports::reviewed(connection, &sprint, image, &review).await?;
                    }
                } else if !approved {
                    for prompt in &review.prompts {
                        let query = "UPDATE pairs SET wanted = FALSE WHERE sprint = $1 AND prompt_idx = $2 RETURNING id";
                        let query = sqlx::query_scalar(query).bind(sprint.as_str()).bind(prompt);
                        let pairs: Vec<String> = query.fetch_all(&mut *connection).await?;
                        withdraw(connection, pairs, review.now).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }
}

/// Takes pairs that are no longer wanted from everybody.
async fn withdraw(connection: &mut Connection, pairs: Vec<String>, now: Millis) -> Result<()> {
    for pair in pairs {
        crate::pairs::show_as_wanted(connection, &pair, now).await?;
    }
    Ok(())
}
