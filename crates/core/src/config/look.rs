//! What a sprint's pages look like.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a sprint's pages look like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LookConfig {
    /// The colour of lines, focus and progress; made as dark or light as it takes to be read. None: the program's.
    pub accent: Option<Colour>,
    /// A picture that stands for the sprint on the home page, in its folder (PNG, JPEG or WebP).
    pub cover: Option<String>,
}

/// A colour of sRGB: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour(pub [u8; 3]);

/// A text that is no colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no colour: write it as `#rrggbb`, six digits of hexadecimal")]
pub struct NoColour(String);

impl FromStr for Colour {
    type Err = NoColour;

    fn from_str(text: &str) -> Result<Self, NoColour> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        // `+12345` is a number too.
        let number = number.filter(|_| !text.contains('+')).ok_or_else(|| NoColour(text.to_owned()))?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl TryFrom<String> for Colour {
    type Error = NoColour;

    fn try_from(text: String) -> Result<Self, NoColour> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_six_digits() {
        assert_eq!("#7a3Cff".parse(), Ok(Colour([0x7a, 0x3c, 0xff])));
        assert_eq!(Colour([0, 16, 255]).to_string(), "#0010ff");
        for bad in ["", "#", "7a3cff", "#7a3cf", "#7a3cff0", "#+12345", "#ééé", "purple", "#1d6557;}body{"]
        {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
    }
}
