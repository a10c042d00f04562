//! What screening said of content, by the policy that was asked.

use std::collections::HashMap;
use std::sync::Arc;

use diptych_core::{Decision, SprintId};
use sqlx::AssertSqlSafe;

use crate::{Millis, Result, Store, StoreError, rows_at_once, value_rows};

/// What a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A prompt's cleaned text.
    Prompt,
    /// A variant's text.
    Variant,
    /// An image.
    Image,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Prompt => "prompt",
            Kind::Variant => "variant",
            Kind::Image => "image",
        }
    }
}

/// A decision to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDecision {
    /// The hash of the text or image.
    pub content: String,
    /// What was decided.
    pub decision: Decision,
    /// One word that says why (for counting), or nothing.
    pub reason: String,
    /// What each classifier said, as JSON.
    pub scores: String,
}

impl Store {
    /// The decisions of this kind under this policy: content → (decision, reason).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn decisions(
        &self,
        sprint: &SprintId,
        kind: Kind,
        policy: &str,
    ) -> Result<HashMap<String, (Decision, String)>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT content, decision, reason FROM decisions WHERE sprint = $1 AND kind = $2 AND policy = $3",
        )
        .bind(sprint.as_str())
        .bind(kind.as_str())
        .bind(policy)
        .fetch_all(self.readers())
        .await?;
        rows.into_iter()
            .map(|(content, word, reason)| match Decision::from_word(&word) {
                Some(decision) => Ok((content, (decision, reason))),
                None => Err(StoreError::UnknownWord { table: "decisions", word }),
            })
            .collect()
    }

    /// Keeps decisions.
    ///
    /// # Errors
    /// Where the database fails; none is kept then.
    pub async fn record_decisions(
        &self,
        sprint: &SprintId,
        kind: Kind,
        policy: &str,
        decisions: Vec<NewDecision>,
        now: Millis,
    ) -> Result<()> {
        let (sprint, policy, decisions) = (sprint.clone(), policy.to_owned(), Arc::new(decisions));
        self.write(move |connection| {
            let (sprint, policy, decisions) = (sprint.clone(), policy.clone(), Arc::clone(&decisions));
            Box::pin(async move {
                for rows in decisions.chunks(rows_at_once(8)) {
                    let query = format!(
                        "INSERT INTO decisions (sprint, kind, content, policy, decision, reason, scores, decided_at) \
                         VALUES {} ON CONFLICT (sprint, kind, content, policy) DO NOTHING",
                        value_rows(rows.len(), 8)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(query));
                    for row in rows {
                        query = query
                            .bind(sprint.as_str())
                            .bind(kind.as_str())
                            .bind(&row.content)
                            .bind(&policy)
                            .bind(row.decision.as_str())
                            .bind(&row.reason)
                            .bind(&row.scores)
                            .bind(now);
                    }
                    query.execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
