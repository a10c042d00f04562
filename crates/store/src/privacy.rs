//! What a server keeps of a person, for that person to see, to take along, and to have removed.

use diptych_core::{Answer, PersonId, Side, SprintId};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row};

use crate::pairs::recount;
use crate::proposals::Proposal;
use crate::{Connection, Millis, Result, Store, StoreError};

/// Everything that is kept of a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OwnData {
    /// The name.
    pub name: String,
    /// Since when the server knows them.
    pub known_since: Millis,
    /// The providers that they have signed in through.
    pub providers: Vec<String>,
    /// Browsers that are signed in.
    pub sessions: i64,
    /// Tokens that stand for them.
    pub tokens: i64,
    /// Sprints that they have proposed.
    pub proposals: Vec<OwnProposal>,
    /// What there is of them in each sprint.
    pub sprints: Vec<OwnSprint>,
}

/// A sprint that a person has proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnProposal {
    /// Its title.
    pub title: String,
    /// The question.
    pub question: String,
    /// What the answers are for.
    pub about: String,
    /// `waiting`, `accepted` or `declined`.
    pub state: String,
    /// What whoever decided says of it.
    pub note: String,
    /// How many prompts there were; they are kept until it is decided.
    pub prompts: i64,
    /// When.
    pub at: Millis,
}

/// What is kept of a person in one sprint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OwnSprint {
    /// The sprint's id, for the server; not part of what people see.
    #[serde(skip)]
    pub id: SprintId,
    /// The sprint's slug.
    pub sprint: String,
    /// The name under which their answers are published, where there are any.
    pub pseudonym: Option<String>,
    /// Whether the leaderboard shows their own name in its place.
    pub named: bool,
    /// `moderator` or `organizer`, where they are one.
    pub role: Option<String>,
    /// The terms that they have agreed to, and when.
    pub agreed: Vec<(String, Millis)>,
    /// When an organizer left their answers out, why, and until when.
    pub excluded: Vec<OwnExclusion>,
    /// Their answers.
    pub responses: Vec<OwnResponse>,
    /// What else they did, or were shown.
    pub deeds: Vec<OwnDeed>,
}

/// That somebody's answers did not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct OwnExclusion {
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Millis,
    /// Until when; none where it is still so.
    pub until: Option<Millis>,
}

/// What a person did but answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct OwnDeed {
    /// `shown` (and not answered), `skip`, `report`, `announce` or `set`; of a review `approve`, `reject` or `undo`.
    pub what: String,
    /// Of which prompt, content or setting.
    pub about: String,
    /// What they said, or what became of it.
    pub says: String,
    /// When.
    pub at: Millis,
}

/// An answer, as its person gave it: nothing in it tells which model made which picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnResponse {
    /// The prompt.
    pub prompt: String,
    /// What was pressed: `left`, `right`, `both_good`, `both_bad` or `toxic_content`.
    pub answer: String,
    /// When.
    pub at: Millis,
    /// How long the pair was looked at, in milliseconds.
    pub duration_ms: Option<i64>,
    /// What was added.
    pub comment: Option<String>,
    /// Whether it counts, or why not: a word of `ResponseState`; of a check, `check` once the sprint is over, and
    /// until then what a response would say, so that nothing tells the two apart.
    pub state: String,
}

/// A sprint in which there is something of a person.
#[derive(sqlx::FromRow)]
struct KnownIn {
    id: String,
    slug: String,
    pseudonym: Option<String>,
    named: Option<i64>,
    role: Option<String>,
}

/// The sprints in which there is something of the person `$1`.
fn sprints_of_person() -> String {
    // Answers have a pseudonym, and reports came as answers. Of assignments those that an index finds, each by its own.
    let tables =
        ["pseudonyms", "consents", "roles", "checks", "exclusions", "reviews", "settings", "announcements"];
    let names =
        |table| format!("EXISTS (SELECT 1 FROM {table} t WHERE t.sprint = sprints.id AND t.person = $1) OR ");
    let shown = |states| {
        format!(
            "EXISTS (SELECT 1 FROM assignments t WHERE t.sprint = sprints.id AND t.person = $1 AND {states})"
        )
    };
    format!(
        "SELECT sprints.id, slug, pseudonym, named, role FROM sprints LEFT JOIN pseudonyms \
         ON pseudonyms.sprint = sprints.id AND pseudonyms.person = $1 \
         LEFT JOIN roles ON roles.sprint = sprints.id AND roles.person = $1 WHERE {}{} ORDER BY slug",
        tables.map(names).concat(),
        ["t.state = 'skipped'", "t.state = 'open'", "t.state IN ('expired', 'withdrawn')"]
            .map(shown)
            .join(" OR ")
    )
}

/// What the person `$2` has answered in the sprint `$1`, checks among it.
const RESPONSES: &str = "SELECT prompt, answer, side, responses.created_at AS at, duration_ms, comment, state \
    FROM responses JOIN pairs ON pairs.id = responses.pair WHERE responses.sprint = $1 AND person = $2 UNION ALL \
    SELECT prompt, answer, side, ended_at AS at, duration_ms, comment, CASE WHEN \
     (SELECT sprints.state FROM sprints WHERE sprints.id = $1) IN ('closed', 'archived') THEN 'check' \
     WHEN EXISTS (SELECT 1 FROM exclusions e WHERE e.sprint = $1 AND e.person = $2 AND e.ended_at IS NULL) \
     THEN 'excluded' ELSE 'submitted' END AS state FROM checks JOIN pairs ON pairs.id = checks.pair \
    WHERE checks.sprint = $1 AND person = $2 AND checks.state = 'answered' ORDER BY at";

fn own_response(row: &sqlx::any::AnyRow) -> Result<OwnResponse> {
    let unknown = |word: String| StoreError::UnknownWord { table: "responses", word };
    let (answer, side): (String, String) = (row.try_get("answer")?, row.try_get("side")?);
    let side = Side::from_word(&side).ok_or_else(|| unknown(side))?;
    let answer = Answer::from_word(&answer).ok_or_else(|| unknown(answer))?;
    Ok(OwnResponse {
        prompt: row.try_get("prompt")?,
        answer: answer.choice(side).as_str().to_owned(),
        at: row.try_get("at")?,
        duration_ms: row.try_get("duration_ms")?,
        comment: row.try_get("comment")?,
        state: row.try_get("state")?,
    })
}

/// What the person `$2` did in the sprint `$1` but answer, and what they were shown and did not answer. A check that was
/// skipped is a skip like any other; one that was reported is two reports, of which one is told before the sprint is over,
/// also where it was taken back.
const DEEDS: &str = "SELECT 'skip' AS what, prompt AS about, '' AS says, ended_at AS at FROM assignments \
    JOIN pairs ON pairs.id = assignments.pair WHERE assignments.sprint = $1 AND person = $2 AND state = 'skipped' \
    UNION ALL SELECT 'skip', prompt, '', ended_at FROM checks JOIN pairs ON pairs.id = checks.pair \
    WHERE checks.sprint = $1 AND person = $2 AND state = 'skipped' \
    UNION ALL SELECT 'shown', prompt, '', assignments.created_at FROM assignments JOIN pairs ON pairs.id = assignments.pair \
    WHERE assignments.sprint = $1 AND person = $2 AND state = 'open' \
    UNION ALL SELECT 'shown', prompt, '', assignments.created_at FROM assignments JOIN pairs ON pairs.id = assignments.pair \
    WHERE assignments.sprint = $1 AND person = $2 AND state IN ('expired', 'withdrawn') \
    UNION ALL SELECT 'shown', prompt, '', checks.created_at FROM checks JOIN pairs ON pairs.id = checks.pair \
    WHERE checks.sprint = $1 AND person = $2 AND state IN ('open', 'expired', 'withdrawn') \
    UNION ALL SELECT 'report', prompt, state, reports.created_at FROM reports JOIN pairs ON pairs.id = reports.pair \
    WHERE reports.sprint = $1 AND person = $2 AND reports.kind = 'toxic' AND ((SELECT state FROM sprints WHERE id = $1) \
     IN ('closed', 'archived') OR NOT EXISTS (SELECT 1 FROM checks c WHERE c.sprint = $1 AND c.person = $2 \
     AND c.other = reports.pair AND c.pair <> c.other) OR EXISTS (SELECT 1 FROM checks c WHERE c.sprint = $1 \
     AND c.person = $2 AND c.pair = reports.pair AND c.answer = 'toxic_content') OR EXISTS (SELECT 1 FROM responses r \
     WHERE r.pair = reports.pair AND r.person = $2 AND r.answer = 'toxic_content')) \
    UNION ALL SELECT verdict, content, reason || ' ' || note, created_at FROM reviews WHERE sprint = $1 AND person = $2 \
    UNION ALL SELECT 'set', what, was || ' → ' || became, changed_at FROM settings WHERE sprint = $1 AND person = $2 \
    UNION ALL SELECT 'announce', '', text, created_at FROM announcements WHERE sprint = $1 AND person = $2 ORDER BY at";

/// The name of whoever had their data removed, till it is said in the reader's language.
pub const LEFT: &str = "Somebody who left";

/// The kind of people who had their data removed.
const GONE: &str = "gone";

impl Store {
    /// Everything that is kept of this person by now.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn own_data(&self, person: &PersonId, now: Millis) -> Result<OwnData> {
        let who = person.as_str();
        let (name, known_since): (String, Millis) =
            sqlx::query_as("SELECT name, created_at FROM people WHERE id = $1")
                .bind(who)
                .fetch_one(self.readers())
                .await?;
        let providers = sqlx::query_scalar("SELECT issuer FROM identities WHERE person = $1 ORDER BY issuer")
            .bind(who)
            .fetch_all(self.readers())
            .await?;
        let sessions =
            sqlx::query_scalar("SELECT COUNT(*) FROM sessions WHERE person = $1 AND expires_at > $2");
        let sessions = sessions.bind(who).bind(now).fetch_one(self.readers()).await?;
        let tokens = sqlx::query_scalar("SELECT COUNT(*) FROM tokens WHERE person = $1");
        let tokens = tokens.bind(who).fetch_one(self.readers()).await?;
        let mut sprints = Vec::new();
        for known in
            sqlx::query_as(AssertSqlSafe(sprints_of_person())).bind(who).fetch_all(self.readers()).await?
        {
            sprints.push(self.own_sprint(who, known).await?);
        }
        let proposal = |one: Proposal| OwnProposal {
            title: one.title,
            question: one.question,
            about: one.about,
            state: one.state,
            note: one.note,
            prompts: one.prompt_count,
            at: one.created_at,
        };
        let proposals = self.proposals_of(person).await?.into_iter().map(proposal).collect();
        Ok(OwnData { name, known_since, providers, sessions, tokens, proposals, sprints })
    }

    async fn own_sprint(&self, who: &str, known: KnownIn) -> Result<OwnSprint> {
        let id = known.id;
        let agreed = sqlx::query_as(
            "SELECT text, agreed_at FROM consents JOIN terms ON terms.version = consents.version \
             WHERE sprint = $1 AND person = $2 ORDER BY agreed_at",
        );
        let excluded = sqlx::query_as(
            "SELECT reason, excluded_at AS at, ended_at AS until FROM exclusions WHERE sprint = $1 AND person = $2 \
             ORDER BY excluded_at",
        );
        let responses = sqlx::query(RESPONSES).bind(&id).bind(who).fetch_all(self.readers()).await?;
        Ok(OwnSprint {
            sprint: known.slug,
            pseudonym: known.pseudonym,
            named: known.named == Some(1),
            role: known.role,
            agreed: agreed.bind(&id).bind(who).fetch_all(self.readers()).await?,
            excluded: excluded.bind(&id).bind(who).fetch_all(self.readers()).await?,
            responses: responses.iter().map(own_response).collect::<Result<_>>()?,
            deeds: sqlx::query_as(DEEDS).bind(&id).bind(who).fetch_all(self.readers()).await?,
            id: SprintId::from_text(id),
        })
    }

    /// Shows the person's name on the sprint's leaderboard in place of the pseudonym, or no longer.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn show_name(&self, sprint: &SprintId, person: &PersonId, named: bool) -> Result<()> {
        let (sprint, person) = (sprint.clone(), person.clone());
        self.write(move |connection| {
            let (sprint, person) = (sprint.clone(), person.clone());
            Box::pin(async move {
                Self::pseudonyms(connection, &[(&sprint, &person)]).await?;
                sqlx::query("UPDATE pseudonyms SET named = $3 WHERE sprint = $1 AND person = $2")
                    .bind(sprint.as_str())
                    .bind(person.as_str())
                    .bind(i64::from(named))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets who a person is: name, ways in, roles and what they have agreed to. Their answers stay under the
    /// pseudonym, without what they added in words; in the sprints of `remove` they are removed, and others are
    /// asked in their place.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn forget(&self, person: &PersonId, remove: &[SprintId], now: Millis) -> Result<()> {
        let (person, remove) = (person.clone(), remove.to_vec());
        self.end_sessions(move |connection| {
            let (person, remove) = (person.clone(), remove.clone());
            Box::pin(async move {
                for sprint in &remove {
                    remove_answers(connection, sprint, &person).await?;
                }
                // What they hold goes back.
                let held: Vec<String> = sqlx::query_scalar(
                    "UPDATE assignments SET state = 'withdrawn', ended_at = $2 WHERE person = $1 AND state = 'open' \
                     RETURNING pair",
                )
                .bind(person.as_str())
                .bind(now)
                .fetch_all(&mut *connection)
                .await?;
                for pair in held {
                    crate::assignments::give_back(connection, &pair).await?;
                }
                for query in [
                    "DELETE FROM sessions WHERE person = $1",
                    "DELETE FROM tokens WHERE person = $1",
                    "DELETE FROM identities WHERE person = $1",
                    "DELETE FROM roles WHERE person = $1",
                    "DELETE FROM consents WHERE person = $1",
                    // They measure this person, and nobody any more.
                    "DELETE FROM checks WHERE person = $1",
                    "DELETE FROM proposals WHERE person = $1",
                    "UPDATE exclusions SET reason = '' WHERE person = $1",
                    "UPDATE pseudonyms SET named = 0 WHERE person = $1",
                    "UPDATE responses SET comment = NULL WHERE person = $1",
                ] {
                    sqlx::query(query).bind(person.as_str()).execute(&mut *connection).await?;
                }
                sqlx::query("UPDATE people SET name = $4, handle = $2, kind = $3 WHERE id = $1")
                    .bind(person.as_str())
                    // Longer than any name, so nobody can come and be them.
                    .bind(format!("/gone/{}", uuid::Uuid::new_v4()))
                    .bind(GONE)
                    .bind(LEFT)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

/// Removes a person's answers to a sprint, and opens their pairs for others: an answer that was beyond the overlap
/// counts in place of one that is gone.
async fn remove_answers(connection: &mut Connection, sprint: &SprintId, person: &PersonId) -> Result<()> {
    let pairs: Vec<String> =
        sqlx::query_scalar("SELECT pair FROM responses WHERE sprint = $1 AND person = $2")
            .bind(sprint.as_str())
            .bind(person.as_str())
            .fetch_all(&mut *connection)
            .await?;
    for query in [
        "DELETE FROM responses WHERE sprint = $1 AND person = $2",
        "DELETE FROM assignments WHERE sprint = $1 AND person = $2 AND state <> 'open'",
        "DELETE FROM pseudonyms WHERE sprint = $1 AND person = $2",
    ] {
        sqlx::query(query).bind(sprint.as_str()).bind(person.as_str()).execute(&mut *connection).await?;
    }
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    recount(connection, &pairs).await
}
