//! Pictures as servers hand them over: as base64 in JSON, as a data address, or as an address to fetch.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Url;

use super::http::{MOST_IMAGE, Server};
use crate::EngineError;

/// The bytes of a base64 text; a leading `data:image/png;base64,` is passed over.
pub(crate) fn from_base64(who: &str, text: &str) -> Result<Bytes, EngineError> {
    let text = match text.split_once(";base64,") {
        Some((media, text)) if media.starts_with("data:") => text,
        _ => text,
    };
    let bytes = STANDARD
        .decode(text.trim())
        .map_err(|error| EngineError::unusable(format!("{who} sent an image that is not base64: {error}")))?;
    Ok(bytes.into())
}

/// No wait before a picture is fetched again is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The bytes behind an address that the server gave; the key is not sent along.
pub(crate) async fn from_address(server: &Server, address: &str) -> Result<Bytes, EngineError> {
    if address.starts_with("data:") {
        return from_base64(server.who(), address);
    }
    let url =
        Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
            let (who, given) = (server.who(), server.quoted(address));
            EngineError::unusable(format!("{who} gave `{given}` as an image's address"))
        })?;
    let mut wait = Duration::from_millis(250);
    loop {
        match server.get_plain(url.clone(), MOST_IMAGE).await {
            Ok(reply) => return Ok(reply.body),
            // The picture is made, and perhaps paid for: it is fetched again, not made again.
            Err(EngineError::Transient { .. }) if wait <= LONGEST_WAIT => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            // The settings are right, or the address would not have come. An address that has gone is had
            // again by asking again, which is the caller's to decide.
            Err(
                EngineError::Refused { reason: message }
                | EngineError::Setup { message }
                | EngineError::Transient { message, .. },
            ) => return Err(EngineError::Unusable { message }),
            Err(error) => return Err(error),
        }
    }
}

/// The seed as servers are sent it: all take 31 bits, some no more.
pub(crate) fn sent_seed(seed: u64) -> u64 {
    seed & 0x7fff_ffff
}
