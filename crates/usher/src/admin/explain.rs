//! Why a request was refused: what memory and the audit log know of it.

use crate::audit::refused::Refused;
use crate::audit::{self, Recorded};
use crate::cx::Cx;
use usher_db::Error;

/// The longest id of a request that is looked for, in characters.
const LONGEST: usize = 64;

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its refusal, where it was refused and memory still knows.
    pub refused: Option<Refused>,
    /// What it did or failed to do, from the audit log.
    pub events: Vec<Recorded>,
}

/// What is known of the request with this id; `None` when that is nothing.
pub async fn explain(cx: &Cx, request: &str) -> Result<Option<Explained>, Error> {
    let request = request.trim();
    if request.is_empty() || request.len() > LONGEST {
        return Ok(None);
    }
    let refused = cx.app.refusals.of(request);
    let events = audit::of_request(&cx.app.db, request).await?;
    Ok((refused.is_some() || !events.is_empty()).then_some(Explained { refused, events }))
}
