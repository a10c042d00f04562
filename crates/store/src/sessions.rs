//! Whose session it is: asked with nearly every request, and so for all together who ask at the same moment.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{AnyPool, AssertSqlSafe, Row};
use tokio::sync::{mpsc, oneshot};

use crate::people::{Person, hash, person};
use crate::{AT_ONCE, Millis, Result, Store, StoreError, padded, places};

impl Store {
    /// The person that a browser's session stands for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person_of_session(&self, secret: &str, now: Millis) -> Result<Option<Person>> {
        let session = self.sessions().find(hash(secret)).await?;
        Ok(session.filter(|session| session.expires_at > now).map(|session| session.person))
    }
}

/// A browser's session.
#[derive(Clone)]
struct Session {
    person: Person,
    expires_at: Millis,
}

/// Somebody who waits to hear whose the session with this hash is.
struct Asked {
    hash: String,
    caller: oneshot::Sender<Result<Option<Session>>>,
}

/// Where to ask.
#[derive(Clone)]
pub(crate) struct Sessions(mpsc::Sender<Asked>);

impl Sessions {
    pub(crate) fn start(pool: AnyPool) -> Self {
        let (asked, waiting) = mpsc::channel(1024);
        tokio::spawn(look_up_groups(pool, waiting));
        Self(asked)
    }

    async fn find(&self, hash: String) -> Result<Option<Session>> {
        let (caller, answer) = oneshot::channel();
        self.0.send(Asked { hash, caller }).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

/// Who asks while a look is under way waits for the next one: alone that is at once, under load dozens share one.
async fn look_up_groups(pool: AnyPool, mut waiting: mpsc::Receiver<Asked>) {
    let mut group = Vec::with_capacity(AT_ONCE);
    while waiting.recv_many(&mut group, AT_ONCE).await > 0 {
        let hashes: Vec<&str> = group.iter().map(|asked| asked.hash.as_str()).collect();
        let found = look_up(&pool, &hashes).await.map_err(Arc::new);
        for Asked { hash, caller } in group.drain(..) {
            let session = found.as_ref().map(|found| found.get(&hash).cloned());
            // Who hung up need not hear of it.
            caller.send(session.map_err(|error| error.clone().into())).ok();
        }
    }
}

async fn look_up(pool: &AnyPool, hashes: &[&str]) -> Result<HashMap<String, Session>, sqlx::Error> {
    let query = format!(
        "SELECT hash, expires_at, people.id, name, kind FROM sessions JOIN people ON people.id = sessions.person \
         WHERE hash IN ({})",
        places(1, hashes.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(query));
    for hash in padded(hashes) {
        query = query.bind(hash);
    }
    let rows = query.fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let person = person((row.try_get("id")?, row.try_get("name")?, row.try_get("kind")?));
            Ok((row.try_get("hash")?, Session { person, expires_at: row.try_get("expires_at")? }))
        })
        .collect()
}
