//! What people can answer, as they see it (left, right) and as it is kept (image 1, image 2).

use serde::{Deserialize, Serialize};

/// The kind of question that this program asks today. Kept with every response, so that other
/// questions can come without a change of the tables.
pub const PREFERENCE: &str = "preference";

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them, in the order in which reports list them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word that stands for it in tables and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The one that this word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// One person's answer to one pair, as it is kept and published.
    Answer {
        /// The pair's first image is better.
        Image1 = "image_1",
        /// The pair's second image is better.
        Image2 = "image_2",
        /// Both are good.
        BothGood = "both_good",
        /// Both are bad.
        BothBad = "both_bad",
        /// Something in the pair should not be shown to people.
        ToxicContent = "toxic_content",
    }
}

words! {
    /// What a person presses: the answer as seen on the page, or a skip, which is no response.
    Choice {
        /// The left image is better.
        Left = "left",
        /// The right image is better.
        Right = "right",
        /// Both are good.
        BothGood = "both_good",
        /// Both are bad.
        BothBad = "both_bad",
        /// Something in the pair should not be shown to people.
        ToxicContent = "toxic_content",
        /// Not for me: the pair goes back.
        Skip = "skip",
    }
}

words! {
    /// Where the pair's first image stands on the page.
    Side {
        /// Image 1 is left (or above), image 2 right (or below).
        Left = "left",
        /// Image 1 is right (or below), image 2 left (or above).
        Right = "right",
    }
}

impl Choice {
    /// The answer that this choice means where image 1 stands on `side_of_image_1`; none for a skip.
    pub fn answer(self, side_of_image_1: Side) -> Option<Answer> {
        match (self, side_of_image_1) {
            (Choice::Left, Side::Left) | (Choice::Right, Side::Right) => Some(Answer::Image1),
            (Choice::Right, Side::Left) | (Choice::Left, Side::Right) => Some(Answer::Image2),
            (Choice::BothGood, _) => Some(Answer::BothGood),
            (Choice::BothBad, _) => Some(Answer::BothBad),
            (Choice::ToxicContent, _) => Some(Answer::ToxicContent),
            (Choice::Skip, _) => None,
        }
    }
}

impl Answer {
    /// What was pressed for this answer where image 1 stood on `side_of_image_1`.
    pub fn choice(self, side_of_image_1: Side) -> Choice {
        match (self, side_of_image_1) {
            (Answer::Image1, Side::Left) | (Answer::Image2, Side::Right) => Choice::Left,
            (Answer::Image1 | Answer::Image2, _) => Choice::Right,
            (Answer::BothGood, _) => Choice::BothGood,
            (Answer::BothBad, _) => Choice::BothBad,
            (Answer::ToxicContent, _) => Choice::ToxicContent,
        }
    }
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_translated_through_the_recorded_side() {
        assert_eq!(Choice::Left.answer(Side::Left), Some(Answer::Image1));
        assert_eq!(Choice::Left.answer(Side::Right), Some(Answer::Image2));
        assert_eq!(Choice::Right.answer(Side::Left), Some(Answer::Image2));
        assert_eq!(Choice::Right.answer(Side::Right), Some(Answer::Image1));
        assert_eq!(Choice::Skip.answer(Side::Left), None);
        for (answer, side) in Answer::ALL.iter().zip([Side::Left, Side::Right].into_iter().cycle()) {
            assert_eq!(answer.choice(side).answer(side), Some(*answer));
        }
    }

    #[test]
    fn words_lead_there_and_back() {
        for answer in Answer::ALL {
            assert_eq!(Answer::from_word(answer.as_str()), Some(*answer));
        }
        assert_eq!(Answer::from_word("left"), None);
    }
}
