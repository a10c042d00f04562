//! People: who they are, how programs and browsers prove it, what they may do, and under which
//! pseudonym their answers are published.

use diptych_core::{Name, PersonId, Role, SprintId};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use crate::standings::COUNTS;
use crate::{Connection, Millis, Result, Store, StoreError, TOGETHER, padded_rows, padded_with};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id.
    pub id: PersonId,
    /// The name as the person wrote it first.
    pub name: String,
    /// Whether the program made this person up, for the demo.
    pub simulated: bool,
}

/// How a person came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonKind {
    /// By a name, a token or a provider.
    Person,
    /// By an invitation.
    Invited,
    /// Under a name that was made up for them.
    Guest,
    /// The program has made them up, for the demo.
    Simulated,
}

impl PersonKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Invited => "invited",
            Self::Guest => "guest",
            Self::Simulated => SIMULATED,
        }
    }
}

/// A person as `users list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PersonSummary {
    /// The name.
    pub name: String,
    /// `person`, `guest` or `simulated`.
    pub kind: String,
    /// What they may do in the sprint: a word of [`Role`].
    pub role: String,
    /// How many of their responses to the sprint count.
    pub responses: i64,
}

/// The kind of people whom the program has made up, for the demo.
pub(crate) const SIMULATED: &str = "simulated";

/// What is kept of a secret: enough to know it again, not enough to use it.
pub(crate) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

impl Store {
    /// The person with this name, made where there is none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person(&self, name: &Name, kind: PersonKind, now: Millis) -> Result<Person> {
        let name = name.clone();
        self.write(move |connection| {
            let name = name.clone();
            Box::pin(async move {
                let query = "INSERT INTO people (id, name, handle, kind, created_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (handle) DO UPDATE SET handle = excluded.handle RETURNING id, name, kind";
                Ok(person(insert(query, &name, kind, now).fetch_one(connection).await?))
            })
        })
        .await
    }

    /// The person with this name, where there is one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person_named(&self, name: &Name) -> Result<Option<Person>> {
        let query = "SELECT id, name, kind FROM people WHERE handle = $1";
        let row = sqlx::query_as(query).bind(name.handle()).fetch_optional(self.readers()).await?;
        Ok(row.map(person))
    }

    /// A new person with this name; none where somebody has it already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn new_person(&self, name: &Name, kind: PersonKind, now: Millis) -> Result<Option<Person>> {
        let name = name.clone();
        self.write(move |connection| {
            let name = name.clone();
            Box::pin(async move { Self::new_person_in(connection, &name, kind, now).await })
        })
        .await
    }

    pub(crate) async fn new_person_in(
        connection: &mut Connection,
        name: &Name,
        kind: PersonKind,
        now: Millis,
    ) -> Result<Option<Person>> {
        let query = "INSERT INTO people (id, name, handle, kind, created_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (handle) DO NOTHING RETURNING id, name, kind";
        Ok(insert(query, name, kind, now).fetch_optional(connection).await?.map(person))
    }

    /// Lets this secret stand for the person in programs.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_token(&self, person: &PersonId, token: &str, now: Millis) -> Result<()> {
        self.keep_secret(
            "INSERT INTO tokens (hash, person, created_at) VALUES ($1, $2, $3)",
            person,
            token,
            now,
        )
        .await
    }

    /// Lets this secret stand for the person in a browser, until `expires_at`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_session(&self, person: &PersonId, secret: &str, expires_at: Millis) -> Result<()> {
        let query = "INSERT INTO sessions (hash, person, expires_at) VALUES ($1, $2, $3)";
        self.keep_secret(query, person, secret, expires_at).await
    }

    /// The same, begun by a name alone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_session_by_name(
        &self,
        person: &PersonId,
        secret: &str,
        expires_at: Millis,
    ) -> Result<()> {
        let query = "INSERT INTO sessions (hash, person, expires_at, by_name) VALUES ($1, $2, $3, 1)";
        self.keep_secret(query, person, secret, expires_at).await
    }

    /// Whether a name alone began the session with this secret.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_by_name(&self, secret: &str) -> Result<bool> {
        let query = "SELECT COUNT(*) FROM sessions WHERE hash = $1 AND by_name = 1";
        let one: i64 = sqlx::query_scalar(query).bind(hash(secret)).fetch_one(self.readers()).await?;
        Ok(one > 0)
    }

    async fn keep_secret(
        &self,
        query: &'static str,
        person: &PersonId,
        secret: &str,
        at: Millis,
    ) -> Result<()> {
        let (hash, person) = (hash(secret), person.clone());
        self.write(move |connection| {
            let (hash, person) = (hash.clone(), person.clone());
            Box::pin(async move {
                sqlx::query(query).bind(hash).bind(person.as_str()).bind(at).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes all of a person's tokens back, and says how many there were.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn revoke_tokens(&self, person: &PersonId) -> Result<u64> {
        let person = person.clone();
        self.write(move |connection| {
            let person = person.clone();
            Box::pin(async move {
                let query = sqlx::query("DELETE FROM tokens WHERE person = $1").bind(person.as_str());
                Ok(query.execute(connection).await?.rows_affected())
            })
        })
        .await
    }

    /// Ends all of a person's sessions but that of this secret, and takes their tokens back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn end_other_ways_in(&self, person: &PersonId, but: &str) -> Result<()> {
        let (person, but) = (person.clone(), hash(but));
        self.end_sessions(move |connection| {
            let (person, but) = (person.clone(), but.clone());
            Box::pin(async move {
                sqlx::query("DELETE FROM sessions WHERE person = $1 AND hash <> $2")
                    .bind(person.as_str())
                    .bind(but)
                    .execute(&mut *connection)
                    .await?;
                sqlx::query("DELETE FROM tokens WHERE person = $1")
                    .bind(person.as_str())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes the sessions that were over by then.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_sessions(&self, then: Millis) -> Result<()> {
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
                    .bind(then)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Ends a browser's session.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn end_session(&self, secret: &str) -> Result<()> {
        let hash = hash(secret);
        self.end_sessions(move |connection| {
            let hash = hash.clone();
            Box::pin(async move {
                sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// The person that a program's token stands for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person_of_token(&self, token: &str) -> Result<Option<Person>> {
        let query = "SELECT people.id, name, kind FROM tokens JOIN people ON people.id = tokens.person WHERE hash = $1";
        let row = sqlx::query_as(query).bind(hash(token)).fetch_optional(self.readers()).await?;
        Ok(row.map(person))
    }

    /// Everybody, by name, as they stand in this sprint.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn people(&self, sprint: &SprintId) -> Result<Vec<PersonSummary>> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT name, kind, \
             COALESCE((SELECT role FROM roles WHERE person = people.id AND sprint = $1), 'annotator') AS role, \
             (SELECT COUNT(*) FROM responses WHERE person = people.id AND sprint = $1 AND {COUNTS}) \
             AS responses FROM people WHERE kind <> 'gone' ORDER BY handle"
        )))
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }

    /// Gives each person, who is in a sprint for the first time, the name under which their answers to it are
    /// published: random, and never changed once given.
    ///
    /// # Errors
    /// Where the database fails.
    pub(crate) async fn pseudonyms(
        connection: &mut Connection,
        people: &[(&SprintId, &PersonId)],
    ) -> Result<()> {
        for some in people.chunks(TOGETHER) {
            let query = format!(
                "INSERT INTO pseudonyms (sprint, person, pseudonym) VALUES {} ON CONFLICT (sprint, person) DO NOTHING",
                padded_rows(some.len(), 3)
            );
            let mut query = sqlx::query(AssertSqlSafe(query));
            for (sprint, person) in padded_with(some, &some[0]) {
                // Version 4, not 7: a time in it would join a pseudonym to the moment of somebody's first answer.
                query =
                    query.bind(sprint.as_str()).bind(person.as_str()).bind(uuid::Uuid::new_v4().to_string());
            }
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }
}

type Row = (String, String, String);

fn insert<'q>(
    query: &'static str,
    name: &'q Name,
    kind: PersonKind,
    now: Millis,
) -> sqlx::query::QueryAs<'q, sqlx::Any, Row, sqlx::any::AnyArguments> {
    sqlx::query_as(query)
        .bind(PersonId::new().as_str().to_owned())
        .bind(name.shown())
        .bind(name.handle())
        .bind(kind.as_str())
        .bind(now)
}

pub(crate) fn person((id, name, kind): Row) -> Person {
    Person { id: PersonId::from_text(id), name, simulated: kind == SIMULATED }
}

impl Store {
    /// Whether this person has come by more than a name (through a provider, as a guest, by an invitation), so that the
    /// name alone is not theirs.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_known_elsewhere(&self, person: &PersonId) -> Result<bool> {
        let query = "SELECT (SELECT COUNT(*) FROM identities WHERE person = $1) \
                     + (SELECT COUNT(*) FROM people WHERE id = $1 AND kind IN ('guest', 'invited'))";
        let ways: i64 = sqlx::query_scalar(query).bind(person.as_str()).fetch_one(self.readers()).await?;
        Ok(ways > 0)
    }

    /// Whether this person moderates or organizes any sprint.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_a_role(&self, person: &PersonId) -> Result<bool> {
        let roles: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM roles WHERE person = $1 AND role <> 'annotator'")
                .bind(person.as_str())
                .fetch_one(self.readers())
                .await?;
        Ok(roles > 0)
    }

    /// What a person may do in a sprint: `annotator` (also where nothing was said), `moderator` or
    /// `organizer`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn role(&self, sprint: &SprintId, person: &PersonId) -> Result<Role> {
        let role: Option<String> =
            sqlx::query_scalar("SELECT role FROM roles WHERE sprint = $1 AND person = $2")
                .bind(sprint.as_str())
                .bind(person.as_str())
                .fetch_optional(self.readers())
                .await?;
        role.map_or(Ok(Role::Annotator), |word| {
            Role::from_word(&word).ok_or(StoreError::UnknownWord { table: "roles", word })
        })
    }

    /// Says what a person may do in a sprint. Who may see what others must not comes in anew: a session may have been
    /// begun by a name alone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_role(&self, sprint: &SprintId, person: &PersonId, role: Role) -> Result<()> {
        let (sprint, person) = (sprint.clone(), person.clone());
        self.end_sessions(move |connection| {
            let (sprint, person) = (sprint.clone(), person.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO roles (person, sprint, role) VALUES ($1, $2, $3) \
                     ON CONFLICT (person, sprint) DO UPDATE SET role = excluded.role",
                )
                .bind(person.as_str())
                .bind(sprint.as_str())
                .bind(role.as_str())
                .execute(&mut *connection)
                .await?;
                if role == Role::Annotator {
                    return Ok(());
                }
                sign_out(connection, person.as_str(), "").await
            })
        })
        .await
    }
}

/// Signs the person out everywhere but in the session with this hash.
pub(crate) async fn sign_out(connection: &mut Connection, person: &str, but: &str) -> Result<()> {
    let query = "DELETE FROM sessions WHERE person = $1 AND hash <> $2";
    sqlx::query(query).bind(person).bind(but).execute(connection).await?;
    Ok(())
}
