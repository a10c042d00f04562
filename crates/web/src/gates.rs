//! What stands between a person and the pictures, and what it said: passed, refused, or that it cannot tell.
//!
//! An outage must never look like a refusal: what cannot be decided is counted apart, is said to the person
//! as what it is, and is put before the organizers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A thing that people have to get past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    SignIn,
    RateLimit,
    Consent,
}

/// What it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Passed,
    Refused,
    Unknown,
}

const GATES: [(Gate, &str); 3] =
    [(Gate::SignIn, "sign_in"), (Gate::RateLimit, "rate_limit"), (Gate::Consent, "consent")];
const SAID: [(Said, &str); 3] =
    [(Said::Passed, "passed"), (Said::Refused, "refused"), (Said::Unknown, "unknown")];

/// How long organizers hear of something that could not be decided.
const RECENT: Duration = Duration::from_secs(3600);

/// The most that are kept of these.
const MOST: usize = 1000;

/// What all gates have said since the server was started.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    counts: [[AtomicU64; 3]; 3],
    unknown: Mutex<VecDeque<(Instant, String)>>,
}

impl Gates {
    /// Counts what a gate has said.
    pub(crate) fn count(&self, gate: Gate, said: Said) {
        let place = |known: &[(_, &str)]| known.iter().position(|(one, _)| *one == gate).unwrap_or(0);
        let what = SAID.iter().position(|(one, _)| *one == said).unwrap_or(0);
        self.counts[place(&GATES)][what].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts that a gate could not tell, and why.
    pub(crate) fn unknown(&self, gate: Gate, why: &str) {
        tracing::warn!(?gate, why, "a gate cannot decide");
        self.count(gate, Said::Unknown);
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() == MOST {
            unknown.pop_front();
        }
        unknown.push_back((Instant::now(), why.to_owned()));
    }

    /// What could not be decided lately, in a sentence for organizers.
    pub(crate) fn alarm(&self) -> Option<String> {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        while unknown.front().is_some_and(|(at, _)| at.elapsed() > RECENT) {
            unknown.pop_front();
        }
        let (at, why) = unknown.back()?;
        let times = match unknown.len() {
            1 => "Once".to_owned(),
            times => format!("{times} times"),
        };
        let minutes = at.elapsed().as_secs() / 60;
        let ago = if minutes == 0 { "just now".to_owned() } else { format!("{minutes} minutes ago") };
        Some(format!(
            "{times} in the last hour this server could not tell whether somebody may come in; last {ago}: {why}. \
             They were told that it is not their fault, and to try again."
        ))
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
        gates.unknown(Gate::SignIn, "Ours cannot be reached");
        gates.unknown(Gate::SignIn, "Ours cannot be reached");
        let alarm = gates.alarm().unwrap();
        assert!(
            alarm.starts_with("2 times") && alarm.contains("just now: Ours cannot be reached"),
            "{alarm}"
        );
        let metrics = gates.metrics();
        for line in [
            "{gate=\"sign_in\",said=\"unknown\"} 2\n",
            "{gate=\"sign_in\",said=\"refused\"} 0\n",
            "{gate=\"consent\",said=\"refused\"} 1\n",
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
    }
}
