//! One's own sessions, and the data that applications keep with them.

use super::data::{self, Item, Key, Listed};
use super::{Session, Which, own};
use crate::cx::Cx;
use crate::http::cookies;
use crate::http::extract::{Admin, Id, JsonText, Own};
use crate::http::failure::{Failure, Problem};
use crate::id::SessionId;
use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// A live session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionFacts {
    /// The session's id. Public; it proves nothing.
    pub id: String,
    /// The device, in its owner's words or by what it called itself.
    #[schema(example = "Firefox on Linux")]
    pub label: String,
    /// `browser`, `device` or `api`.
    pub kind: &'static str,
    /// The address it was begun from.
    #[schema(example = "192.0.2.7")]
    pub place: String,
    /// The login.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// The last use.
    #[schema(format = DateTime)]
    pub last_used_at: String,
    /// When it ends if it is not used before.
    #[schema(format = DateTime)]
    pub idle_until: String,
    /// The absolute end, which activity does not move.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Whether it is the session that asks.
    pub current: bool,
}

impl SessionFacts {
    fn of(session: Session, asking: Option<SessionId>) -> SessionFacts {
        SessionFacts {
            id: session.id.to_string(),
            kind: session.kind.word(),
            started_at: session.created_at.rfc3339(),
            last_used_at: session.last_used_at.rfc3339(),
            idle_until: (session.last_used_at + session.idle_for).min(session.expires_at).rfc3339(),
            expires_at: session.expires_at.rfc3339(),
            current: asking == Some(session.id),
            label: session.label,
            place: session.address,
        }
    }
}

/// One's live sessions.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionList {
    /// Last used first.
    pub sessions: Vec<SessionFacts>,
}

/// How many sessions were ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EndedCount {
    /// Those that were live until now.
    pub ended: usize,
}

/// List one's own live sessions.
#[utoipa::path(get, path = "/api/v1/me/sessions", tag = "me", responses(
    (status = 200, description = "The live sessions", body = SessionList),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn list(own: Own) -> Result<Json<SessionList>, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    let asking = caller.session();
    let sessions = own::list(cx, caller.account()).await?;
    let sessions = sessions.into_iter().map(|session| SessionFacts::of(session, asking)).collect();
    Ok(Json(SessionList { sessions }))
}

/// End one of one's own sessions. Everything derived from it is dead when the answer arrives.
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}", tag = "me",
    params(("id" = String, Path, description = "The session's id")), responses(
    (status = 204, description = "The session is over"),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such live session of this account", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn end(own: Own, Id(id): Id<SessionId>) -> Result<Response, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    if own::end(cx, Which::OneOf(caller.account(), id)).await?.is_empty() {
        return Err(Failure::not_found());
    }
    let response = StatusCode::NO_CONTENT.into_response();
    Ok(if caller.session() == Some(id) { forgotten(cx, response) } else { response })
}

/// End all of one's sessions but the one that asks.
#[utoipa::path(post, path = "/api/v1/me/sessions/end-others", tag = "me", responses(
    (status = 200, description = "The other sessions are over", body = EndedCount),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn end_others(own: Own) -> Result<Json<EndedCount>, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    let asking = caller.session().ok_or_else(Failure::forbidden)?;
    let ended = own::end(cx, Which::Others(caller.account(), asking)).await?;
    Ok(Json(EndedCount { ended: ended.len() }))
}

/// End all of one's sessions, the one that asks among them.
#[utoipa::path(post, path = "/api/v1/me/sessions/end-all", tag = "me", responses(
    (status = 200, description = "All sessions are over", body = EndedCount),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn end_all(own: Own) -> Result<Response, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    let ended = own::end(cx, Which::All(caller.account())).await?;
    Ok(forgotten(cx, Json(EndedCount { ended: ended.len() }).into_response()))
}

/// The answer after which the browser has no session any more.
fn forgotten(cx: &Cx, mut response: Response) -> Response {
    response.headers_mut().extend(cookies::clear_session(cx).map(|value| (SET_COOKIE, value)));
    response
}

/// A key of the session's data.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DataKey {
    /// The key.
    pub key: String,
    /// Key and value, in bytes.
    pub size: i64,
    /// The last write.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl From<Listed> for DataKey {
    fn from(listed: Listed) -> DataKey {
        DataKey { key: listed.key, size: listed.size, updated_at: listed.updated_at.rfc3339() }
    }
}

/// What is kept with the session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DataKeys {
    /// Its keys, in order.
    pub items: Vec<DataKey>,
    /// What all sessions of the account hold, in bytes.
    pub used: i64,
    /// What they may hold.
    pub limit: u64,
}

/// Everything kept with a session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DataItems {
    /// In the order of their keys.
    pub items: Vec<DataItem>,
}

/// A key with its value.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DataItem {
    /// The key.
    pub key: String,
    /// Any JSON, as it was sent.
    pub value: serde_json::Value,
    /// The last write.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// List the keys of the data kept with this session.
#[utoipa::path(get, path = "/api/v1/session/data", tag = "session data", responses(
    (status = 200, description = "The keys", body = DataKeys),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_keys(own: Own) -> Result<Json<DataKeys>, Failure> {
    let (account, session) = holder(&own)?;
    let (items, used) = data::list(&own.0, account, session).await?;
    let limit = own.0.app.config.sessions.data_limit;
    Ok(Json(DataKeys { items: items.into_iter().map(DataKey::from).collect(), used: used.bytes, limit }))
}

fn holder(own: &Own) -> Result<(crate::id::AccountId, SessionId), Failure> {
    let caller = own.caller()?;
    Ok((caller.account(), caller.session().ok_or_else(Failure::forbidden)?))
}

/// Read what is kept with this session under a key.
#[utoipa::path(get, path = "/api/v1/session/data/{*key}", tag = "session data",
    params(("key" = String, Path, description = "The key; it may hold `/`")), responses(
    (status = 200, description = "The value, as it was sent", body = serde_json::Value),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "Nothing by that key", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Not a key", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_get(own: Own, Path(key): Path<String>) -> Result<Response, Failure> {
    let (_, session) = holder(&own)?;
    let value = data::get(&own.0, session, &Key::parse(&key)?).await?;
    Ok(json_text(value))
}

/// Keep any JSON with this session under a key.
#[utoipa::path(put, path = "/api/v1/session/data/{*key}", tag = "session data",
    params(("key" = String, Path, description = "1 to 128 letters, digits and `._-`, in parts separated by `/`")),
    request_body = serde_json::Value, responses(
    (status = 204, description = "It is kept"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The account's sessions hold as much as they may", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Not a key, or nested too deep", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_put(own: Own, Path(key): Path<String>, JsonText(value): JsonText) -> Result<StatusCode, Failure> {
    let (account, session) = holder(&own)?;
    data::put(&own.0, account, session, Key::parse(&key)?, value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove what is kept with this session under a key.
#[utoipa::path(delete, path = "/api/v1/session/data/{*key}", tag = "session data",
    params(("key" = String, Path, description = "The key; it may hold `/`")), responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "Nothing by that key", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Not a key", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_delete(own: Own, Path(key): Path<String>) -> Result<StatusCode, Failure> {
    let (_, session) = holder(&own)?;
    data::remove(&own.0, session, Key::parse(&key)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read everything kept with one of one's own sessions, also after it has ended.
#[utoipa::path(get, path = "/api/v1/me/sessions/{id}/data", tag = "session data",
    params(("id" = String, Path, description = "The session's id")), responses(
    (status = 200, description = "The data", body = DataItems),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such session of this account", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_of_own(own: Own, Id(id): Id<SessionId>) -> Result<Response, Failure> {
    let account = own.caller()?.account();
    Ok(items_text(data::of_session(&own.0, Some(account), id).await?))
}

/// Remove everything kept with one of one's own sessions, to make room.
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}/data", tag = "session data",
    params(("id" = String, Path, description = "The session's id")), responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such session of this account", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_clear(own: Own, Id(id): Id<SessionId>) -> Result<StatusCode, Failure> {
    let account = own.caller()?.account();
    data::clear(&own.0, account, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read everything kept with anybody's session, as an admin.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/data", tag = "session data",
    params(("id" = String, Path, description = "The session's id")), responses(
    (status = 200, description = "The data", body = DataItems),
    (status = 401, description = "No valid credential", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not an admin", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such session", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn data_of_anybody(Admin(cx): Admin, Id(id): Id<SessionId>) -> Result<Response, Failure> {
    Ok(items_text(data::of_session(&cx, None, id).await?))
}

/// An answer whose text is JSON already.
fn json_text(text: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// [`DataItems`], with the values to the letter: reading them into numbers and back could change them.
fn items_text(items: Vec<Item>) -> Response {
    let mut text = String::from("{\"items\":[");
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // A key has no letter that JSON would escape.
        let (key, value, updated_at) = (&item.key, &item.value, item.updated_at);
        text.push_str(&format!("{comma}{{\"key\":\"{key}\",\"value\":{value},\"updated_at\":\"{updated_at}\"}}"));
    }
    text.push_str("]}");
    json_text(text)
}
