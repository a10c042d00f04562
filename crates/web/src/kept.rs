//! Figures that take a while to make, kept for a while.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diptych_core::PersonId;
use diptych_stages::annotate::rounded;
use tokio::sync::Mutex;

use crate::problem::Problem;

/// How soon what other servers take is known here.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// What takes a while to make: one request makes it, the others wait, and it serves for a while.
pub(crate) struct Kept<T>(Mutex<Option<Made<T>>>);

struct Made<T> {
    /// When it was made, and how long that took.
    at: Instant,
    took: Duration,
    /// How many answers the server had taken by then.
    answers: u64,
    value: Arc<T>,
}

/// What is made within this time is made anew after every answer.
const QUICK: Duration = Duration::from_millis(2);

/// What takes longer serves for so many times as long: making it takes no more of the server than this.
const SHARE: u32 = 20;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// What is no older than `age`, or than [`SHARE`] says.
    pub(crate) async fn get(
        &self,
        age: Duration,
        make: impl Future<Output = diptych_stages::Result<T>>,
    ) -> Result<Arc<T>, Problem> {
        self.get_if(|made| made.at.elapsed() < age.max(made.took * SHARE), 0, make).await
    }

    /// What knows of all answers that this server had taken, `answers` by now; where that takes a while to make, of
    /// those a moment ago. What other servers took, it knows within a second.
    pub(crate) async fn fresh(
        &self,
        answers: u64,
        make: impl Future<Output = diptych_stages::Result<T>>,
    ) -> Result<Arc<T>, Problem> {
        let serves = |made: &Made<T>| {
            let age = made.at.elapsed();
            age < ELSEWHERE && made.answers == answers || made.took > QUICK && age < made.took * SHARE
        };
        self.get_if(serves, answers, make).await
    }

    async fn get_if(
        &self,
        serves: impl Fn(&Made<T>) -> bool,
        answers: u64,
        make: impl Future<Output = diptych_stages::Result<T>>,
    ) -> Result<Arc<T>, Problem> {
        let mut kept = self.0.lock().await;
        if let Some(made) = kept.as_ref().filter(|made| serves(made)) {
            return Ok(Arc::clone(&made.value));
        }
        let begun = Instant::now();
        let value = Arc::new(make.await?);
        let made = Made { at: Instant::now(), took: begun.elapsed(), answers, value: Arc::clone(&value) };
        *kept = Some(made);
        Ok(value)
    }

    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// How much people have answered, rounded as on the leaderboard: one's own place tells nobody's exact count.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    of: HashMap<PersonId, i64>,
    /// The most first.
    sorted: Vec<i64>,
}

impl Counts {
    pub(crate) fn of(mut counts: HashMap<PersonId, i64>) -> Self {
        counts.values_mut().for_each(|count| *count = rounded(*count));
        let mut sorted: Vec<i64> = counts.values().copied().collect();
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        Self { of: counts, sorted }
    }

    /// One more than there are people with more, where this person has answered; and how many people have.
    pub(crate) fn place(&self, person: &PersonId) -> (Option<usize>, usize) {
        let place = self.of.get(person).map(|mine| self.sorted.partition_point(|count| count > mine) + 1);
        (place, self.sorted.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_among_rounded_counts() {
        let [ana, ben, cem, dan] = [(); 4].map(|()| PersonId::new());
        let counts = [(&ana, 29), (&ben, 24), (&cem, 21), (&dan, 3)].map(|(who, count)| (who.clone(), count));
        let counts = Counts::of(counts.into());
        assert_eq!(
            [&ana, &ben, &cem, &dan].map(|who| counts.place(who).0),
            [Some(1), Some(1), Some(1), Some(4)]
        );
        assert_eq!(counts.place(&PersonId::new()), (None, 4));
    }
}
