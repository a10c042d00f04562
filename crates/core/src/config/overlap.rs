//! How many people answer each pair.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many people answer each pair: always `max`, or at first `min`, and one more at a time while no answer has
/// more than half of theirs, up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Whoever else answers: so many do.
    pub min: u32,
    /// No more than these.
    pub max: u32,
}

impl Overlap {
    /// Always as many.
    pub const fn of(people: u32) -> Self {
        Self { min: people, max: people }
    }

    /// How many responses are wanted of a pair that has these counts of each answer.
    pub fn wanted(self, counts: &[u32]) -> u32 {
        let given: u32 = counts.iter().sum();
        let decided = counts.iter().any(|count| 2 * count > given);
        if given < self.min {
            self.min
        } else if given >= self.max || decided {
            given
        } else {
            given + 1
        }
    }
}

impl From<u32> for Overlap {
    fn from(people: u32) -> Self {
        Self::of(people)
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.max)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

impl Serialize for Overlap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Range {
            min: u32,
            max: u32,
        }
        match *self {
            Self { min, max } if min == max => serializer.serialize_u32(max),
            Self { min, max } => Range { min, max }.serialize(serializer),
        }
    }
}

// By hand and not `untagged`, so that an unknown key inside the braces is still named with its line.
impl<'de> Deserialize<'de> for Overlap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Range {
            min: u32,
            max: u32,
        }
        struct NumberOrRange;
        impl<'de> Visitor<'de> for NumberOrRange {
            type Value = Overlap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of people, or { min = 2, max = 3 }")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Overlap, E> {
                let unexpected = serde::de::Unexpected::Signed(number);
                u32::try_from(number).map(Overlap::of).map_err(|_| E::invalid_value(unexpected, &self))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Overlap, E> {
                let unexpected = serde::de::Unexpected::Unsigned(number);
                u32::try_from(number).map(Overlap::of).map_err(|_| E::invalid_value(unexpected, &self))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Overlap, A::Error> {
                let Range { min, max } =
                    Range::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Overlap { min, max })
            }
        }
        deserializer.deserialize_any(NumberOrRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_is_asked_where_the_first_disagree() {
        let range = Overlap { min: 2, max: 3 };
        for (counts, wanted) in
            [(&[][..], 2), (&[1], 2), (&[2], 2), (&[1, 1], 3), (&[2, 1], 3), (&[1, 1, 1], 3), (&[3], 3)]
        {
            assert_eq!(range.wanted(counts), wanted, "{counts:?}");
        }
        let wide = Overlap { min: 2, max: 5 };
        assert_eq!((wide.wanted(&[2, 1]), wide.wanted(&[2, 2]), wide.wanted(&[2, 2, 1])), (3, 5, 5));
        assert_eq!((Overlap::of(3).wanted(&[1, 1]), Overlap::of(3).wanted(&[1, 1, 1])), (3, 3));
    }

    #[test]
    fn it_is_a_number_or_a_range() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Table {
            overlap: Overlap,
        }
        let read = |text: &str| toml::from_str::<Table>(text).map(|table| table.overlap);
        assert_eq!(read("overlap = 3").unwrap(), Overlap::of(3));
        assert_eq!(read("overlap = { min = 2, max = 3 }").unwrap(), Overlap { min: 2, max: 3 });
        assert!(read("overlap = { min = 2, most = 3 }").unwrap_err().to_string().contains("most"));
        for bad in ["overlap = -1", "overlap = 99999999999", "overlap = \"three\"", "overlap = { min = 2 }"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let json = |overlap: Overlap| serde_json::to_string(&overlap).unwrap();
        assert_eq!(
            (json(Overlap::of(3)).as_str(), json(Overlap { min: 1, max: 2 }).as_str()),
            ("3", r#"{"min":1,"max":2}"#)
        );
    }
}
