//! The closed lists: three algorithms, three kinds of token.

/// A signature algorithm. A key has exactly one (RFC 8725 section 3.1); a token only repeats its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, signature as `r || s` (RFC 7518 section 3.4).
    Es256,
    /// Ed25519 (RFC 8032), signed as `EdDSA`.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3), for relying parties that know nothing newer.
    Rs256,
}

impl Algorithm {
    /// The JOSE name, as written into headers and key sets.
    ///
    /// Ed25519 is still written `EdDSA` (RFC 8037): RFC 9864 replaces that name by `Ed25519`, but many
    /// libraries in use do not know it yet. Once they do, the name written here changes; both are read.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Ed25519 => "EdDSA",
            Algorithm::Rs256 => "RS256",
        }
    }

    /// The algorithm of this JOSE name, in exactly this spelling. `EdDSA` and `Ed25519` are the same
    /// here, because the only Edwards curve that a key may have is Ed25519.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" | "Ed25519" => Some(Algorithm::Ed25519),
            "RS256" => Some(Algorithm::Rs256),
            _ => None,
        }
    }
}

/// What a token is for, written as its `typ` so that one kind is never taken for another
/// (RFC 8725 section 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// An access token for the API of its audience (RFC 9068).
    Access,
    /// A media token: opens locations and nothing else.
    Media,
    /// A code token: polls one link code.
    Code,
}

impl TokenType {
    /// The `typ` header value. One spelling is written and read; the `application/` form is refused.
    pub fn name(self) -> &'static str {
        match self {
            TokenType::Access => "at+jwt",
            TokenType::Media => "media+jwt",
            TokenType::Code => "code+jwt",
        }
    }
}
