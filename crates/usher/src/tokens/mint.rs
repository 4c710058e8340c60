//! Access and media tokens: what they say and for how long.

use super::SigningFailed;
use crate::cx::Cx;
use crate::gate::Caller;
use crate::sessions;
use crate::time::Time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;
use usher_verify::{Claims, TokenType};

/// The `client_id` of whoever asks for no app.
pub const OWN_CLIENT: &str = "usher";

/// For whom an access token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// This server's own API.
    Own,
    /// A registered app's API. This server's own API refuses it, and so does every other app's.
    App {
        /// The app's name: the token's `client_id`.
        name: String,
        /// The token's `aud`.
        audience: String,
    },
}

impl Audience {
    /// The app's name, when it is one.
    pub fn app(&self) -> Option<&str> {
        match self {
            Audience::Own => None,
            Audience::App { name, .. } => Some(name),
        }
    }
}

/// An access token (RFC 9068) for the caller's session.
pub fn access(cx: &Cx, caller: &Caller, audience: &Audience) -> Result<String, SigningFailed> {
    let claims = claims(cx, caller, audience, cx.app.config.tokens.access_life);
    cx.app.keys.sign(&claims, TokenType::Access)
}

/// A media token: opens locations only, and lives as long as the session may.
pub fn media(cx: &Cx, caller: &Caller) -> Result<String, SigningFailed> {
    let life = caller.live().map_or(Duration::ZERO, |live| live.expires_at.since(cx.now));
    cx.app.keys.sign(&claims(cx, caller, &Audience::Own, life), TokenType::Media)
}

fn claims(cx: &Cx, caller: &Caller, audience: &Audience, life: Duration) -> Claims {
    let rights = &caller.rights;
    let (client, audience) = match audience {
        Audience::Own => (OWN_CLIENT, cx.app.keys.audience()),
        Audience::App { name, audience } => (name.as_str(), audience.as_str()),
    };
    // No token outlives its session.
    let session_end = caller.live().map_or(cx.now + life, |live| live.expires_at);
    let end: Time = (cx.now + life).min(session_end);
    Claims {
        iss: cx.app.keys.issuer().to_owned(),
        sub: rights.account.to_string(),
        aud: vec![audience.to_owned()],
        exp: end.seconds(),
        iat: cx.now.seconds(),
        jti: URL_SAFE_NO_PAD.encode(cx.app.rng.bytes::<16>()),
        client_id: client.to_owned(),
        sid: caller.session().map(|id| id.to_string()),
        auth_time: caller.live().map(|live| live.auth_at.seconds()),
        acr: caller.live().map(|live| sessions::acr(&live.amr).to_owned()),
        amr: caller.live().map(|live| live.amr.split(' ').map(str::to_owned).collect()).unwrap_or_default(),
        scope: String::new(),
        roles: vec![rights.role.word().to_owned()],
        groups: rights.groups.clone(),
        ver: u64::try_from(rights.ver).unwrap_or(0),
    }
}
