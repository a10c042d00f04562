//! Alerts: what organizers hear of without looking for it.

use diptych_core::config::AlertsConfig;
use diptych_store::Millis;
use diptych_store::standings::Given;

use crate::annotate::rounded;
use crate::{Ctx, Result};

const HOUR: Millis = 3600 * 1000;

/// Below so many answers a day, a share of them says nothing.
const ENOUGH_A_DAY: i64 = 100;

/// Below so many answers an hour, a fall says nothing.
const ENOUGH_AN_HOUR: f64 = 20.0;

/// What the last day looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastDay {
    /// Answers of the last 24 hours.
    pub answers: i64,
    /// Who has given most of them, how many, and how many people have given any.
    pub most_by: Option<(String, i64, i64)>,
    /// Answers of the last hour.
    pub hour: i64,
    /// How long the time before the last hour was, up to 24 hours, since the first answer; in milliseconds.
    pub time_before: Millis,
    /// Answers of that time.
    pub before: i64,
}

/// Something that organizers should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    /// One person has given a large share of a day's answers.
    OnePerson {
        /// Their own name.
        name: String,
        /// So many.
        given: i64,
        /// Of so many.
        all: i64,
    },
    /// One address has sent a large share of a day's answers.
    OneAddress {
        /// About so many.
        about: i64,
        /// Of so many.
        all: i64,
    },
    /// The last hour brought far fewer answers than an hour of the day before.
    Fall {
        /// Answers of the last hour.
        hour: i64,
        /// Those of an hour before it, in the mean.
        usual: i64,
    },
}

/// Where answers of a day come from: how many from the one address that has sent most, how many in all, and from how
/// many addresses. Those from private networks are left out.
pub type Addresses = (i64, i64, i64);

/// What stands out in the sprint's last day. `addresses` are those of the answers that this server took in that time.
///
/// # Errors
/// Where the store fails.
pub async fn alerts(ctx: &Ctx, addresses: Addresses, now: Millis) -> Result<Vec<Alert>> {
    let Some(first) = ctx.store.first_response(&ctx.sprint).await? else { return Ok(Vec::new()) };
    // In one pass over a day's answers: it is made again and again while people wait for theirs.
    let moments = [HOUR, 24 * HOUR, 25 * HOUR].map(|ago| now - ago);
    let given = ctx.store.given_since(&ctx.sprint, moments).await?;
    let time_before = (now - first - HOUR).clamp(0, 24 * HOUR);
    Ok(of_day(ctx.config.alerts, &LastDay::of(&given, time_before), addresses))
}

impl LastDay {
    /// Of what people have given in the last hour, day, and 25 hours; those that the program has made up are left out.
    fn of(given: &[Given], time_before: Millis) -> Self {
        let people = given.iter().filter(|one| !one.simulated);
        let [hour, answers, whole] =
            [0, 1, 2].map(|since| people.clone().map(|one| one.responses[since]).sum::<i64>());
        let of_people = people.filter(|one| one.responses[1] > 0);
        let most = of_people.clone().max_by_key(|one| one.responses[1]);
        let people = i64::try_from(of_people.count()).unwrap_or(i64::MAX);
        Self {
            answers,
            most_by: most.map(|one| (one.name.clone(), one.responses[1], people)),
            hour,
            time_before,
            before: whole - hour,
        }
    }
}

fn of_day(config: AlertsConfig, last: &LastDay, (from_one, from_all, addresses): Addresses) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let too_much =
        |part: i64, whole: i64, share: f64| whole >= ENOUGH_A_DAY && part as f64 > share * whole as f64;
    // Of a few each gives a large share: only twice a fair one stands out.
    let share_of = |givers: i64| config.share.max(2.0 / givers.max(1) as f64);
    if let Some((name, count, people)) = &last.most_by
        && too_much(*count, last.answers, share_of(*people))
    {
        alerts.push(Alert::OnePerson { name: name.clone(), given: *count, all: last.answers });
    }
    // All from one place over the internet is always worth a look.
    if addresses == 1 && from_all >= ENOUGH_A_DAY || too_much(from_one, from_all, share_of(addresses)) {
        alerts.push(Alert::OneAddress { about: rounded(from_one), all: from_all });
    }
    if last.time_before >= HOUR {
        let usual = last.before as f64 * HOUR as f64 / last.time_before as f64;
        if usual >= ENOUGH_AN_HOUR && (last.hour as f64) < config.fall * usual {
            alerts.push(Alert::Fall { hour: last.hour, usual: usual.round() as i64 });
        }
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_adds_up_over_people() {
        let given = |name: &str, simulated, responses| Given { name: name.to_owned(), simulated, responses };
        let all = [
            given("Ana", false, [1, 30, 31]),
            given("Ben", false, [0, 0, 5]),
            given("Bot", true, [10, 900, 900]),
            given("Cem", false, [2, 4, 4]),
        ];
        let day = LastDay {
            answers: 34,
            most_by: Some(("Ana".to_owned(), 30, 2)),
            hour: 3,
            time_before: 24 * HOUR,
            before: 37,
        };
        assert_eq!(LastDay::of(&all, 24 * HOUR), day);
        assert_eq!(LastDay::of(&[], 0), LastDay::default());
    }

    #[test]
    fn a_large_share_and_a_sudden_fall_are_said() {
        let calm = LastDay {
            answers: 1000,
            most_by: Some(("Ana".to_owned(), 250, 40)),
            hour: 40,
            time_before: 24 * HOUR,
            before: 960,
        };
        let said = |last: &LastDay, address| of_day(AlertsConfig::default(), last, address);
        assert_eq!(said(&calm, (250, 1000, 30)), Vec::<Alert>::new());
        assert_eq!(said(&LastDay::default(), (0, 0, 0)), Vec::<Alert>::new());
        let many = LastDay { most_by: Some(("Ana".to_owned(), 251, 40)), ..calm.clone() };
        let ana = Alert::OnePerson { name: "Ana".to_owned(), given: 251, all: 1000 };
        assert_eq!(said(&many, (0, 0, 0)), [ana]);
        let few = LastDay { most_by: Some(("Ana".to_owned(), 600, 3)), ..calm.clone() };
        assert_eq!(said(&few, (0, 0, 0)), Vec::<Alert>::new(), "three people, each of whom gives much");
        assert_eq!(said(&calm, (905, 1000, 30)), [Alert::OneAddress { about: 900, all: 1000 }]);
        assert_eq!(said(&calm, (400, 1000, 3)), Vec::<Alert>::new(), "three people, each at home");
        assert_eq!(said(&calm, (1000, 1000, 1)).len(), 1, "all from one place");
        assert_eq!(said(&calm, (90, 99, 1)), Vec::<Alert>::new(), "too few to say anything");
        let quiet = LastDay { hour: 7, ..calm.clone() };
        assert_eq!(said(&quiet, (0, 0, 0)), [Alert::Fall { hour: 7, usual: 40 }]);
        assert_eq!(
            said(&LastDay { time_before: HOUR - 1, ..quiet.clone() }, (0, 0, 0)),
            Vec::<Alert>::new(),
            "it has only begun"
        );
        // Of 1.9 hours with 76 answers, an hour had 40: 16 are not yet a fall, as they would be beside 76.
        let early = LastDay { hour: 16, before: 76, time_before: 19 * HOUR / 10, ..quiet };
        assert_eq!(said(&early, (0, 0, 0)), Vec::<Alert>::new());
    }
}
