//! `/oauth/introspect` (RFC 7662).

use super::api::{OAuthError, Pairs, Refused, read};
use crate::cx::Cx;
use crate::gate::standing::{self, Standing, Token};
use crate::http::extract::Introspect;
use crate::http::failure::{Failure, Problem};
use crate::tokens::OWN_CLIENT;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use usher_verify::Claims;

/// The whole answer about a token that is worth nothing, whatever the reason (RFC 7662 section 2.2).
const INACTIVE: &str = r#"{"active":false}"#;

/// A token to be looked at.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes a form that is read as pairs, so that a repeated parameter is noticed")]
pub struct IntrospectionForm {
    /// The token.
    #[schema(format = Password)]
    token: String,
    /// What it may be. Taken and not needed: a token of this server says itself what it is.
    token_type_hint: Option<String>,
}

/// What a token is a token of.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenUse {
    /// An API call, at the audience.
    Access,
    /// Locations of media.
    Media,
    /// The next access token.
    Refresh,
    /// A script's calls, as its scopes say.
    Personal,
}

/// What a token is worth (RFC 7662 section 2.2). About one that is worth nothing, `active` is all that is said.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Introspection {
    /// Whether it is worth anything.
    pub active: bool,
    /// What it is for. Whoever guards an API takes `access` and `personal` only, and looks at `aud`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_use: Option<TokenUse>,
    /// `Bearer`, for a token that opens an API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whose account, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The account's name today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For whom it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// The app or client that it was given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What it allows: names parted by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The second at which it is dead: of a refresh token, when nobody uses it or its session before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The second in which it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The token's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The session that it hangs from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When somebody last proved who they are (RFC 9470 section 6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How strongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The account's roles today.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The account's groups today.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Ask what somebody's token is worth, as an API behind this server that was shown it.
#[utoipa::path(post, path = "/oauth/introspect", tag = "oauth",
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, description = "What it is worth. Of a token that is worth nothing, for whatever reason, exactly `{\"active\":false}`", body = Introspection),
    (status = 400, description = "The parameter `token` is missing, or one came twice", body = OAuthError),
    (status = 401, description = "The caller shows no token of its own that is valid here", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The caller is no admin, or its personal token has not the scope `introspect`", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = OAuthError),
    (status = 503, description = "No storage", body = OAuthError)))]
pub async fn introspect(Introspect(cx): Introspect, form: Pairs) -> Result<Response, Refused> {
    let all = read(form)?;
    let missing = || Refused::new("invalid_request", "The parameter `token` is missing.");
    let token = all.get("token").ok_or_else(missing)?;
    Ok(match standing::of(&cx, token).await.map_err(Failure::from)? {
        Some(standing) => axum::Json(told(&cx, standing)).into_response(),
        None => ([(CONTENT_TYPE, "application/json")], INACTIVE).into_response(),
    })
}

fn told(cx: &Cx, standing: Standing) -> Introspection {
    let Standing { rights, token } = standing;
    let account = Introspection {
        active: true,
        token_use: None,
        token_type: None,
        iss: Some(cx.app.keys.issuer().to_owned()),
        sub: Some(rights.account.to_string()),
        username: Some(rights.username.clone()),
        aud: Some(cx.app.keys.audience().to_owned()),
        client_id: None,
        scope: None,
        exp: None,
        iat: None,
        jti: None,
        sid: None,
        auth_time: None,
        acr: None,
        roles: vec![rights.role.word().to_owned()],
        groups: rights.groups.clone(),
    };
    match token {
        Token::Access(claims) => {
            let token_type = Some("Bearer");
            Introspection { token_use: Some(TokenUse::Access), token_type, ..signed(claims, account) }
        }
        Token::Media(claims) => Introspection { token_use: Some(TokenUse::Media), ..signed(claims, account) },
        Token::Refresh(live, app) => Introspection {
            token_use: Some(TokenUse::Refresh),
            client_id: Some(app.unwrap_or_else(|| OWN_CLIENT.to_owned())),
            exp: Some(live.usable_until().seconds()),
            sid: Some(live.id.to_string()),
            auth_time: Some(live.auth_at.seconds()),
            acr: Some(crate::sessions::acr(&live.amr).to_owned()),
            ..account
        },
        Token::Personal(token) => Introspection {
            token_use: Some(TokenUse::Personal),
            token_type: Some("Bearer"),
            scope: Some(token.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(" ")),
            exp: token.expires_at.map(crate::time::Time::seconds),
            iat: Some(token.made_at.seconds()),
            jti: Some(token.id.to_string()),
            ..account
        },
    }
}

/// With what a signed token says of itself. Its rights are those of today: an older version is worth nothing.
fn signed(claims: Claims, account: Introspection) -> Introspection {
    Introspection {
        aud: claims.aud.into_iter().next(),
        client_id: Some(claims.client_id),
        scope: Some(claims.scope).filter(|scope| !scope.is_empty()),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        jti: Some(claims.jti),
        sid: claims.sid,
        auth_time: claims.auth_time,
        acr: claims.acr,
        ..account
    }
}
