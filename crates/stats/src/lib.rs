//! Numbers only: how far people agree, and how often a model wins.
//!
//! Answers come in as small integers or as counts; this crate knows no words, rows or models.

/// How far the answers to pairs agree, as shares of the pairs with two or more answers. The three
/// shares add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Pairs with two or more answers.
    pub pairs: usize,
    /// Everybody gave the same answer.
    pub unanimous: f64,
    /// Over half, but not all, gave the same answer.
    pub majority: f64,
    /// No answer has more than half.
    pub split: f64,
}

/// Measures agreement over pairs, each given as how often every answer was chosen. None where no
/// pair has two answers.
pub fn agreement<'a>(pairs: impl IntoIterator<Item = &'a [u32]>) -> Option<Agreement> {
    let (mut unanimous, mut majority, mut split) = (0_usize, 0_usize, 0_usize);
    for counts in pairs {
        let total: u32 = counts.iter().sum();
        let most = counts.iter().copied().max().unwrap_or(0);
        if total < 2 {
            continue;
        } else if most == total {
            unanimous += 1;
        } else if 2 * most > total {
            majority += 1;
        } else {
            split += 1;
        }
    }
    let pairs = unanimous + majority + split;
    let share = |count: usize| count as f64 / pairs as f64;
    (pairs > 0).then(|| Agreement {
        pairs,
        unanimous: share(unanimous),
        majority: share(majority),
        split: share(split),
    })
}

/// Wins divided by all answers, ties and reports included: the ratio that the reference query
/// computes. None where there is no answer.
pub fn reference_ratio(wins: u64, answers: u64) -> Option<f64> {
    (answers > 0).then(|| wins as f64 / answers as f64)
}

/// Wins divided by wins and losses: ties are left out. None where nothing is decided.
pub fn decided_ratio(wins: u64, losses: u64) -> Option<f64> {
    (wins + losses > 0).then(|| wins as f64 / (wins + losses) as f64)
}

/// The probability that a fair coin falls at least as unevenly as `wins` to `losses`: the exact
/// two-sided sign test. Source: Conover, *Practical Nonparametric Statistics*, section 3.4.
/// 1 where nothing is decided.
pub fn sign_test(wins: u64, losses: u64) -> f64 {
    let n = wins + losses;
    let fewer = wins.min(losses);
    if n == 0 || 2 * fewer == n {
        return 1.0;
    }
    // Sum of C(n, i) / 2^n for i = 0..=fewer, each term from the one before, in logarithms so that
    // a large n does not underflow.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for i in 1..=fewer {
        log_term += ((n - i + 1) as f64).ln() - (i as f64).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

/// The 95 % interval of a share, by Wilson's score method; none where there is nothing to divide by.
///
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
/// American Statistical Association 22 (1927), 209–212.
pub fn wilson(part: u64, whole: u64) -> Option<(f64, f64)> {
    /// The normal distribution's quantile at 97.5 %.
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// The middle value, or the lower one of the two in the middle; none of nothing.
pub fn median<T: Copy + Ord>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The longest stretch of equal values, and which value that is of; the first such stretch. None of nothing.
pub fn longest_run<T: Copy + Eq>(values: &[T]) -> Option<(T, usize)> {
    let mut longest: Option<(T, usize)> = None;
    for run in values.chunk_by(|one, next| one == next) {
        if longest.is_none_or(|(_, length)| run.len() > length) {
            longest = run.first().map(|value| (*value, run.len()));
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agreement_of_known_pairs() {
        let pairs: [&[u32]; 5] = [&[3, 0], &[2, 1], &[1, 1, 1], &[1, 0], &[2, 2]];
        let found = agreement(pairs).unwrap();
        assert_eq!(found.pairs, 4); // one answer says nothing of agreement
        assert_eq!((found.unanimous, found.majority, found.split), (0.25, 0.25, 0.5));
        assert_eq!(agreement([[1, 0].as_slice()]), None);
    }

    #[test]
    fn ratios_of_known_counts() {
        assert_eq!(reference_ratio(3, 12), Some(0.25));
        assert_eq!(decided_ratio(3, 1), Some(0.75));
        assert_eq!(reference_ratio(0, 0), None);
        assert_eq!(decided_ratio(0, 0), None);
    }

    #[test]
    fn the_sign_test_gives_tabled_values() {
        // Binomial(10, 1/2): 2 · P(X ≤ 2) = 2 · 56/1024; Binomial(6): 2 · 1/64.
        assert!((sign_test(8, 2) - 0.109_375).abs() < 1e-12);
        assert!((sign_test(0, 6) - 0.031_25).abs() < 1e-12);
        assert_eq!(sign_test(5, 5), 1.0);
        assert_eq!(sign_test(0, 0), 1.0);
        assert!(sign_test(5_000, 4_000) < 1e-20);
    }

    proptest! {
        #[test]
        fn shares_of_agreement_add_up(pairs in proptest::collection::vec(proptest::collection::vec(0_u32..4, 5), 0..40)) {
            let told = pairs.iter().filter(|counts| counts.iter().sum::<u32>() > 1).count();
            match agreement(pairs.iter().map(Vec::as_slice)) {
                None => prop_assert_eq!(told, 0),
                Some(found) => {
                    prop_assert_eq!(found.pairs, told);
                    prop_assert!((found.unanimous + found.majority + found.split - 1.0).abs() < 1e-12);
                }
            }
        }

        #[test]
        fn the_sign_test_is_symmetric_and_a_probability(wins in 0_u64..3000, losses in 0_u64..3000) {
            let p = sign_test(wins, losses);
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert_eq!(p, sign_test(losses, wins));
        }
    }

    #[test]
    fn medians_and_runs_of_known_rows() {
        assert_eq!(median::<i64>(&[]), None);
        assert_eq!(median(&[5]), Some(5));
        assert_eq!(median(&[9, 1, 5]), Some(5));
        assert_eq!(median(&[4, 1, 3, 2]), Some(2));
        assert_eq!(longest_run::<char>(&[]), None);
        assert_eq!(longest_run(&['a', 'b', 'b', 'c', 'c']), Some(('b', 2)));
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (part, whole, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(part, whole).unwrap();
            assert!(
                (found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5,
                "{part}/{whole}: {found:?}"
            );
        }
        assert_eq!(wilson(0, 0), None);
    }
}
