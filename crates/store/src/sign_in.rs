//! Coming in: through a provider or with an invitation, and what people agree to before they begin.

use diptych_core::{Name, PersonId, Role, SprintId};

use crate::people::{Person, PersonKind, hash, person};
use crate::{Connection, Millis, Result, Store, StoreError};

/// A sign-in that is under way at a provider.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SignIn {
    /// The provider's key.
    pub provider: String,
    /// Where the person goes on to.
    pub next: String,
}

/// An invitation that is still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// To which sprint.
    pub sprint: SprintId,
    /// As what.
    pub role: Role,
}

/// What became of an invitation that somebody took up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invited {
    /// They are in.
    As(Person, Invitation),
    /// There is no such invitation, or no longer.
    Over,
    /// Somebody has that name already.
    NameTaken,
}

/// Who takes an invitation up.
#[derive(Debug, Clone)]
pub enum Guest {
    /// Somebody new, under this name.
    New(Name),
    /// Somebody who is signed in.
    Known(Person),
}

impl Store {
    /// Remembers that the browser with this secret is at a provider, and forgets whose time is over.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_sign_in(
        &self,
        secret: &str,
        sign_in: &SignIn,
        now: Millis,
        expires_at: Millis,
    ) -> Result<()> {
        let (hash, sign_in) = (hash(secret), sign_in.clone());
        self.write(move |connection| {
            let (hash, sign_in) = (hash.clone(), sign_in.clone());
            Box::pin(async move {
                sqlx::query("DELETE FROM sign_ins WHERE expires_at <= $1")
                    .bind(now)
                    .execute(&mut *connection)
                    .await?;
                sqlx::query(
                    "INSERT INTO sign_ins (hash, provider, next, expires_at) VALUES ($1, $2, $3, $4)",
                )
                .bind(hash)
                .bind(sign_in.provider)
                .bind(sign_in.next)
                .bind(expires_at)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The sign-in that the browser with this secret has begun: once, and not after its time.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn end_sign_in(&self, secret: &str, now: Millis) -> Result<Option<SignIn>> {
        let hash = hash(secret);
        self.write(move |connection| {
            let hash = hash.clone();
            Box::pin(async move {
                let query =
                    "DELETE FROM sign_ins WHERE hash = $1 AND expires_at > $2 RETURNING provider, next";
                Ok(sqlx::query_as(query).bind(hash).bind(now).fetch_optional(connection).await?)
            })
        })
        .await
    }

    /// The person whom a provider knows as `subject`. Who comes for the first time gets the name that the
    /// provider tells, with a number where somebody has it already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person_of_identity(
        &self,
        issuer: &str,
        subject: &str,
        name: &Name,
        now: Millis,
    ) -> Result<Person> {
        let (issuer, subject, name) = (issuer.to_owned(), subject.to_owned(), name.clone());
        self.write(move |connection| {
            let (issuer, subject, name) = (issuer.clone(), subject.clone(), name.clone());
            Box::pin(async move {
                let known = sqlx::query_as(
                    "SELECT people.id, name, kind FROM identities JOIN people ON people.id = identities.person \
                     WHERE issuer = $1 AND subject = $2",
                )
                .bind(&issuer)
                .bind(&subject)
                .fetch_optional(&mut *connection)
                .await?;
                if let Some(known) = known {
                    return Ok(person(known));
                }
                let made = first_free(connection, &name, PersonKind::Person, now).await?;
                sqlx::query("INSERT INTO identities (issuer, subject, person, created_at) VALUES ($1, $2, $3, $4)")
                    .bind(issuer)
                    .bind(subject)
                    .bind(made.id.as_str())
                    .bind(now)
                    .execute(connection)
                    .await?;
                Ok(made)
            })
        })
        .await
    }

    /// A guest, under this name with the first number that is free.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn new_guest(&self, name: &Name, now: Millis) -> Result<Person> {
        let name = name.clone();
        self.write(move |connection| {
            let name = name.clone();
            Box::pin(async move { first_free(connection, &name, PersonKind::Guest, now).await })
        })
        .await
    }

    /// Lets so many people come in with this secret until `expires_at`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn invite(
        &self,
        secret: &str,
        to: &Invitation,
        places: u32,
        now: Millis,
        expires_at: Millis,
    ) -> Result<()> {
        let (hash, to) = (hash(secret), to.clone());
        self.write(move |connection| {
            let (hash, to) = (hash.clone(), to.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO invitations (hash, sprint, role, places, expires_at, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(hash)
                .bind(to.sprint.as_str())
                .bind(to.role.as_str())
                .bind(i64::from(places))
                .bind(expires_at)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The invitation with this secret, where it is open. Who is known already takes no place to answer, so to them it is
    /// open as well where none is left.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn invitation(&self, secret: &str, is_known: bool, now: Millis) -> Result<Option<Invitation>> {
        let query = sqlx::query_as(INVITATION).bind(hash(secret)).bind(now).bind(i64::from(is_known));
        let row = query.fetch_optional(self.readers()).await?;
        row.map(invitation).transpose()
    }

    /// Takes an invitation up. Nobody loses a role that says more than the invitation. Who gains one is signed out
    /// everywhere but in the session with this secret, which has shown the invitation.
    ///
    /// # Errors
    /// Where the database fails; no place is taken then.
    pub async fn accept(&self, secret: &str, guest: &Guest, session: &str, now: Millis) -> Result<Invited> {
        let (session, hash, guest) = (hash(session), hash(secret), guest.clone());
        self.end_sessions(move |connection| {
            let (session, hash, guest) = (session.clone(), hash.clone(), guest.clone());
            Box::pin(async move {
                let is_new = matches!(guest, Guest::New(_));
                let query = sqlx::query_as(INVITATION).bind(&hash).bind(now).bind(i64::from(!is_new));
                let row = query.fetch_optional(&mut *connection).await?;
                let Some(to) = row.map(invitation).transpose()? else { return Ok(Invited::Over) };
                let person = match guest {
                    Guest::Known(person) => person,
                    Guest::New(name) => match Self::new_person_in(connection, &name, PersonKind::Invited, now).await? {
                        Some(person) => person,
                        None => return Ok(Invited::NameTaken),
                    },
                };
                let mut gained = false;
                if to.role != Role::Annotator {
                    let changed = sqlx::query(
                        "INSERT INTO roles (person, sprint, role) VALUES ($1, $2, $3) ON CONFLICT (person, sprint) \
                         DO UPDATE SET role = excluded.role WHERE roles.role = 'annotator'",
                    )
                    .bind(person.id.as_str())
                    .bind(to.sprint.as_str())
                    .bind(to.role.as_str())
                    .execute(&mut *connection)
                    .await?;
                    gained = changed.rows_affected() > 0;
                    if gained {
                        crate::people::sign_out(&mut *connection, person.id.as_str(), &session).await?;
                    }
                }
                // Who comes back by the same link takes no other place.
                if is_new || gained {
                    sqlx::query("UPDATE invitations SET places = places - 1 WHERE hash = $1")
                        .bind(&hash)
                        .execute(connection)
                        .await?;
                }
                Ok(Invited::As(person, to))
            })
        })
        .await
    }

    /// Records that the person has agreed to these terms.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn agree(
        &self,
        sprint: &SprintId,
        person: &PersonId,
        version: &str,
        text: &str,
        now: Millis,
    ) -> Result<()> {
        let (sprint, person) = (sprint.clone(), person.clone());
        let (version, text) = (version.to_owned(), text.to_owned());
        self.write(move |connection| {
            let (sprint, person, version, text) =
                (sprint.clone(), person.clone(), version.clone(), text.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO terms (version, text) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING",
                )
                .bind(&version)
                .bind(text)
                .execute(&mut *connection)
                .await?;
                sqlx::query(
                    "INSERT INTO consents (sprint, person, version, agreed_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (sprint, person, version) DO NOTHING",
                )
                .bind(sprint.as_str())
                .bind(person.as_str())
                .bind(version)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Whether the person has agreed to the terms of this version.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_agreed(&self, sprint: &SprintId, person: &PersonId, version: &str) -> Result<bool> {
        let query = "SELECT COUNT(*) FROM consents WHERE sprint = $1 AND person = $2 AND version = $3";
        let agreed: i64 = sqlx::query_scalar(query)
            .bind(sprint.as_str())
            .bind(person.as_str())
            .bind(version)
            .fetch_one(self.lookups())
            .await?;
        Ok(agreed > 0)
    }
}

/// The invitation `$1`, where it is open at `$2` to somebody who is known (`$3`) or new.
const INVITATION: &str = "SELECT sprint, role FROM invitations WHERE hash = $1 AND expires_at > $2 \
     AND (places > 0 OR $3 > 0 AND role = 'annotator')";

async fn first_free(
    connection: &mut Connection,
    name: &Name,
    kind: PersonKind,
    now: Millis,
) -> Result<Person> {
    // After a few tries the number is drawn: ten thousand of the same name would each look at all before them.
    for number in 1.. {
        let tried = match number {
            1 => name.clone(),
            2..=9 => name.numbered(number),
            _ => name.numbered((uuid::Uuid::new_v4().as_u128() % 1_000_000_000) as usize),
        };
        if let Some(person) = Store::new_person_in(connection, &tried, kind, now).await? {
            return Ok(person);
        }
    }
    Err(StoreError::Stopped)
}

fn invitation((sprint, role): (String, String)) -> Result<Invitation> {
    let role = Role::from_word(&role).ok_or(StoreError::UnknownWord { table: "invitations", word: role })?;
    Ok(Invitation { sprint: SprintId::from_text(sprint), role })
}
