//! What a caller sees of a bucket: addresses of its entries, and how they are asked for.

use super::kind::Kind;
use super::path::{CanonicalPath, PathError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters of a query value that need no escape; the rest is escaped, `+` and `&` above all.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The page of an entry. A folder's ends in a slash.
pub fn page(bucket: &str, path: &CanonicalPath) -> String {
    format!("/library/{}/{}", utf8_percent_encode(bucket, PLAIN), path.encode())
}

/// Where the player gets a fresh media URL of a file.
pub fn renewal(bucket: &str, path: &CanonicalPath) -> String {
    format!("/renew/{}/{}", utf8_percent_encode(bucket, PLAIN), path.encode())
}

/// The list of one entry by which another player on this device opens a file.
pub fn playlist(bucket: &str, path: &CanonicalPath) -> String {
    format!("/playlist/{}/{}", utf8_percent_encode(bucket, PLAIN), path.encode())
}

/// The API's list of a folder.
pub fn entries(bucket: &str, folder: &CanonicalPath) -> String {
    format!("/api/v1/buckets/{}/entries?path={}", utf8_percent_encode(bucket, PLAIN), folder.encode())
}

/// The bucket and the path that a request target names after `prefix`, from the target as it was sent: names
/// of files are bytes, and need not be text. No path at all is the bucket's root without its slash.
pub fn target<'a>(target: &'a str, prefix: &str) -> Result<(&'a str, Option<CanonicalPath>), PathError> {
    let rest = target.strip_prefix(prefix).ok_or(PathError::Bad)?;
    // Names of buckets are plain ASCII, so that a name with an escape in it is no bucket's.
    match rest.split_once('/') {
        Some((bucket, path)) => Ok((bucket, Some(CanonicalPath::decode(path.as_bytes())?))),
        None => Ok((rest, None)),
    }
}

/// The path in the field `path` of a query string, as bytes; the root when there is none.
pub fn path_field(query: &str) -> Result<CanonicalPath, PathError> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("path=")).unwrap_or_default();
    let spaced = value.replace('+', " ");
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
    CanonicalPath::from_bytes(&bytes).map(|path| path.as_folder(true))
}

/// The word for a kind in answers.
pub fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
        Kind::Picture => "picture",
        Kind::Text => "text",
        Kind::Pdf => "pdf",
        Kind::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    #[test]
    fn an_entry_s_address_leads_back_to_its_bytes() {
        let path = CanonicalPath::from_bytes(b"a b/\xff&+?.mkv").unwrap();
        let page = page("films", &path);
        assert_eq!(page, "/library/films/a%20b/%FF%26%2B%3F.mkv");
        assert_eq!(target(&page, "/library/"), Ok(("films", Some(path.clone()))));
        let folder = path.as_folder(true);
        let link = entries("films", &folder);
        assert_eq!(path_field(link.split_once('?').unwrap().1), Ok(folder));
    }

    #[test]
    fn a_path_field_may_be_written_as_forms_write_it() {
        let field = |query: &str| path_field(query).map(|path| path.as_bytes().to_vec());
        assert_eq!(field("limit=2&path=Season+1%2FExtras&q="), Ok(b"Season 1/Extras".to_vec()));
        assert_eq!(field("path=a/b/"), Ok(b"a/b".to_vec()));
        assert_eq!(field("q=x"), Ok(Vec::new()));
        for bad in ["path=../x", "path=a//b", "path=/etc", "path=%2e%2e", "path=a%00"] {
            assert_eq!(field(bad), Err(PathError::Bad), "{bad}");
        }
    }

    #[test]
    fn a_bucket_without_a_slash_is_told_from_its_root() {
        assert_eq!(target("/library/films", "/library/"), Ok(("films", None)));
        assert_eq!(target("/library/films/", "/library/"), Ok(("films", Some(CanonicalPath::root()))));
        assert_eq!(target("/library/films/%2e%2e/x", "/library/"), Err(PathError::Bad));
    }
}
