//! How much anybody may ask: each person, and each network.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use diptych_core::PersonId;
use diptych_core::config::LimitsConfig;
use diptych_headers::network;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How much anybody may ask.
pub(crate) struct Limits {
    people: DefaultKeyedRateLimiter<PersonId>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn new(config: &LimitsConfig) -> Self {
        let some = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let a_second =
            |number: u32| Quota::per_second(some(number)).allow_burst(some(number.saturating_mul(4)));
        Self {
            people: RateLimiter::keyed(a_second(config.per_person)),
            addresses: RateLimiter::keyed(a_second(config.per_address)),
            sign_ins: RateLimiter::keyed(Quota::per_minute(some(config.sign_ins_a_minute))),
            clock: DefaultClock::default(),
        }
    }

    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn person(&self, person: &PersonId) -> Result<(), u64> {
        self.check(&self.people, person)
    }

    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), u64> {
        self.check(&self.addresses, &network(address))
    }

    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn sign_in(&self, address: IpAddr) -> Result<(), u64> {
        self.check(&self.sign_ins, &network(address))
    }

    /// The wait is rounded up, so that nobody comes back a moment too early.
    fn check<K: Clone + Eq + Hash>(&self, limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), u64> {
        limiter.check_key(key).map_err(|not| not.wait_time_from(self.clock.now()).as_secs() + 1)
    }

    /// Forgets who has long not asked, so that memory does not grow with everybody who ever came.
    pub(crate) fn forget(&self) {
        self.people.retain_recent();
        self.addresses.retain_recent();
        self.sign_ins.retain_recent();
        self.people.shrink_to_fit();
        self.addresses.shrink_to_fit();
        self.sign_ins.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_share() {
        let limits = Limits::new(&LimitsConfig { per_person: 1, per_address: 2, sign_ins_a_minute: 3 });
        let (one, other) = (PersonId::new(), PersonId::new());
        assert_eq!((0..10).filter(|_| limits.person(&one).is_ok()).count(), 4);
        assert!(limits.person(&one).unwrap_err() >= 1);
        assert!(limits.person(&other).is_ok());
        let (here, there): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        assert_eq!(
            (0..10).filter(|n| limits.address(if n % 2 == 0 { here } else { there }).is_ok()).count(),
            8
        );
        assert_eq!((0..10).filter(|_| limits.sign_in(here).is_ok()).count(), 3);
        assert!(limits.sign_in("2001:db8:0:1::1".parse().unwrap()).is_ok(), "another household");
    }
}
