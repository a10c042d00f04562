//! How this server does at the moment: errors, and from where answers come.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use diptych_headers::is_private;
use diptych_stages::alerts::Addresses;
use diptych_store::Millis;

const HOUR: Millis = 3600 * 1000;

/// Hours that are remembered.
const HOURS: i64 = 24;

/// The most addresses that are told apart in an hour; more of them count together.
const MOST: usize = 100_000;

/// Counts since the server was started.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    errors: AtomicU64,
    /// Answers that were given, replaced or taken back.
    changes: AtomicU64,
}

impl Pulse {
    /// Counts a request that the server could not serve.
    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that the server could not serve, since it was started.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Counts that an answer was given, replaced or taken back.
    pub(crate) fn change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

/// From where a sprint's answers of the last day came. Kept in memory alone.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    answers: Mutex<VecDeque<(i64, HashMap<IpAddr, i64>)>>,
}

impl Origins {
    /// Counts an answer from this address; from a private network all come from a few, and say nothing.
    pub(crate) fn answer(&self, from: IpAddr, now: Millis) {
        if is_private(from) {
            return;
        }
        let hour = now / HOUR;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back counts in the newest hour.
        if answers.back().is_none_or(|(newest, _)| *newest < hour) {
            answers.push_back((hour, HashMap::new()));
        }
        forget(&mut answers, hour);
        if let Some((_, addresses)) = answers.back_mut()
            && (addresses.len() < MOST || addresses.contains_key(&from))
        {
            *addresses.entry(from).or_default() += 1;
        }
    }

    /// Where the answers of the last day came from.
    pub(crate) fn most_from_one(&self, now: Millis) -> Addresses {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut answers, now / HOUR);
        let mut of: HashMap<IpAddr, i64> = HashMap::new();
        for (address, count) in answers.iter().flat_map(|(_, addresses)| addresses) {
            *of.entry(*address).or_default() += count;
        }
        let addresses = i64::try_from(of.len()).unwrap_or(i64::MAX);
        (of.values().copied().max().unwrap_or(0), of.values().sum(), addresses)
    }
}

fn forget(answers: &mut VecDeque<(i64, HashMap<IpAddr, i64>)>, hour: i64) {
    while answers.front().is_some_and(|(oldest, _)| *oldest <= hour - HOURS) {
        answers.pop_front();
    }
}

/// Free space of the file system that holds this folder, in bytes; none where the system does not say.
#[cfg(unix)]
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

/// The same, of a system that is not asked.
#[cfg(not(unix))]
pub(crate) fn free_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_for_a_day() {
        let origins = Origins::default();
        let (one, other): (IpAddr, IpAddr) = ("1.2.3.4".parse().unwrap(), "2001:db8::1".parse().unwrap());
        origins.answer("10.0.0.1".parse().unwrap(), 5 * HOUR);
        assert_eq!(origins.most_from_one(0), (0, 0, 0));
        for _ in 0..3 {
            origins.answer(one, 5 * HOUR);
        }
        origins.answer(other, 6 * HOUR);
        origins.answer(other, 5 * HOUR);
        assert_eq!(origins.most_from_one(6 * HOUR), (3, 5, 2));
        assert_eq!(origins.most_from_one(29 * HOUR), (2, 2, 1), "the first hour is a day old");
        assert_eq!(origins.most_from_one(100 * HOUR), (0, 0, 0));
    }
}
