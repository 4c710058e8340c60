//! Signing keys: which there are, and rotating them.

use super::{Closed, Unread};
use crate::admin::{self, RotationError};
use crate::cx::Cx;
use crate::http::extract::{Admin, Json};
use crate::http::failure::{Failure, Problem};
use crate::tokens::KeyState;
use crate::tokens::live::{self, KeysError};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// A signing key. Its private half is not shown to anybody.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Key {
    /// The key's id, as in the header of tokens.
    pub kid: String,
    /// The algorithm of its signatures.
    pub algorithm: &'static str,
    /// `current` signs; `next` is published and waits; `retired` only verifies.
    pub state: &'static str,
    /// Since when it is in this state.
    #[schema(format = DateTime)]
    pub since: String,
    /// Until when a retired key verifies.
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// The signing keys.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Keys {
    /// The current one first.
    pub keys: Vec<Key>,
    /// From when on a rotation needs no `now`.
    #[schema(format = DateTime)]
    pub ready_at: Option<String>,
}

fn keys(cx: &Cx) -> Keys {
    let cache_for = live::rules(cx).cache_for;
    let mut ready_at = None;
    let keys = cx.app.keys.states().into_iter().map(|(kid, algorithm, state)| {
        let (state, since, until) = match state {
            KeyState::Current { since } => ("current", since, None),
            KeyState::Next { published_at } => {
                ready_at = Some((published_at + cache_for).rfc3339());
                ("next", published_at, None)
            }
            KeyState::Retired { at, until } => ("retired", at, Some(until)),
        };
        let until = until.map(|until| until.rfc3339());
        Key { kid, algorithm: algorithm.name(), state, since: since.rfc3339(), until }
    });
    Keys { keys: keys.collect(), ready_at }
}

/// List the signing keys.
#[utoipa::path(get, path = "/api/v1/keys", tag = "admin", responses(
    (status = 200, description = "The keys", body = Keys), Closed))]
pub async fn list(Admin(cx): Admin) -> Result<axum::Json<Keys>, Failure> {
    Ok(axum::Json(keys(&cx)))
}

/// A rotation.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Rotate although the next key may not be known everywhere yet: others may refuse tokens for some minutes.
    #[serde(default)]
    pub now: bool,
}

/// Make the next key sign. Tokens signed before stay valid until their end.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "admin", request_body = Option<Rotation>, responses(
    (status = 200, description = "The keys as they are now", body = Keys),
    (status = 409, description = "The next key is not known everywhere yet, or somebody rotates right now", body = Problem, content_type = "application/problem+json"),
    Unread, Closed))]
pub async fn rotate(Admin(cx): Admin, body: Option<Json<Rotation>>) -> Result<axum::Json<Keys>, Failure> {
    let now = body.is_some_and(|Json(body)| body.now);
    match admin::rotate_keys(&cx, now).await {
        Ok(()) => Ok(axum::Json(keys(&cx))),
        Err(RotationError::Admin(error)) => Err(error.into()),
        Err(RotationError::Keys(KeysError::TooSoon(soon))) => Err(Failure::new(
            StatusCode::CONFLICT,
            "rotation_too_soon",
            format!("The next key is not known everywhere before {}. Send `now` to rotate anyway.", soon.ready_at),
        )),
        Err(RotationError::Keys(error)) => Err(error.into()),
    }
}
