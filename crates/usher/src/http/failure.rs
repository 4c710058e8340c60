//! What went wrong, at the edge: one message for the client, one for the log.
//!
//! A `Failure` has a status, a stable code and a public sentence, and keeps its cause to itself. It is
//! written as a problem document (RFC 9457). Pages find it in the answer's extensions and show it as a page.

use crate::accounts::profile::ProfileError;
use crate::accounts::{ChangeError, CreateError};
use crate::devices::{BeginError, DecideError};
use crate::gate::Refusal;
use crate::login::again::{AgainError, PasswordError, ProfileChangeError};
use crate::login::factors::FactorError;
use crate::login::letters::VerificationError;
use crate::login::links::LinkError;
use crate::login::{LoginError, SignupError};
use crate::media::root::OpenError;
use crate::sessions::data::DataError;
use crate::tokens::issue::IssueError;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// A failure on its way to a client.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people: what happened and what to do.
    pub public: String,
    /// How long to wait before the next try.
    pub retry_after: Option<Duration>,
    /// Everything that is wrong with what was sent, where it is more than one thing.
    pub problems: Vec<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The body of a failed API call (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code says what the type would.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// A stable word for programs.
    #[schema(example = "invalid_credentials")]
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// Everything that is wrong with what was sent, in sentences, where it may be several things.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Failure {
    /// A failure that is the client's.
    pub fn new(status: StatusCode, code: &'static str, public: impl Into<String>) -> Failure {
        Failure { status, code, public: public.into(), retry_after: None, problems: Vec::new(), source: None }
    }

    /// The body, the form or a parameter is not what this route takes.
    pub fn invalid(public: impl Into<String>) -> Failure {
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", public)
    }

    /// There is no such thing, or none that this caller may know of.
    pub fn not_found() -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here by that name.")
    }

    /// The caller may not do this.
    pub fn forbidden() -> Failure {
        Failure::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this.")
    }

    /// A new password that may not be chosen, with everything that is wrong with it.
    pub fn weak(problems: Vec<String>) -> Failure {
        let public = problems.join(" ");
        Failure { problems, ..Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "password_too_weak", public) }
    }

    /// The same, to be tried again after a while.
    pub fn retry(mut self, after: Duration) -> Failure {
        self.retry_after = Some(after.max(Duration::from_secs(1)));
        self
    }

    fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Failure {
        self.source = Some(Arc::new(source));
        self
    }

    /// Writes the cause to the log, once, where the request is known. A client never sees it.
    pub fn log(&self, request: &str) {
        if let Some(source) = &self.source {
            tracing::error!(request, code = self.code, error = %source, "a request failed inside");
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.public.clone(),
            problems: self.problems.clone(),
        };
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, challenge(self.code));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The challenge of RFC 6750 section 3. Not `Basic`: a browser must not open its own password window.
fn challenge(code: &str) -> HeaderValue {
    match code {
        "token_expired" | "token_outdated" | "session_ended" => {
            HeaderValue::from_static("Bearer error=\"invalid_token\"")
        }
        // RFC 9470 section 3: the credential is good, its last proof is too old.
        "reauthentication_required" => {
            HeaderValue::from_static("Bearer error=\"insufficient_user_authentication\", max_age=300")
        }
        _ => HeaderValue::from_static("Bearer"),
    }
}

impl From<usher_db::Error> for Failure {
    fn from(error: usher_db::Error) -> Failure {
        if error.is_unavailable() {
            return Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The server cannot reach its storage right now. Nothing was changed; try again in a moment.",
            )
            .retry(Duration::from_secs(2))
            .caused_by(error);
        }
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on the server. The log tells what, under this request's id.",
        )
        .caused_by(error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        match error {
            OpenError::NotFound => Failure::not_found(),
            OpenError::Busy => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "The server has too many files open right now. Try again in a moment.",
            )
            .retry(Duration::from_secs(2)),
            OpenError::Away => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "bucket_away",
                "The folder behind this bucket is not here right now. Try again later.",
            )
            .retry(Duration::from_secs(30)),
            OpenError::Failed(_) => Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The disk did not give this. The log tells what, under this request's id.",
            )
            .caused_by(error),
        }
    }
}

impl From<crate::tokens::SigningFailed> for Failure {
    fn from(error: crate::tokens::SigningFailed) -> Failure {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on the server. The log tells what, under this request's id.",
        )
        .caused_by(error)
    }
}

impl From<crate::tokens::live::KeysError> for Failure {
    fn from(error: crate::tokens::live::KeysError) -> Failure {
        match error {
            crate::tokens::live::KeysError::Storage(error) => error.into(),
            other => Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on the server. The log tells what, under this request's id.",
            )
            .caused_by(other),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let (status, code, public) = match refusal {
            Refusal::Missing => (StatusCode::UNAUTHORIZED, "unauthenticated", "Log in first."),
            Refusal::Invalid => (StatusCode::UNAUTHORIZED, "invalid_token", "This credential is not valid here."),
            Refusal::Expired => (StatusCode::UNAUTHORIZED, "token_expired", "The token has expired; refresh it."),
            Refusal::Ended => (StatusCode::UNAUTHORIZED, "session_ended", "The session has ended; log in again."),
            Refusal::Outdated => {
                (StatusCode::UNAUTHORIZED, "token_outdated", "The account's rights have changed; refresh the token.")
            }
            Refusal::Forbidden => return Failure::forbidden(),
            Refusal::PasswordChangeRequired => {
                (StatusCode::FORBIDDEN, "password_change_required", "Choose a new password first.")
            }
            Refusal::FactorRequired => {
                (StatusCode::FORBIDDEN, "factor_required", "Set up a second factor first, as an authenticator app.")
            }
            Refusal::Unavailable => {
                return Failure::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "The server cannot reach its storage right now. Try again in a moment.",
                )
                .retry(Duration::from_secs(2));
            }
        };
        Failure::new(status, code, public)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Failure {
        match error {
            LoginError::InvalidCredentials => {
                Failure::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "The username or the password is wrong.")
            }
            LoginError::PasscodeRequired(_) => Failure::new(
                StatusCode::UNAUTHORIZED,
                "passcode_required",
                "This account has a second factor. Send a passcode of its authenticator app, or a recovery code, along.",
            ),
            LoginError::PasscodeInvalid => Failure::new(
                StatusCode::UNAUTHORIZED,
                "passcode_invalid",
                "That passcode is wrong, or was used before. Wait for the next one.",
            ),
            LoginError::PasskeyInvalid => Failure::new(
                StatusCode::UNAUTHORIZED,
                "passkey_invalid",
                "That passkey was not accepted. Try again, or log in another way.",
            ),
            LoginError::RateLimited(wait) => Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many attempts. Wait before the next one.",
            )
            .retry(wait),
            LoginError::Busy(wait) => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many people are logging in at once. Try again in a moment.",
            )
            .retry(wait),
            LoginError::Storage(error) => error.into(),
        }
    }
}

impl From<VerificationError> for Failure {
    fn from(error: VerificationError) -> Failure {
        match error {
            VerificationError::NoMail => Failure::new(StatusCode::CONFLICT, "no_mail", "This server sends no mail."),
            VerificationError::NothingToProve => Failure::new(
                StatusCode::CONFLICT,
                "nothing_to_prove",
                "The account has no email address, or it is proven already.",
            ),
            VerificationError::RateLimited(wait) => Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Several letters were sent already. Wait before the next one.",
            )
            .retry(wait),
            VerificationError::Storage(error) => error.into(),
        }
    }
}

impl From<SignupError> for Failure {
    fn from(error: SignupError) -> Failure {
        match error {
            SignupError::Create(error) => error.into(),
            SignupError::RateLimited(wait) => Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many accounts were made from this address. Wait before the next one.",
            )
            .retry(wait),
            SignupError::Busy(wait) => LoginError::Busy(wait).into(),
            SignupError::Storage(error) => error.into(),
        }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Failure {
        match error {
            CreateError::UsernameTaken => Failure::new(
                StatusCode::CONFLICT,
                "username_taken",
                "This username is taken, or looks too much like one that is.",
            ),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Failure {
        match error {
            ChangeError::NotFound => Failure::not_found(),
            ChangeError::LastAdmin => Failure::new(
                StatusCode::CONFLICT,
                "last_admin",
                "This is the last admin who can log in. Make another admin first.",
            ),
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Failure {
        match error {
            LinkError::Unusable => Failure::new(
                StatusCode::GONE,
                "link_unusable",
                "This link was used, withdrawn or has expired. Ask for a new one.",
            ),
            LinkError::Create(error) => error.into(),
            LinkError::RateLimited(after) => Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "This link was tried with many names. Wait a little before the next one.",
            )
            .retry(after),
            LinkError::Storage(error) => error.into(),
        }
    }
}

impl From<AgainError> for Failure {
    fn from(error: AgainError) -> Failure {
        match error {
            AgainError::Required => Failure::new(
                StatusCode::UNAUTHORIZED,
                "reauthentication_required",
                "Your last login is too long ago for this. Send your password along, as `password`, or a passcode, as `passcode`.",
            ),
            AgainError::Wrong => {
                Failure::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "That is not your present password.")
            }
            AgainError::WrongPasscode => LoginError::PasscodeInvalid.into(),
            AgainError::Ended => Refusal::Ended.into(),
            AgainError::Login(error) => error.into(),
        }
    }
}

impl From<ProfileChangeError> for Failure {
    fn from(error: ProfileChangeError) -> Failure {
        match error {
            ProfileChangeError::Profile(error) => error.into(),
            ProfileChangeError::Again(error) => error.into(),
        }
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Failure {
        match error {
            PasswordError::Weak(problems) => Failure::weak(problems),
            PasswordError::Again(error) => error.into(),
        }
    }
}

impl From<FactorError> for Failure {
    fn from(error: FactorError) -> Failure {
        match error {
            FactorError::NotFound => Failure::not_found(),
            FactorError::NothingWaits => Failure::new(
                StatusCode::CONFLICT,
                "nothing_waits",
                "No set-up waits for a code, or it has expired. Begin again.",
            ),
            FactorError::WrongCode => Failure::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "passcode_invalid",
                "That is no code of this app at this moment. Try the one it shows now.",
            ),
            FactorError::Demanded => Failure::new(
                StatusCode::CONFLICT,
                "factor_required",
                "This account must have a second factor. Set up another one before this is removed.",
            ),
            FactorError::NoFactor => Failure::new(
                StatusCode::CONFLICT,
                "no_factor",
                "Recovery codes stand in for a second factor. Set one up first.",
            ),
            FactorError::Name => Failure::invalid("A name has 1 to 64 characters."),
            FactorError::TooMany => Failure::new(StatusCode::CONFLICT, "passkey_limit_reached", error.to_string()),
            FactorError::Taken => Failure::new(StatusCode::CONFLICT, "passkey_taken", error.to_string()),
            FactorError::NotHere => {
                Failure::new(StatusCode::NOT_FOUND, "no_passkeys", "There are no passkeys at this address.")
            }
            FactorError::Ended => Refusal::Ended.into(),
            FactorError::Again(error) => error.into(),
            FactorError::Storage(error) => error.into(),
            FactorError::Sealing => Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on the server. The log tells what, under this request's id.",
            )
            .caused_by(error),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Failure {
        match error {
            ProfileError::NotFound => Failure::not_found(),
            ProfileError::EmailTaken => {
                Failure::new(StatusCode::CONFLICT, "email_taken", "Another account has this email address.")
            }
            ProfileError::BadName | ProfileError::BadEmail => Failure::invalid(error.to_string()),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        match error {
            DataError::BadKey | DataError::TooDeep => Failure::invalid(error.to_string()),
            DataError::NotFound => Failure::not_found(),
            DataError::Ended => Refusal::Ended.into(),
            DataError::Full => Failure::new(StatusCode::CONFLICT, "data_limit_reached", error.to_string()),
            DataError::Storage(error) => error.into(),
        }
    }
}

impl From<BeginError> for Failure {
    fn from(error: BeginError) -> Failure {
        match error {
            BeginError::RateLimited(wait) => {
                Failure::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many codes. Wait before the next one.")
                    .retry(wait)
            }
            BeginError::Storage(error) => error.into(),
        }
    }
}

impl From<DecideError> for Failure {
    fn from(error: DecideError) -> Failure {
        match error {
            DecideError::Unknown => Failure::new(
                StatusCode::NOT_FOUND,
                "code_unknown",
                "No device shows this code now. Look at its screen again: it may have a new one.",
            ),
            DecideError::RateLimited(wait) => Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many wrong codes. Wait before the next one.",
            )
            .retry(wait),
            DecideError::Storage(error) => error.into(),
        }
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Failure {
        match error {
            IssueError::Name | IssueError::Scopes | IssueError::Days => Failure::invalid(error.to_string()),
            IssueError::NotAdmin => Failure::new(StatusCode::FORBIDDEN, "forbidden", error.to_string()),
            IssueError::TooMany => Failure::new(StatusCode::CONFLICT, "token_limit_reached", error.to_string()),
            IssueError::Ended => Refusal::Ended.into(),
            IssueError::Storage(error) => error.into(),
        }
    }
}
