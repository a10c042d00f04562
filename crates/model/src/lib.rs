//! What the files beside a model of the Hugging Face Hub say: which architecture and labels it has (`config.json`), and
//! how pictures are prepared for it (`preprocessor_config.json`). Text in, meaning out: nothing here opens a file.

mod config;
mod preparation;

pub use config::Config;
pub use preparation::{Filter, LARGEST, Preparation, Size};
