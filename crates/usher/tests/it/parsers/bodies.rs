//! What must hold for any bytes at every parser of strangers' text: one body per parser.
//!
//! The property tests beside this file call these with bytes drawn by rule, and the fuzz targets in `fuzz/` with bytes
//! found by coverage. A body panics when its promise is broken, and so does a parser that panics by itself.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::LazyLock;
use usher::accounts::groups::GroupName;
use usher::accounts::hash::Encoded;
use usher::accounts::profile::{DisplayName, Email};
use usher::accounts::username::{self, MAX_BYTES, Username};
use usher::cli::import::{pystream, table};
use usher::config::{self, Config, Origin, Overrides, PublicUrl, Strings};
use usher::devices::code::UserCode;
use usher::http::accept::framing::Scan;
use usher::login::passcode::Passcode;
use usher::login::passkeys::RelyingParty;
use usher::login::signed::header::SignedHeader;
use usher::login::totp::Otpauth;
use usher::media::conditional::{self, Validators};
use usher::media::path::CanonicalPath;
use usher::media::probe::{self, ReadAt};
use usher::media::range::{self, Ranged};
use usher::media::token::{Token, redact};
use usher::media::{date, kind};
use usher::net::client_address;
use usher::seal::{MasterKey, Vault};
use usher::secret::{Kind, Plain};
use usher::sessions::{cookie, refresh};
use usher::takeout;
use usher::time::Time;
use usher::tokens::macs::MacRing;
use usher_verify::{KeySet, TokenType, Verifier};

/// A parser by the name of its fuzz target.
pub type Body = (&'static str, fn(&[u8]));

/// Every parser.
pub const ALL: &[Body] = &[
    ("byte_range", byte_range),
    ("conditions", conditions),
    ("config_file", config_file),
    ("config_values", config_values),
    ("cookie", session_cookie),
    ("forwarded", forwarded),
    ("hash_text", hash_text),
    ("head_framing", head_framing),
    ("http_date", http_date),
    ("import_table", import_table),
    ("import_users", import_users),
    ("jws", jws),
    ("key_set", key_set),
    ("media_path", media_path),
    ("media_token", media_token),
    ("names", names),
    ("otpauth", otpauth),
    ("passcode", passcode),
    ("playability", playability),
    ("refresh_token", refresh_token),
    ("sealed", sealed),
    ("secret", secret),
    ("signed_header", signed_header),
    ("takeout_body", takeout_body),
    ("user_code", user_code),
    ("username", a_username),
    ("webauthn_answer", webauthn_answer),
];

/// Runs the body of this name.
pub fn run(name: &str, data: &[u8]) {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no parser {name}")).1(data);
}

/// The first eight bytes as a number, and the rest.
fn sized(data: &[u8]) -> (u64, &[u8]) {
    match data.split_first_chunk::<8>() {
        Some((number, rest)) => (u64::from_le_bytes(*number), rest),
        None => (0, data),
    }
}

const NOW: Time = Time(1_767_225_600_000);

/// Whatever is asked for lies within the file.
pub fn byte_range(data: &[u8]) {
    let (size, line) = sized(data);
    for size in [size, size % 2000] {
        for line in [line.to_vec(), [b"bytes=", line].concat()] {
            if let Ranged::Single { start, end } = range::decide([line.as_slice()], size) {
                assert!(start <= end && end < size, "{start}-{end} of {size}");
            }
        }
    }
}

/// Conditions are read without a panic.
pub fn conditions(data: &[u8]) {
    let (number, line) = sized(data);
    let Ok(line) = HeaderValue::from_bytes(line) else { return };
    let names = [header::IF_NONE_MATCH, header::IF_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];
    let file = Validators::new(7, number, i128::from(number), NOW);
    for name in names {
        let _ = conditional::evaluate(&Method::GET, &HeaderMap::from_iter([(name, line.clone())]), &file, NOW);
    }
}

/// A file that is accepted is written back as one that reads the same, and never a panic.
pub fn config_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let load = |text: &str| {
        let file = config::File { path: PathBuf::from("/etc/usher/usher.toml"), text: text.to_owned() };
        Config::load(Some(&file), &Strings::new(), &Overrides::default())
    };
    if let Ok(config) = load(text) {
        let again = config.effective_toml();
        if !again.contains("***") {
            assert_eq!(load(&again).ok(), Some(config), "{again}");
        }
    }
}

/// An address or origin has one spelling.
pub fn config_values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = text.parse::<PublicUrl>() {
        assert_eq!(url.to_string().parse::<PublicUrl>().ok(), Some(url));
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert_eq!(origin.as_str().parse::<Origin>().ok(), Some(origin));
    }
}

/// A cookie that we did not make is none.
pub fn session_cookie(data: &[u8]) {
    assert!(cookie::read(&MacRing::of([7; 32]), &String::from_utf8_lossy(data)).is_none());
}

/// No field of a stranger changes whose request it is, and a trusted proxy's entry decides what a client wrote.
pub fn forwarded(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let (stranger, proxy) = (IpAddr::from([203, 0, 113, 9]), IpAddr::from([10, 0, 0, 1]));
    let trusted = ["10.0.0.0/8".parse().unwrap_or_else(|_| panic!("a network"))];
    for name in ["x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host"].map(HeaderName::from_static) {
        let mut fields = HeaderMap::from_iter([(name.clone(), value.clone())]);
        let seen = client_address(stranger, &fields, &trusted);
        assert!(seen.ip == stranger && seen.https.is_none() && seen.host.is_none(), "{name}");
        fields.append("x-forwarded-for", HeaderValue::from_static("198.51.100.7"));
        assert_eq!(client_address(proxy, &fields, &trusted).ip, Ipv4Addr::new(198, 51, 100, 7), "{name}");
    }
}

/// A stored password that is read is written as a text that reads the same.
pub fn hash_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(encoded) = Encoded::parse(text) {
        assert_eq!(Encoded::parse(&encoded.to_string()), Ok(encoded));
    }
}

/// Where the bytes are cut changes nothing, and at most one byte is spoiled.
pub fn head_framing(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let passed = |piece: usize| {
        let mut scan = Scan::default();
        let mut bytes = bytes.to_vec();
        bytes.chunks_mut(piece).for_each(|piece| scan.pass(piece));
        bytes
    };
    let whole = passed(usize::MAX);
    assert_eq!(passed(usize::from(*piece).max(1)), whole);
    assert!(whole.iter().zip(bytes).filter(|(a, b)| a != b).count() <= 1);
}

/// A date that is read is written as one that reads the same.
pub fn http_date(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(at) = date::parse(text, NOW) {
        assert_eq!(date::parse(&date::format(at), NOW), Some(at), "{text:?}");
    }
}

/// A table of users is read or refused.
pub fn import_table(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for format in [table::Format::Csv, table::Format::Json] {
        let _ = table::read(text, format, &table::Asked::default());
    }
}

/// A map of users is read or refused.
pub fn import_users(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = pystream::read(text);
    }
}

/// The keys of RFC 8037 and RFC 7517, of which no bytes that are found by chance hold a signature.
const PUBLIC_KEYS: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","kid":"p","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
]}"#;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let keys = KeySet::from_jwks(PUBLIC_KEYS).unwrap_or_else(|error| panic!("{error}"));
    Verifier::new(keys, "https://usher.example", "usher")
});

/// A token that nobody signed is refused.
pub fn jws(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for kind in [TokenType::Access, TokenType::Media] {
        assert!(VERIFIER.verify(&text, kind, NOW.seconds()).is_err());
    }
}

/// A key set that is read is written as one that reads the same.
pub fn key_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(keys) = KeySet::from_jwks(text) {
        let written = keys.to_jwks();
        assert_eq!(KeySet::from_jwks(&written).map(|again| again.to_jwks()).ok(), Some(written));
    }
}

/// A path that is read holds nothing that climbs, and has one spelling.
pub fn media_path(data: &[u8]) {
    let Ok(path) = CanonicalPath::decode(data) else { return };
    for segment in path.segments() {
        assert!(!segment.is_empty() && segment != b"." && segment != b"..");
        assert!(!segment.contains(&0) && !segment.contains(&b'/'));
    }
    assert!(!path.as_bytes().starts_with(b"/") && !path.as_bytes().ends_with(b"/"));
    assert_eq!(CanonicalPath::decode(path.encode().as_bytes()), Ok(path));
}

/// A token's text is read, and left out of what is logged.
pub fn media_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if Token::parse(&text).is_ok() {
        assert!(!redact(&format!("/m/{text}/film.mp4")).contains(&text[60..]));
    }
    let _ = redact(&text);
}

/// Names of groups, display names and addresses: what is taken is taken again as it was.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = GroupName::parse(&text) {
        assert_eq!(GroupName::parse(name.display()).as_ref(), Ok(&name));
    }
    if let Ok(Some(name)) = DisplayName::parse(&text) {
        assert_eq!(DisplayName::parse(name.text()), Ok(Some(name)));
    }
    if let Ok(email) = Email::parse(&text) {
        assert!(!email.display().contains(char::is_whitespace) && !email.display().contains(char::is_control));
        assert_eq!(Email::parse(email.display()), Ok(email));
    }
}

/// A file's bytes, counting what is asked of it.
struct Counted<'a>(&'a [u8], Cell<(usize, usize)>);

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let (reads, bytes) = self.1.get();
        self.1.set((reads + 1, bytes + buffer.len()));
        self.0.read_at(buffer, offset)
    }
}

/// A file that claims to be a film costs bounded reads, whatever it holds, and is never shown as a page.
pub fn playability(data: &[u8]) {
    let (size, file) = sized(data);
    for magic in [&b""[..], b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp"] {
        let file = [magic, file].concat();
        let counted = Counted(&file, Cell::new((0, 0)));
        let _ = probe::probe(&counted, size, b"x.mp4");
        let (reads, bytes) = counted.1.get();
        assert!(reads <= probe::MAX_READS && bytes <= probe::MAX_BYTES, "{reads} reads, {bytes} bytes");
        let found = kind::of(b"x", &file);
        assert!(!(found.inline && (found.mime.contains("html") || found.mime.contains("svg"))));
    }
}

/// A refresh token that we did not make is none.
pub fn refresh_token(data: &[u8]) {
    assert!(refresh::read(&MacRing::of([7; 32]), ["shop"], &String::from_utf8_lossy(data)).is_none());
}

/// A text that we did not seal is not opened.
pub fn sealed(data: &[u8]) {
    let vault = Vault::new(&MasterKey::from_bytes([1; 32]));
    assert!(vault.open("keys", "k", &String::from_utf8_lossy(data)).is_err());
}

/// A secret's text is what it was read from, and belongs to one kind.
pub fn secret(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let kinds = Kind::ALL.into_iter().filter(|kind| Plain::parse(*kind, &text).is_ok());
    for kind in kinds {
        assert_eq!(Kind::of(&text), Some(kind));
    }
}

/// A secret that is taken over has the same codes wherever it is written to again.
pub fn otpauth(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(told) = Otpauth::parse(text) {
        let again = Otpauth::parse(&told.address()).unwrap();
        assert!(told.secret == again.secret && told.shape == again.shape, "{text}");
    }
}

/// What is typed is digits of a known length, or a recovery code that reads back as itself.
pub fn passcode(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Passcode::parse(&text) {
        None => {}
        Some(Passcode::Digits(digits)) => {
            assert!([6, 8].contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit()), "{text}");
        }
        Some(Passcode::Recovery(code)) => {
            assert_eq!(Passcode::parse(&code.expose()), Some(Passcode::Recovery(code)), "{text}");
        }
    }
}

/// A name that is taken has bounds, and is found by what was typed.
pub fn a_username(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = Username::parse(&text) {
        assert!(name.key().len() <= MAX_BYTES && name.display().len() <= MAX_BYTES);
        assert_eq!(username::lookup_key(&text).as_deref(), Some(name.key()));
        assert_eq!(Username::parse(name.display()).as_ref(), Ok(&name));
    }
}

/// A signed header names three people at most, and is signed with nothing that nobody signed with.
pub fn signed_header(data: &[u8]) {
    let zeros = [b'0'; 128];
    let whole = [data, b",", &zeros, b",1767225600"].concat();
    let mut values = vec![String::from_utf8_lossy(data).into_owned()];
    values.extend([data, &whole].map(|inside| STANDARD.encode(inside)));
    values.push(format!("Bearer {}", STANDARD.encode(&whole)));
    for value in values {
        if let Ok(header) = SignedHeader::parse(&value) {
            assert!(header.names().len() <= 3, "{value}");
            assert!(!header.signed_with("a secret of nobody"), "{value}");
        }
    }
}

/// What is no object of texts is no body, and a name finds one text whatever the case of its letters.
pub fn takeout_body(data: &[u8]) {
    if let Ok(body) = takeout::Body::parse(data) {
        assert_eq!(body.text("User"), body.text("USER"));
        let _ = (body.text("Pass"), body.text("Code"));
    }
    let text = String::from_utf8_lossy(data);
    assert!(takeout::folded(&text).len() <= text.len() && takeout::bearer(&text).len() <= text.len());
}

/// A short code has one spelling, in which it is read back; nothing else is one.
pub fn user_code(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(code) = UserCode::parse(&text) {
        assert!(matches!(code.as_str().len(), 6 | 8) && code.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(UserCode::parse(&code.shown()), Some(code.clone()));
        assert_eq!(UserCode::parse(&code.as_str().to_lowercase()), Some(code));
    }
}

/// A passkey as its row keeps it.
const PASSKEY: &str = r#"{"cred":{"cred_id":"AAAA","cred":{"type_":"ES256","key":{"EC_EC2":{"curve":"SECP256R1",
    "x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}}},"counter":0,"transports":null,
    "user_verified":true,"backup_eligible":false,"backup_state":false,"registration_policy":"required",
    "extensions":{},"attestation":{"data":"None","metadata":"None"},"attestation_format":"none"}}"#;

/// No bytes are a browser's answer to a question that it was not asked, whichever part of an answer they stand in.
pub fn webauthn_answer(data: &[u8]) {
    static PARTY: LazyLock<RelyingParty> = LazyLock::new(|| {
        RelyingParty::of(&Config::default()).unwrap_or_else(|| panic!("this machine's own name is one"))
    });
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let client =
        |kind: &str| format!("{{\"type\":\"webauthn.{kind}\",\"challenge\":\"AAAA\",\"origin\":\"http://localhost\"}}");
    let answer = |response: String| {
        let id = "\"id\":\"AAAA\",\"rawId\":\"AAAA\",\"type\":\"public-key\"";
        format!("{{{id},\"response\":{{{response}}}}}").into_bytes()
    };
    let made = |object: &[u8], client: &[u8]| {
        answer(format!("\"attestationObject\":\"{}\",\"clientDataJSON\":\"{}\"", text(object), text(client)))
    };
    let given = |authenticator: &[u8], client: &[u8]| {
        let (authenticator, client) = (text(authenticator), text(client));
        answer(format!(
            "\"authenticatorData\":\"{authenticator}\",\"clientDataJSON\":\"{client}\",\"signature\":\"AAAA\""
        ))
    };
    let answers = [
        data.to_vec(),
        made(data, client("create").as_bytes()),
        made(&[], data),
        given(data, client("get").as_bytes()),
        given(&[], data),
    ];
    for answer in answers {
        let taken = PARTY.takes_unasked(&answer, PASSKEY).unwrap_or_else(|why| panic!("no passkey: {why}"));
        assert!(!taken);
    }
}
