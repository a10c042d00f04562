//! What a clock that was ahead, and was set back since, has left.

use diptych_core::SprintId;
use sqlx::AssertSqlSafe;

use crate::{Connection, Millis, Result, Store};

/// How far the clocks of servers may be apart, in milliseconds: what is later than that was noted while a clock was ahead.
pub(crate) const AHEAD: Millis = 3600 * 1000;

/// Has leases end in time that were given while the clock was ahead, and was set back since.
pub(crate) async fn shorten_leases(
    connection: &mut Connection,
    sprint: &SprintId,
    now: Millis,
    lease: Millis,
) -> Result<()> {
    tracing::warn!("the clock was ahead and is back: leases of that time end as if they began now");
    for table in ["assignments", "checks"] {
        let query = format!(
            "UPDATE {table} SET expires_at = $2 WHERE sprint = $1 AND state = 'open' AND expires_at > $3"
        );
        let query = sqlx::query(AssertSqlSafe(query)).bind(sprint.as_str()).bind(now + lease);
        query.bind(now + lease + AHEAD).execute(&mut *connection).await?;
    }
    Ok(())
}

impl Store {
    /// Has skips, reports and reviews that were noted while the clock was ahead be of now: a skip would else keep its pair
    /// from that person, and a report that was ended keep the pair from the moderators, until then. Reviews and ends come
    /// before what is open, so that somebody looks once more rather than not at all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_back(&self, now: Millis) -> Result<()> {
        self.write(move |connection| {
            Box::pin(async move {
                for query in [
                    "UPDATE assignments SET ended_at = $1 WHERE state = 'skipped' AND ended_at > $2",
                    "UPDATE reports SET ended_at = $1 - 1 WHERE ended_at > $2",
                    "UPDATE reports SET created_at = $1 WHERE created_at > $2",
                    "UPDATE reviews SET created_at = $1 - 1 WHERE created_at > $2",
                ] {
                    sqlx::query(query).bind(now).bind(now + AHEAD).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
