//! Tables: what a sprint publishes and what `sql` sees, as Arrow, Parquet and DataFusion have them.
//!
//! Rows come in as plain structs ([`rows`]) and become cells ([`cells`]) of typed columns ([`features`]).
//! The same cells go into a dataset folder that Hugging Face `datasets` loads ([`dataset`], [`card`]) or
//! into a table that a query reads ([`sql`]). Other people's Parquet files come in through [`files`].
//! Nothing here knows the store or the network.

pub mod card;
pub mod cells;
pub mod dataset;
pub mod features;
pub mod files;
pub mod output;
pub mod rows;
pub mod sql;

use std::path::{Path, PathBuf};

pub use datafusion::arrow::record_batch::RecordBatch;

/// Why a table could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Two columns would have one name.
    #[error("two columns would be named `{0}`; rename an evolution or a model key")]
    TwiceTheName(String),
    /// A row that does not fit its columns.
    #[error("a row does not fit the table: {0}")]
    Misfit(String),
    /// A file or folder could not be read or written.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A Parquet file could not be written.
    #[error("cannot write the Parquet file `{}`", path.display())]
    Parquet {
        /// Which one.
        path: PathBuf,
        /// What the writer said.
        source: datafusion::parquet::errors::ParquetError,
    },
    /// The cells could not be made into columns.
    #[error("cannot build the columns of a table")]
    Arrow(#[from] datafusion::arrow::error::ArrowError),
    /// The folder to publish to holds something else.
    #[error("`{}` is not a dataset that was published here ({reason}); choose another folder or remove it", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file's name would leave the dataset's folder.
    #[error("`{0}` is no path of a file inside the dataset's `images` folder")]
    FilePath(String),
}

impl TableError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}
