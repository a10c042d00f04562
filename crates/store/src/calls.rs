//! Calls to chat models that were answered: none is made, or paid, twice.

use diptych_core::{SprintId, UnitKey};

use crate::{Millis, Result, Store};

/// An answered call.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct CallRow {
    /// The hash of everything that was sent, and of the attempt.
    pub key: String,
    /// The `[chat.NAME]` that was called.
    pub engine: String,
    /// The model that answered.
    pub model: String,
    /// What was sent, as JSON.
    pub request: String,
    /// The text that came back.
    pub reply: String,
    /// Tokens sent.
    pub input_tokens: i64,
    /// Tokens received.
    pub output_tokens: i64,
    /// What it cost, in the unit of the configured prices.
    pub cost: f64,
    /// The provider's name for the call.
    pub request_id: Option<String>,
}

impl Store {
    /// The recorded answer to this call.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn call(&self, sprint: &SprintId, key: &UnitKey) -> Result<Option<CallRow>> {
        Ok(sqlx::query_as(
            "SELECT key, engine, model, request, reply, input_tokens, output_tokens, cost, request_id \
             FROM calls WHERE sprint = $1 AND key = $2",
        )
        .bind(sprint.as_str())
        .bind(key.as_str())
        .fetch_optional(self.readers())
        .await?)
    }

    /// Keeps an answered call.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn record_call(&self, sprint: &SprintId, call: CallRow, now: Millis) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let (sprint, call) = (sprint.clone(), call.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO calls (sprint, key, engine, model, request, reply, input_tokens, output_tokens, \
                     cost, request_id, called_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                     ON CONFLICT (sprint, key) DO NOTHING",
                )
                .bind(sprint.as_str())
                .bind(call.key)
                .bind(call.engine)
                .bind(call.model)
                .bind(call.request)
                .bind(call.reply)
                .bind(call.input_tokens)
                .bind(call.output_tokens)
                .bind(call.cost)
                .bind(call.request_id)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// What all calls and images of a sprint have cost so far, in the unit of the configured prices.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn spent(&self, sprint: &SprintId) -> Result<f64> {
        Ok(sqlx::query_scalar(
            "SELECT COALESCE((SELECT SUM(cost) FROM calls WHERE sprint = $1), 0.0) \
             + COALESCE((SELECT SUM(cost) FROM images WHERE sprint = $1), 0.0)",
        )
        .bind(sprint.as_str())
        .fetch_one(self.readers())
        .await?)
    }
}
