//! What is said to people in their own language: the name of its words, and what goes into their blanks.

/// A sentence, or a part of one, in every language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// The name under which its words stand in each language.
    pub name: &'static str,
    /// What goes into their blanks.
    pub blanks: Vec<(&'static str, String)>,
}

impl Phrase {
    /// Of these words, with no blank filled yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, blanks: Vec::new() }
    }

    /// With one of the blanks filled.
    #[must_use]
    pub fn with(mut self, blank: &'static str, filled: &impl ToString) -> Self {
        self.blanks.push((blank, filled.to_string()));
        self
    }
}
