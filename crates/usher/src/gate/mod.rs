//! The gate: many credentials, one result.
//!
//! Promises: one function admits every request. Its answer is a [`Caller`] or one exact refusal, and it
//! is given from memory: a session that has ended, an account that was disabled and rights that were
//! taken are refused from the commit on, without asking the database.
//! Refuses: a credential at a door that does not take its kind ([`Door`] is the written matrix); several
//! credentials at once that disagree; anything from a query string.

pub mod standing;

use crate::accounts::Rights;
use crate::config::RequireFactor;
use crate::cx::Cx;
use crate::id::{AccountId, PersonalTokenId, SessionId};
use crate::secret;
use crate::sessions::hot::Live;
use crate::sessions::{self, cookie};
use crate::tokens::personal::{self, Scope};
use std::sync::Arc;
use usher_verify::{Claims, Refusal as TokenRefusal, TokenType};

/// The kinds of credential that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The session cookie.
    Cookie,
    /// An access token for this server, as bearer.
    Access,
    /// A media token, as bearer.
    Media,
    /// A personal token, as bearer.
    Personal,
}

/// Where a request wants to go in, and what that place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A page. Cookie only.
    Page,
    /// A page that only admins see. Cookie only.
    AdminPage,
    /// The page on which a new password must be chosen. Cookie only, and the only door for such an account.
    PasswordPage,
    /// The page on which second factors are set up. Cookie only, and open to an account that must set one up first.
    FactorPage,
    /// One's own account through the API. A session's cookie or access token; never a personal token.
    Own,
    /// One's own password, through the API: as [`Door::Own`], and open to an account that must choose a new one.
    OwnPassword,
    /// One's own second factors, through the API: as [`Door::Own`], and open to an account that must set one up.
    OwnFactors,
    /// One's own facts, to read. Also a personal token with the scope `profile`.
    Profile,
    /// Buckets and their entries. Also a personal token with the scope `media`.
    Library,
    /// The admin API. Also an admin's personal token with the scope `admin`.
    Admin,
    /// A location, which redirects to a media URL. Cookie, access token or media token.
    Location,
    /// A fresh access token for an app's origin. Cookie only.
    AppToken,
    /// What somebody else's token is worth. An admin's access token, or personal token with the scope `introspect`.
    Introspect,
    /// The way out. A session's cookie or access token, whatever has changed of its account meanwhile.
    Leave,
}

impl Door {
    /// The written matrix: which kinds of credential open which door.
    pub fn takes(self, kind: Credential) -> bool {
        use Credential::{Access, Cookie, Media, Personal};
        match self {
            Door::Page | Door::AdminPage | Door::PasswordPage | Door::FactorPage | Door::AppToken => {
                matches!(kind, Cookie)
            }
            Door::Own | Door::OwnPassword | Door::OwnFactors | Door::Leave => matches!(kind, Cookie | Access),
            Door::Profile | Door::Library | Door::Admin => matches!(kind, Cookie | Access | Personal),
            Door::Location => matches!(kind, Cookie | Access | Media),
            Door::Introspect => matches!(kind, Access | Personal),
        }
    }

    fn scope(self) -> Option<Scope> {
        match self {
            Door::Profile => Some(Scope::Profile),
            Door::Library => Some(Scope::Media),
            Door::Admin => Some(Scope::Admin),
            Door::Introspect => Some(Scope::Introspect),
            _ => None,
        }
    }

    /// Whether an account that must choose a new password first, or set up a second factor, may pass.
    fn before(self, demand: Demand) -> bool {
        let password = matches!(self, Door::PasswordPage | Door::OwnPassword | Door::Leave);
        match demand {
            Demand::Password => password,
            Demand::Factor => password || matches!(self, Door::FactorPage | Door::OwnFactors),
        }
    }

    fn admins_only(self) -> bool {
        matches!(self, Door::Admin | Door::AdminPage | Door::Introspect)
    }
}

/// What an account must do before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Password,
    Factor,
}

/// Whether an account must have a second factor: by its role, by one of its groups, or itself.
pub fn demands_factor(cx: &Cx, rights: &Rights) -> bool {
    rights.factor_demanded
        || match cx.app.config.accounts.require_factor {
            RequireFactor::Nobody => false,
            RequireFactor::Admins => rights.admin(),
            RequireFactor::Everybody => true,
        }
}

/// Whether an account must set up a second factor before it gets at anything.
pub fn must_enrol(cx: &Cx, rights: &Rights) -> bool {
    !rights.has_factor && demands_factor(cx, rights)
}

/// What a request shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// The value of the session cookie.
    pub cookie: Option<&'a str>,
    /// The token of an `Authorization: Bearer` header.
    pub bearer: Option<&'a str>,
}

/// Where a caller's right to be here comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A session, shown by this kind of credential.
    Session(Arc<Live>, Credential),
    /// A personal token.
    PersonalToken(PersonalTokenId, u64),
}

/// Somebody who was admitted.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the account may do.
    pub rights: Arc<Rights>,
    /// Where the right to be here comes from.
    pub origin: Origin,
}

impl Caller {
    /// Whose account.
    pub fn account(&self) -> AccountId {
        self.rights.account
    }

    /// The session, when there is one.
    pub fn session(&self) -> Option<SessionId> {
        self.live().map(|live| live.id)
    }

    /// The session in memory, when there is one.
    pub fn live(&self) -> Option<&Arc<Live>> {
        match &self.origin {
            Origin::Session(live, _) => Some(live),
            Origin::PersonalToken(..) => None,
        }
    }

    /// The media grant that this caller's media URLs stand on.
    pub fn grant(&self) -> u64 {
        match &self.origin {
            Origin::Session(live, _) => live.grant,
            Origin::PersonalToken(_, grant) => *grant,
        }
    }

    /// Whether the request was admitted by its cookie, which a foreign page could have made a browser send.
    pub fn by_cookie(&self) -> bool {
        matches!(self.origin, Origin::Session(_, Credential::Cookie))
    }
}

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It shows nothing.
    #[error("log in first")]
    Missing,
    /// What it shows is not a credential of this server, or not one for this door.
    #[error("the credential is not valid here")]
    Invalid,
    /// The token's time is over.
    #[error("the token has expired")]
    Expired,
    /// The session behind it is over, or its account shut out.
    #[error("the session has ended")]
    Ended,
    /// The account's rights changed since the token was made; a refresh brings a current one.
    #[error("the token is out of date; refresh it")]
    Outdated,
    /// The account may not do this.
    #[error("not allowed")]
    Forbidden,
    /// A new password must be chosen first.
    #[error("choose a new password first")]
    PasswordChangeRequired,
    /// A second factor must be set up first.
    #[error("set up a second factor first")]
    FactorRequired,
    /// The database did not answer, and memory does not know.
    #[error("not available right now")]
    Unavailable,
}

/// Refuses while memory may be behind: what it holds could be a session that another node has ended.
fn trusted(cx: &Cx) -> Result<(), Refusal> {
    if cx.app.db.is_current() { Ok(()) } else { Err(Refusal::Unavailable) }
}

/// Admits a request at a door: the one way in.
pub async fn admit(cx: &Cx, shown: Shown<'_>, door: Door) -> Result<Caller, Refusal> {
    trusted(cx)?;
    let caller = match (shown.bearer, shown.cookie) {
        // A program that sends a token means the token; a browser's stray cookie must not widen what it may do.
        (Some(token), _) => by_bearer(cx, token, door).await?,
        (None, Some(value)) if door.takes(Credential::Cookie) => by_cookie(cx, value).await?,
        (None, Some(_)) => return Err(refused(cx, Refusal::Invalid, "this place takes no cookie")),
        (None, None) => return Err(refused(cx, Refusal::Missing, "neither a cookie nor a bearer token was shown")),
    };
    if caller.rights.disabled() {
        return Err(refused(cx, Refusal::Ended, format!("account {} is disabled", caller.account())));
    }
    if caller.rights.must_change && !door.before(Demand::Password) {
        let why = format!("account {} must choose a new password first", caller.account());
        return Err(refused(cx, Refusal::PasswordChangeRequired, why));
    }
    if must_enrol(cx, &caller.rights) && !door.before(Demand::Factor) {
        let why = format!("account {} must set up a second factor first", caller.account());
        return Err(refused(cx, Refusal::FactorRequired, why));
    }
    if door.admins_only() && !caller.rights.admin() {
        return Err(refused(cx, Refusal::Forbidden, format!("account {} is no admin", caller.account())));
    }
    Ok(caller)
}

/// The refusal, with its exact reason noted for admins.
fn refused(cx: &Cx, refusal: Refusal, why: impl std::fmt::Display) -> Refusal {
    cx.because(why);
    refusal
}

async fn by_cookie(cx: &Cx, value: &str) -> Result<Caller, Refusal> {
    let presented = cookie::read(&cx.app.macs.cookie, value)
        .ok_or_else(|| refused(cx, Refusal::Invalid, "the session cookie is not one that this server made"))?;
    let live = live_session(cx, presented.session).await?;
    if !live.secret.matches(&*presented.secret) {
        let why = format!("session {} has a newer cookie: this one was replaced at a login or proof", live.id);
        return Err(refused(cx, Refusal::Ended, why));
    }
    cx.app.sessions.used(&live, cx.now);
    let rights = rights(cx, live.account).await?;
    Ok(Caller { rights, origin: Origin::Session(live, Credential::Cookie) })
}

async fn by_bearer(cx: &Cx, token: &str, door: Door) -> Result<Caller, Refusal> {
    if secret::Kind::of(token) == Some(secret::Kind::Personal) {
        return if door.takes(Credential::Personal) {
            by_personal_token(cx, token, door).await
        } else {
            Err(refused(cx, Refusal::Invalid, "this place takes no personal token"))
        };
    }
    let (claims, kind) = if door.takes(Credential::Access) {
        match verify(cx, token, TokenType::Access) {
            Err(TokenRefusal::WrongType) if door.takes(Credential::Media) => {
                (verify(cx, token, TokenType::Media).map_err(|error| refusal(cx, &error))?, Credential::Media)
            }
            other => (other.map_err(|error| refusal(cx, &error))?, Credential::Access),
        }
    } else {
        return Err(refused(cx, Refusal::Invalid, "this place takes no bearer token"));
    };
    let session: SessionId = claims.sid.as_deref().and_then(|sid| sid.parse().ok()).ok_or(Refusal::Invalid)?;
    let live = live_session(cx, session).await?;
    let rights = rights(cx, live.account).await?;
    if i64::try_from(claims.ver) != Ok(rights.ver) && kind == Credential::Access && door != Door::Leave {
        let why = format!("the token is of rights version {}, account {} of {}", claims.ver, live.account, rights.ver);
        return Err(refused(cx, Refusal::Outdated, why));
    }
    cx.app.sessions.used(&live, cx.now);
    Ok(Caller { rights, origin: Origin::Session(live, kind) })
}

fn verify(cx: &Cx, token: &str, kind: TokenType) -> Result<Arc<Claims>, TokenRefusal> {
    cx.app.keys.verify(token, kind, cx.now)
}

fn refusal(cx: &Cx, error: &TokenRefusal) -> Refusal {
    cx.because(format_args!("the bearer token: {error}"));
    match error {
        TokenRefusal::Expired => Refusal::Expired,
        _ => Refusal::Invalid,
    }
}

async fn by_personal_token(cx: &Cx, token: &str, door: Door) -> Result<Caller, Refusal> {
    let known = personal::use_of(cx, token).await.map_err(|_| Refusal::Unavailable)?;
    let known =
        known.ok_or_else(|| refused(cx, Refusal::Invalid, "there is no such personal token, or it was revoked"))?;
    if known.expires_at.is_some_and(|end| cx.now >= end) {
        return Err(Refusal::Expired);
    }
    if door.scope().is_none_or(|scope| !known.scopes.contains(&scope)) {
        let why = format!("personal token {} has not the scope that this place asks for", known.id);
        return Err(refused(cx, Refusal::Forbidden, why));
    }
    let rights = rights(cx, known.account).await?;
    Ok(Caller { rights, origin: Origin::PersonalToken(known.id, known.grant) })
}

/// The session, if it may be used at this instant.
async fn live_session(cx: &Cx, id: SessionId) -> Result<Arc<Live>, Refusal> {
    let live = cx.app.sessions.live(&cx.app.db, id).await.map_err(|_| Refusal::Unavailable)?;
    let live = live.ok_or_else(|| refused(cx, Refusal::Ended, format!("session {id} has ended")))?;
    if !usable(cx, &live).await? {
        let limit = if cx.now >= live.expires_at { "absolute end" } else { "longest rest" };
        return Err(refused(cx, Refusal::Ended, format!("session {id} is past its {limit}")));
    }
    Ok(live)
}

async fn usable(cx: &Cx, live: &Live) -> Result<bool, Refusal> {
    cx.app.sessions.usable(&cx.app.db, live, cx.now).await.map_err(|_| Refusal::Unavailable)
}

async fn rights(cx: &Cx, account: AccountId) -> Result<Arc<Rights>, Refusal> {
    cx.app.accounts.rights(&cx.app.db, account).await.map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::Ended)
}

/// Admits a media grant: the caller behind a media URL whose MAC was right.
///
/// The rights that come back are today's, so that a bucket taken away is closed to links made before.
pub async fn admit_grant(cx: &Cx, grant: u64) -> Result<Arc<Rights>, Refusal> {
    trusted(cx)?;
    let found = cx.app.sessions.by_grant(&cx.app.db, grant).await.map_err(|_| Refusal::Unavailable)?;
    let account = match found {
        Some(live) => {
            if !usable(cx, &live).await? {
                return Err(Refusal::Ended);
            }
            cx.app.sessions.used(&live, cx.now);
            live.account
        }
        None => match personal::by_grant(cx, grant).await.map_err(|_| Refusal::Unavailable)? {
            Some(token) if token.expires_at.is_none_or(|end| cx.now < end) => token.account,
            _ => return Err(Refusal::Ended),
        },
    };
    let rights = rights(cx, account).await?;
    if confined(cx, &rights) { Err(Refusal::Ended) } else { Ok(rights) }
}

/// Whether an account gets at nothing but the way back: it is disabled, or must choose a new password or set up a factor
/// first. What it was given before is worth nothing until then.
fn confined(cx: &Cx, rights: &Rights) -> bool {
    rights.disabled() || rights.must_change || must_enrol(cx, rights)
}

/// What a session that was just begun looks like from inside: for answers that follow a login.
pub async fn admit_new(cx: &Cx, session: SessionId, kind: sessions::Kind) -> Result<Caller, Refusal> {
    let live = live_session(cx, session).await?;
    let rights = rights(cx, live.account).await?;
    let shown = if kind == sessions::Kind::Browser { Credential::Cookie } else { Credential::Access };
    Ok(Caller { rights, origin: Origin::Session(live, shown) })
}
