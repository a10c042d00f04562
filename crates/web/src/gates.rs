//! What stands between a person and the pictures, and what it said: passed, refused, or that it cannot tell.
//!
//! An outage must never look like a refusal: what cannot be decided is counted apart, is said to the person
//! as what it is, and is put before the organizers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diptych_stages::phrase::Phrase;

use crate::problem::Problem;
use crate::texts::languages;

/// A thing that people have to get past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    SignIn,
    RateLimit,
    Consent,
    /// What is for moderators and organizers.
    Role,
}

/// What it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Passed,
    Refused,
    Unknown,
}

const GATES: [(Gate, &str); 4] = [
    (Gate::SignIn, "sign_in"),
    (Gate::RateLimit, "rate_limit"),
    (Gate::Consent, "consent"),
    (Gate::Role, "role"),
];
const SAID: [(Said, &str); 3] =
    [(Said::Passed, "passed"), (Said::Refused, "refused"), (Said::Unknown, "unknown")];

/// What could not be decided lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// How often, of the last [`MOST`].
    pub(crate) times: usize,
    /// How many minutes ago it happened last.
    pub(crate) minutes: u64,
    /// Why, for whoever runs the server.
    pub(crate) why: Phrase,
}

/// How long organizers hear of something that could not be decided.
const RECENT: Duration = Duration::from_secs(3600);

/// The most that are kept of these.
const MOST: usize = 1000;

/// What all gates have said since the server was started.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    counts: [[AtomicU64; 3]; 4],
    unknown: Mutex<VecDeque<(Instant, Phrase)>>,
}

impl Gates {
    /// Counts what a gate has said.
    pub(crate) fn count(&self, gate: Gate, said: Said) {
        if said == Said::Refused {
            tracing::info!(?gate, "refused");
        }
        let place = |known: &[(_, &str)]| known.iter().position(|(one, _)| *one == gate).unwrap_or(0);
        let what = SAID.iter().position(|(one, _)| *one == said).unwrap_or(0);
        self.counts[place(&GATES)][what].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts that a gate could not tell, and why.
    pub(crate) fn unknown(&self, gate: Gate, why: &Phrase) {
        tracing::warn!(?gate, why = languages()[0].phrase(why), "a gate cannot decide");
        self.count(gate, Said::Unknown);
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() == MOST {
            unknown.pop_front();
        }
        unknown.push_back((Instant::now(), why.clone()));
    }

    /// What the database answers to a gate; where it fails, nobody was refused.
    pub(crate) fn asked<T>(&self, gate: Gate, answer: diptych_store::Result<T>) -> Result<T, Problem> {
        answer.map_err(|error| {
            self.unknown(gate, &Phrase::new("why_database"));
            error.into()
        })
    }

    /// What could not be decided lately, for organizers.
    pub(crate) fn alarm(&self) -> Option<Alarm> {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        while unknown.front().is_some_and(|(at, _)| at.elapsed() > RECENT) {
            unknown.pop_front();
        }
        let (at, why) = unknown.back()?;
        Some(Alarm { times: unknown.len(), minutes: at.elapsed().as_secs() / 60, why: why.clone() })
    }

    /// The counts, for Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::from(
            "# HELP diptych_gate_total What a gate has said to those who came.\n# TYPE diptych_gate_total counter\n",
        );
        for ((_, gate), counts) in GATES.iter().zip(&self.counts) {
            for ((_, said), count) in SAID.iter().zip(counts) {
                let count = count.load(Ordering::Relaxed);
                text.push_str(&format!("diptych_gate_total{{gate=\"{gate}\",said=\"{said}\"}} {count}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_not_counted_as_a_refusal_and_is_said() {
        let gates = Gates::default();
        gates.count(Gate::Consent, Said::Refused);
        assert_eq!(gates.alarm(), None);
        let why = Phrase::new("why_no_token").with("provider", &"Ours");
        gates.unknown(Gate::SignIn, &why);
        gates.unknown(Gate::SignIn, &why);
        assert_eq!(gates.alarm(), Some(Alarm { times: 2, minutes: 0, why }));
        let problem = gates.asked::<()>(Gate::Consent, Err(diptych_store::StoreError::Stopped)).unwrap_err();
        assert_eq!((problem.status, gates.alarm().unwrap().times), (503, 3));
        assert_eq!(gates.asked(Gate::Consent, Ok(7)).unwrap(), 7);
        let metrics = gates.metrics();
        for line in [
            "{gate=\"sign_in\",said=\"unknown\"} 2\n",
            "{gate=\"sign_in\",said=\"refused\"} 0\n",
            "{gate=\"consent\",said=\"refused\"} 1\n",
            "{gate=\"consent\",said=\"unknown\"} 1\n",
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
    }
}
