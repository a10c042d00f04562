//! Figures that take a while to make, kept for a while.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex as PlainMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diptych_core::PersonId;
use diptych_stages::annotate::rounded;
use diptych_stages::board::Place;
use diptych_store::Millis;
use diptych_store::pairs::Progress;
use tokio::sync::Mutex;

use crate::problem::Problem;

/// How soon what other servers take is known here.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// What takes a while to make: one request at a time makes it, the others get the last one meanwhile, and it serves
/// for a while.
pub(crate) struct Kept<T> {
    made: PlainMutex<Option<Made<T>>>,
    /// Held by who makes it.
    making: Mutex<()>,
}

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

/// From here on, answers that come meanwhile notice it: it serves so much longer that fewer than one in a hundred do,
/// of all three figures that pages ask for again and again (progress, counts, board).
const NOTICED: Duration = Duration::from_millis(20);
const SMALL_SHARE: u32 = 300;

/// For how long something serves that took so long to make.
fn serves_for(took: Duration) -> Duration {
    took * if took < NOTICED { SHARE } else { SMALL_SHARE }
}

/// While somebody makes it anew, the last one serves for so much longer: nobody waits for it at a busy server, and
/// nobody gets yesterday's at a quiet one.
const MEANWHILE: Duration = Duration::from_secs(10);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { made: PlainMutex::default(), making: Mutex::default() }
    }
}

impl<T> Kept<T> {
    /// What is no older than `age`, or than [`serves_for`] says.
    pub(crate) async fn get(
        &self,
        age: Duration,
        make: impl Future<Output = diptych_stages::Result<T>>,
    ) -> Result<Arc<T>, Problem> {
        self.get_if(|made| made.at.elapsed() < age.max(serves_for(made.took)), 0, make).await
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
            age < ELSEWHERE && made.answers == answers || made.took > QUICK && age < serves_for(made.took)
        };
        self.get_if(serves, answers, make).await
    }

    async fn get_if(
        &self,
        serves: impl Fn(&Made<T>) -> bool,
        answers: u64,
        make: impl Future<Output = diptych_stages::Result<T>>,
    ) -> Result<Arc<T>, Problem> {
        if let Some(value) = self.made_if(&serves) {
            return Ok(value);
        }
        let serves_meanwhile =
            |made: &Made<T>| made.took > QUICK && made.at.elapsed() < serves_for(made.took) + MEANWHILE;
        let _making = match self.making.try_lock() {
            Ok(making) => making,
            Err(_) => match self.made_if(serves_meanwhile) {
                Some(value) => return Ok(value),
                None => self.making.lock().await,
            },
        };
        // Somebody may have made it meanwhile.
        if let Some(value) = self.made_if(&serves) {
            return Ok(value);
        }
        let begun = Instant::now();
        let value = Arc::new(make.await?);
        let made = Made { at: Instant::now(), took: begun.elapsed(), answers, value: Arc::clone(&value) };
        *self.made() = Some(made);
        Ok(value)
    }

    fn made(&self) -> MutexGuard<'_, Option<Made<T>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made_if(&self, serves: impl Fn(&Made<T>) -> bool) -> Option<Arc<T>> {
        self.made().as_ref().filter(|made| serves(made)).map(|made| Arc::clone(&made.value))
    }

    /// What is made from here on knows of everything until now.
    pub(crate) async fn forget(&self) {
        // What is being made was begun before.
        let _making = self.making.lock().await;
        *self.made() = None;
    }
}

/// Who has answered how much, as everybody may see it.
pub(crate) struct Board {
    /// Those with the most answers.
    pub(crate) people: Vec<Place>,
    /// Those with the most answers of today.
    pub(crate) today: Vec<Place>,
}

/// How far a sprint and each of its categories are, and how fast it goes.
pub(crate) struct Told {
    pub(crate) progress: Progress,
    /// Each category's name, pairs, answers, and answers that are wanted.
    pub(crate) categories: Vec<(String, i64, i64, i64)>,
    /// Answers of the last 24 hours.
    pub(crate) last_day: i64,
    /// When the first answer was given.
    pub(crate) first: Option<Millis>,
    /// Of which hour it is, since 1970.
    pub(crate) hour: Millis,
}

/// What moves at this moment.
pub(crate) struct Lately {
    /// Answers of the last minute.
    pub(crate) minute: i64,
    /// People who have answered in the last five.
    pub(crate) people: i64,
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

    /// How many people have answered.
    pub(crate) fn people(&self) -> usize {
        self.sorted.len()
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

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_while_somebody_makes_it_anew() {
        let kept = Arc::new(Kept::<u32>::default());
        let slow = async |number: u32| {
            std::thread::sleep(2 * QUICK);
            Ok(number)
        };
        assert_eq!(*kept.fresh(0, slow(1)).await.unwrap(), 1);
        let (begun, begins) = tokio::sync::oneshot::channel::<()>();
        let (end, ends) = tokio::sync::oneshot::channel::<()>();
        let maker = tokio::spawn({
            let kept = Arc::clone(&kept);
            async move {
                let make = async {
                    begun.send(()).unwrap();
                    ends.await.unwrap();
                    Ok(2)
                };
                kept.get_if(|_| false, 0, make).await.map(|value| *value)
            }
        });
        begins.await.unwrap();
        let others = kept.get_if(|_| false, 0, async { panic!("one makes it") }).await.unwrap();
        assert_eq!(*others, 1, "the last one meanwhile");
        end.send(()).unwrap();
        assert_eq!(maker.await.unwrap().unwrap(), 2);
        assert_eq!(*kept.get_if(|_| true, 0, async { panic!("it is made") }).await.unwrap(), 2);
        kept.forget().await;
        assert_eq!(*kept.get_if(|_| true, 0, async { Ok(3) }).await.unwrap(), 3);
    }

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
