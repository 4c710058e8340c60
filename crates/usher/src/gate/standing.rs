//! What a token is worth at this instant, for somebody to whom it was shown (RFC 7662).
//!
//! Promises: it says yes where the gate would let the token's holder in, or an app's token is one that the app should take,
//! and no to everything else without a reason; the question is no use of the token, so that it keeps no session alive,
//! and asking about a refresh token that was used before ends nothing.
//! Refuses: to guess. Where memory is behind or the database silent there is no answer instead of a no.

use super::{Refusal, confined, live_session, rights, trusted};
use crate::accounts::Rights;
use crate::cx::Cx;
use crate::id::SessionId;
use crate::secret;
use crate::sessions::hot::Live;
use crate::sessions::refresh;
use crate::tokens::personal::{self, PersonalToken};
use std::sync::Arc;
use usher_verify::{Claims, TokenType};

/// A token that is worth something.
pub struct Standing {
    /// What its account may do today.
    pub rights: Arc<Rights>,
    /// What it is.
    pub token: Token,
}

/// The kinds of token that can be asked about.
pub enum Token {
    /// An access token, for this server or for an app.
    Access(Claims),
    /// A media token.
    Media(Claims),
    /// The refresh token that its session would exchange next, of an app or of a client of this server itself.
    Refresh(Arc<Live>, Option<String>),
    /// A personal token.
    Personal(Arc<PersonalToken>),
}

/// What this token is worth, or nothing. The only refusal is [`Refusal::Unavailable`].
pub async fn of(cx: &Cx, token: &str) -> Result<Option<Standing>, Refusal> {
    trusted(cx)?;
    let found = match secret::Kind::of(token) {
        Some(secret::Kind::Personal) => by_personal_token(cx, token).await,
        Some(secret::Kind::Refresh) => by_refresh_token(cx, token).await,
        _ => by_signed_token(cx, token).await,
    };
    match found {
        Ok(standing) if !confined(cx, &standing.rights) => Ok(Some(standing)),
        Err(Refusal::Unavailable) => Err(Refusal::Unavailable),
        _ => Ok(None),
    }
}

async fn by_signed_token(cx: &Cx, token: &str) -> Result<Standing, Refusal> {
    let known = cx.app.apps.all();
    let apps: Vec<&str> = known.iter().map(|known| known.audience()).collect();
    let (claims, kind) = match cx.app.keys.verify_for(token, TokenType::Access, &apps, cx.now) {
        Err(usher_verify::Refusal::WrongType) => {
            (cx.app.keys.verify_for(token, TokenType::Media, &[], cx.now), TokenType::Media)
        }
        other => (other, TokenType::Access),
    };
    let claims = claims.map_err(|_| Refusal::Invalid)?;
    let session: SessionId = claims.sid.as_deref().and_then(|sid| sid.parse().ok()).ok_or(Refusal::Invalid)?;
    let live = live_session(cx, session).await?;
    let rights = rights(cx, live.account).await?;
    // As at the gate: a media token says nothing about rights, and is judged by those of today where it is used.
    if kind == TokenType::Access && i64::try_from(claims.ver) != Ok(rights.ver) {
        return Err(Refusal::Outdated);
    }
    let token = if kind == TokenType::Access { Token::Access(claims) } else { Token::Media(claims) };
    Ok(Standing { rights, token })
}

async fn by_refresh_token(cx: &Cx, token: &str) -> Result<Standing, Refusal> {
    let presented = refresh::presented(cx, token).ok_or(Refusal::Invalid)?;
    let live = live_session(cx, presented.session).await?;
    if !refresh::is_current(cx, &presented).await.map_err(|_| Refusal::Unavailable)? {
        return Err(Refusal::Invalid);
    }
    Ok(Standing { rights: rights(cx, live.account).await?, token: Token::Refresh(live, presented.app) })
}

async fn by_personal_token(cx: &Cx, token: &str) -> Result<Standing, Refusal> {
    let known = personal::look_up(cx, token).await.map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::Invalid)?;
    if known.expires_at.is_some_and(|end| cx.now >= end) {
        return Err(Refusal::Expired);
    }
    Ok(Standing { rights: rights(cx, known.account).await?, token: Token::Personal(known) })
}
