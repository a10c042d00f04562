//! What is done to the text of a prompt: cleaned, compared, judged by language and by word list, and
//! rewritten by rules or by what a chat model answers. Text in, text out: nothing here reads a file, a
//! clock or the network.

pub mod duplicates;
pub mod language;
pub mod lexicon;
pub mod normalize;
pub mod rules;
pub mod templates;
