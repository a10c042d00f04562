//! Holding one particular pair, for the demo's simulated annotators. People never choose their
//! pairs: they [`Store::take`] them.

use diptych_core::{AssignmentId, PairId, PersonId, Side};

use crate::{Millis, Result, Store};

/// Which pair is held by whom.
#[derive(Debug, Clone)]
pub struct HeldPair {
    /// The pair.
    pub pair: PairId,
    /// Who.
    pub person: PersonId,
    /// The side of its first image.
    pub side: Side,
    /// Now.
    pub now: Millis,
    /// How long the hold lasts.
    pub lease: Millis,
}

/// Holds the pair, where it has a place left and this person has no part in it.
///
/// # Errors
/// Where the database fails.
pub async fn hold_pair(store: &Store, held: HeldPair) -> Result<Option<AssignmentId>> {
    store
        .write(move |connection| {
            let held = held.clone();
            Box::pin(async move {
                let free: Option<i64> = sqlx::query_scalar(
                    "SELECT slots FROM pairs WHERE id = $1 AND current AND slots > 0 AND NOT EXISTS \
                     (SELECT 1 FROM assignments WHERE pair = pairs.id AND person = $2)",
                )
                .bind(held.pair.as_str())
                .bind(held.person.as_str())
                .fetch_optional(&mut *connection)
                .await?;
                if free.is_none() {
                    return Ok(None);
                }
                let lease = held.now + held.lease;
                let id = crate::assignments::hold(
                    connection,
                    &held.person,
                    held.pair.as_str(),
                    held.side,
                    held.now,
                    lease,
                )
                .await?;
                Ok(Some(id))
            })
        })
        .await
}
