//! Refusals that many operations of the API share, for its description.

use super::failure::Problem;

/// What every operation with a JSON body may refuse.
#[derive(utoipa::IntoResponses)]
pub enum Unread {
    /// The body is not JSON
    #[response(status = 400, content_type = "application/problem+json")]
    NotJson(Problem),
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not sent as JSON
    #[response(status = 415, content_type = "application/problem+json")]
    NotSentAsJson(Problem),
    /// A field is missing, unknown, or has a value that cannot be taken
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// What every operation on one's own second factors may refuse.
#[derive(utoipa::IntoResponses)]
pub enum OwnOnly {
    /// No valid credential for one's own account, or its last proof is too old for this (`reauthentication_required`)
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The request came from another site, or a new password must be chosen first
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// No storage; nothing was changed
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What every operation that takes a password or a passcode may refuse.
#[derive(utoipa::IntoResponses)]
pub enum Slowed {
    /// Too many attempts
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Problem),
}

/// What every operation of a login may refuse.
#[derive(utoipa::IntoResponses)]
pub enum AtTheDoor {
    /// The request came from another site
    #[response(status = 403, content_type = "application/problem+json")]
    OtherSite(Problem),
    /// No storage
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}
