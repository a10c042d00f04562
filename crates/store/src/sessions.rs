//! Whose session it is: asked with nearly every request, and so for all together who ask at the same moment, and not
//! again for a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{AnyPool, AssertSqlSafe, Row};
use tokio::sync::{mpsc, oneshot};

use crate::people::{Person, hash, person};
use crate::{AT_ONCE, Connection, Millis, Result, Store, StoreError, WriteFuture, padded, places};

/// For how long a session is known without another look, in milliseconds: a page comes with its pictures, and a few
/// answers come together. What ends at this server is forgotten at once ([`Store::end_sessions`]); what ends at another
/// one, by another program, or by a request that was broken off, may last so much longer here.
const KNOWN: Millis = 1000;

impl Store {
    /// The person that a browser's session stands for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person_of_session(&self, secret: &str, now: Millis) -> Result<Option<Person>> {
        let session = self.sessions().find(hash(secret), now).await?;
        Ok(session.filter(|session| session.expires_at > now).map(|session| session.person))
    }
}

impl Store {
    /// As [`Store::write`], for a change that ends sessions: none is known any more then, also where nobody can tell
    /// whether it was committed.
    pub(crate) async fn end_sessions<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Connection) -> WriteFuture<'c, T> + Send + Sync + 'static,
    {
        let ended = self.write(change).await;
        self.sessions().forget();
        ended
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
pub(crate) struct Sessions {
    queue: mpsc::Sender<Asked>,
    known: Arc<Mutex<Known>>,
}

impl Sessions {
    pub(crate) fn start(pool: AnyPool) -> Self {
        let (queue, waiting) = mpsc::channel(1024);
        tokio::spawn(look_up_groups(pool, waiting));
        Self { queue, known: Arc::default() }
    }

    async fn find(&self, asked: String, now: Millis) -> Result<Option<Session>> {
        let (found, ended) = {
            let mut known = self.known();
            (known.find(&asked, now), known.ended)
        };
        if found.is_some() {
            return Ok(found);
        }
        let (caller, answer) = oneshot::channel();
        let hash = asked.clone();
        self.queue.send(Asked { hash, caller }).await.map_err(|_| StoreError::Stopped)?;
        let found = answer.await.map_err(|_| StoreError::Stopped)??;
        if let Some(session) = &found {
            self.known().keep(asked, session.clone(), now, ended);
        }
        Ok(found)
    }

    /// Forgets what is known: for when sessions have ended.
    fn forget(&self) {
        let mut known = self.known();
        *known = Known { ended: known.ended + 1, ..Known::default() };
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions that were looked up lately, and when.
#[derive(Default)]
struct Known {
    recent: HashMap<String, (Session, Millis)>,
    /// Those of the time before `since`: dropped all at once when they are too old.
    older: HashMap<String, (Session, Millis)>,
    since: Millis,
    /// How often sessions have ended.
    ended: u64,
}

impl Known {
    fn find(&mut self, hash: &str, now: Millis) -> Option<Session> {
        // Who asks at the same moment may come in any order.
        if (now - self.since).abs() >= KNOWN {
            self.older = std::mem::take(&mut self.recent);
            self.since = now;
        }
        let found = self.recent.get(hash).or_else(|| self.older.get(hash));
        found.filter(|(_, at)| (now - at).abs() < KNOWN).map(|(session, _)| session.clone())
    }

    /// Unless sessions have ended since it was asked for: it may be one of them.
    fn keep(&mut self, hash: String, session: Session, now: Millis, ended: u64) {
        if ended == self.ended {
            self.recent.insert(hash, (session, now));
        }
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

#[cfg(test)]
mod tests {
    use diptych_core::PersonId;

    use super::*;

    fn session() -> Session {
        let person = Person { id: PersonId::new(), name: "Ana".to_owned(), simulated: false };
        Session { person, expires_at: 9000 }
    }

    #[test]
    fn a_session_is_known_for_a_second_from_its_look_on() {
        let mut known = Known::default();
        for (moment, is_known) in [(5000, true), (5999, true), (6000, false), (4999, true), (4000, false)] {
            known.find("b", 4900);
            known.keep("a".to_owned(), session(), 5000, 0);
            assert_eq!(known.find("a", moment).is_some(), is_known, "{moment}");
        }
        assert!(known.find("b", 5000).is_none());
    }

    #[test]
    fn what_nobody_asks_for_is_dropped() {
        let mut known = Known::default();
        for number in 0..100 {
            known.find("a", 600 * number);
            known.keep(number.to_string(), session(), 600 * number, 0);
            assert!(known.recent.len() + known.older.len() <= 5);
        }
    }

    #[test]
    fn a_look_that_began_before_sessions_ended_is_not_kept() {
        let mut known = Known { ended: 1, ..Known::default() };
        known.keep("a".to_owned(), session(), 5000, 0);
        assert!(known.find("a", 5000).is_none());
        known.keep("a".to_owned(), session(), 5000, 1);
        assert!(known.find("a", 5000).is_some());
    }
}
