//! What handlers take: the context, admitted at a door, and bodies that were read within their limits.

use super::cookies;
use super::failure::Failure;
use crate::cx::Cx;
use crate::gate::{self, Caller, Door, Refusal, Shown};
use crate::http::accept::TooSlow;
use crate::json;
use axum::body::Bytes;
use axum::extract::rejection::{FormRejection, JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use serde::de::{DeserializeOwned, IgnoredAny};

impl<S: Sync> FromRequestParts<S> for Cx {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Cx, Failure> {
        parts
            .extensions
            .get::<Cx>()
            .cloned()
            .ok_or_else(|| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The request has no context."))
    }
}

/// Whom the headers belong to, at `door`.
pub async fn admit(cx: &Cx, headers: &HeaderMap, door: Door) -> Result<Caller, Refusal> {
    let mut bearers = headers.get_all(AUTHORIZATION).iter();
    let bearer = match (bearers.next(), bearers.next()) {
        (None, _) => None,
        (Some(one), None) => {
            let text = one.to_str().map_err(|_| Refusal::Invalid)?;
            let (scheme, token) = text.split_once(' ').ok_or(Refusal::Invalid)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(Refusal::Invalid);
            }
            Some(token.trim())
        }
        (Some(_), Some(_)) => return Err(Refusal::Invalid),
    };
    let cookie = cookies::find(headers, cookies::session_name(cx));
    gate::admit(cx, Shown { cookie, bearer }, door).await
}

/// Whom this value of a session cookie belongs to, at `door`: for a page that holds several.
pub async fn admit_cookie(cx: &Cx, value: &str, door: Door) -> Result<Caller, Refusal> {
    gate::admit(cx, Shown { cookie: Some(value), bearer: None }, door).await
}

macro_rules! doors {
    ($($(#[$doc:meta])* $name:ident = $door:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub Cx);

        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = Failure;
            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
                let cx = Cx::from_request_parts(parts, state).await?;
                let caller = admit(&cx, &parts.headers, $door).await?;
                Ok($name(cx.admitted(caller)))
            }
        }
    )*};
}

doors! {
    /// A page for somebody who is logged in.
    Page = Door::Page;
    /// A page for admins.
    AdminPage = Door::AdminPage;
    /// The page on which a new password is chosen.
    PasswordPage = Door::PasswordPage;
    /// The page on which second factors are set up.
    FactorPage = Door::FactorPage;
    /// One's own second factors, through the API.
    OwnFactors = Door::OwnFactors;
    /// One's own account, through the API.
    Own = Door::Own;
    /// One's own password, through the API.
    OwnPassword = Door::OwnPassword;
    /// One's own facts, to read.
    Profile = Door::Profile;
    /// Buckets and entries.
    Library = Door::Library;
    /// The admin API.
    Admin = Door::Admin;
    /// What somebody else's token is worth.
    Introspect = Door::Introspect;
}

impl Own {
    /// The caller; a door always has one.
    pub fn caller(&self) -> Result<&Caller, Failure> {
        caller(&self.0)
    }
}

/// The admitted caller of a context.
pub fn caller(cx: &Cx) -> Result<&Caller, Failure> {
    cx.caller.as_ref().ok_or_else(|| Refusal::Missing.into())
}

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match axum::Json::from_bytes(&json_body(request, state).await?) {
            Ok(axum::Json(body)) => Ok(Json(body)),
            Err(JsonRejection::JsonDataError(error)) => Err(Failure::invalid(error.body_text())),
            Err(JsonRejection::JsonSyntaxError(_)) => {
                Err(Failure::new(StatusCode::BAD_REQUEST, "invalid_json", "The body is not JSON."))
            }
            Err(other) => Err(unreadable(other.status(), &other)),
        }
    }
}

/// How deep arrays and objects may stand in one another. Nothing that this server takes goes beyond four.
const MAX_DEPTH: usize = 32;

/// The body of a request that says it is JSON, no deeper than it may be. Whether it is JSON is still to be seen.
async fn json_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Failure> {
    not_packed(request.headers())?;
    if !is_json(request.headers()) {
        return Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the body as `Content-Type: application/json`.",
        ));
    }
    let body = Bytes::from_request(request, state).await.map_err(|error| unreadable(error.status(), &error))?;
    if json::depth(&body) > MAX_DEPTH {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid_json", "The body is nested too deep."));
    }
    Ok(body)
}

/// A packed body would have two sizes, and a bound on the one says nothing about the other.
fn not_packed(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the body as it is, without `Content-Encoding`.",
        ));
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

/// A JSON body that may be absent altogether.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Failure> {
        if request.headers().contains_key(CONTENT_TYPE) {
            return <Json<T> as FromRequest<S>>::from_request(request, state).await.map(Some);
        }
        let empty = request.body().size_hint().exact() == Some(0);
        if empty { Ok(None) } else { <Json<T> as FromRequest<S>>::from_request(request, state).await.map(Some) }
    }
}

/// A JSON body as the text that was sent: checked to be JSON, and otherwise kept to the letter.
pub struct JsonText(pub String);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Failure;
    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = json_body(request, state).await?;
        let text = std::str::from_utf8(&body).ok().filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let text =
            text.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "invalid_json", "The body is not JSON."))?.trim();
        Ok(JsonText(text.to_owned()))
    }
}

/// A form body.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        not_packed(request.headers())?;
        match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(body)) => Ok(Form(body)),
            Err(FormRejection::InvalidFormContentType(_)) => Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the body as `Content-Type: application/x-www-form-urlencoded`.",
            )),
            Err(FormRejection::FailedToDeserializeFormBody(error)) => Err(Failure::invalid(error.body_text())),
            Err(other) => Err(unreadable(other.status(), &other)),
        }
    }
}

/// The fields of a form in which a name may be repeated.
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// The first value of this name; empty when there is none, as of a text field left out.
    pub fn first(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Every name with its value, in order.
    pub fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every value of this name, in order: the boxes that were ticked.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

impl<S: Send + Sync> FromRequest<S> for Pairs {
    type Rejection = Failure;
    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state).await?;
        Ok(Pairs(pairs))
    }
}

fn unreadable(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Failure {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Failure::new(status, "payload_too_large", "The body is larger than this route takes.")
    } else if TooSlow::caused(error) {
        Failure::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not come in time.")
    } else {
        Failure::new(StatusCode::BAD_REQUEST, "invalid_request", "The body could not be read.")
    }
}

/// Parameters of a query string. Never credentials.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => Err(Failure::invalid(error.body_text())),
            Err(_) => Err(Failure::invalid("The query string could not be read.")),
        }
    }
}

/// An id in a path. Anything that is no id names nothing.
pub struct Id<T>(pub T);

impl<T: std::str::FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state).await.map_err(|_| Failure::not_found())?;
        text.parse().map(Id).map_err(|_| Failure::not_found())
    }
}
