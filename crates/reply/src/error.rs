//! What can come of a call besides what was asked for, sorted by what it means for the unit of work.

use std::time::Duration;

/// Why an engine gave nothing usable. The texts name the engine and the address, and never a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// For good, for this item alone: a content policy, a request that the server does not take. The
    /// row is dropped with this reason.
    #[error("{reason}")]
    Refused {
        /// The server's own words, with the engine's name.
        reason: String,
    },
    /// In passing: a rate limit, a server error, no connection, no answer in time. The unit stays pending.
    #[error("{message}")]
    Transient {
        /// What happened.
        message: String,
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It answered, but what came is of no use: a web page, a broken image, too much. After the retries
    /// the unit has failed.
    #[error("{message}")]
    Unusable {
        /// What came.
        message: String,
    },
    /// No call can succeed: a wrong address, a missing key, no money. The run stops.
    #[error("{message}")]
    Setup {
        /// What is wrong and what to do.
        message: String,
    },
}

impl EngineError {
    /// For good, for this item alone.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    /// In passing, and the server asked for no wait.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), retry_after: None }
    }

    /// It answered, and what came is of no use.
    pub fn unusable(message: impl Into<String>) -> Self {
        Self::Unusable { message: message.into() }
    }

    /// No call can succeed.
    pub fn setup(message: impl Into<String>) -> Self {
        Self::Setup { message: message.into() }
    }
}
