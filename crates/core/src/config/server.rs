//! `diptych.toml`: what a server keeps where.

use serde::{Deserialize, Serialize};

use super::{Checked, Problem};

/// A server's configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Where rows and blobs are kept.
    pub storage: StorageConfig,
}

/// Where rows and blobs are kept. Relative paths start at the server's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    pub database: String,
    /// `file:PATH` or `s3://BUCKET/PREFIX`.
    pub blobs: String,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { database: "sqlite:diptych.db".to_owned(), blobs: "file:blobs".to_owned() }
    }
}

impl Checked for ServerConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let database = &self.storage.database;
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| database.starts_with(scheme)) {
            problems.push(Problem::new(
                &["storage", "database"],
                // The scheme alone: what follows may hold a password.
                format!(
                    "`{}:…` is neither `sqlite:PATH` nor `postgres://USER@HOST/DATABASE`",
                    database.split(':').next().unwrap_or_default()
                ),
            ));
        }
        let blobs = &self.storage.blobs;
        if !["file:", "s3://"].iter().any(|scheme| blobs.starts_with(scheme)) {
            problems.push(Problem::new(
                &["storage", "blobs"],
                format!("`{blobs}` is neither `file:PATH` nor `s3://BUCKET/PREFIX`"),
            ));
        }
        problems
    }
}
