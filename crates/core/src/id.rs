//! Every id has its type, so that a pair cannot be handed in where a person is meant.
//!
//! Ids that we make are UUIDv7 (they sort by time); ids of content are SHA-256 in hex.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps text that is known to be such an id, for instance because the store says so.
            pub fn from_text(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        text_id!($(#[$doc])* $name);

        impl $name {
            /// A new id, unique everywhere and sorting by the time it was made.
            #[allow(clippy::new_without_default)] // a default id would be a trap
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7().to_string())
            }
        }
    };
}

uuid_id!(
    /// A sprint.
    SprintId
);
uuid_id!(
    /// Two images of one variant by two models.
    PairId
);
uuid_id!(
    /// A person who signs in, or one that the program simulates.
    PersonId
);
uuid_id!(
    /// One person's hold on one pair.
    AssignmentId
);
text_id!(
    /// SHA-256 of an image's bytes as they came from the model, in hex; also its name in the blob store.
    ImageHash
);
text_id!(
    /// What identifies a unit of work: the SHA-256, in hex, of everything that its outcome depends on.
    UnitKey
);

/// A prompt's index within its sprint: given at collect, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PromptIndex(pub i64);

impl fmt::Display for PromptIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ImageHash {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }
}

impl UnitKey {
    /// The key of a unit whose outcome depends on `parts` and nothing else.
    ///
    /// Each part is hashed with its length, so that `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn of(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hex::encode(hasher.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_key_depends_on_where_parts_end() {
        assert_ne!(UnitKey::of(&["ab", "c"]), UnitKey::of(&["a", "bc"]));
        assert_ne!(UnitKey::of(&["a"]), UnitKey::of(&["a", ""]));
        assert_eq!(UnitKey::of(&["a", "b"]), UnitKey::of(&["a", "b"]));
    }

    #[test]
    fn an_image_is_named_by_the_sha256_of_its_bytes() {
        assert_eq!(
            ImageHash::of(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
