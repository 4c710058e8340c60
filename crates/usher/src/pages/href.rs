//! Addresses of pages about files, whose names may hold any character.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters of RFC 3986 that need no escape inside a path segment or a query value. Everything
/// else is escaped, `;`, `+` and `'` too: they are legal, and some reader somewhere takes them for more.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of a folder or file: `path` is relative to the bucket, its parts joined by `/`; empty is the
/// bucket itself.
pub fn library(bucket: &str, path: &str) -> String {
    let mut href = format!("/library/{}", utf8_percent_encode(bucket, PLAIN));
    for part in path.split('/').filter(|part| !part.is_empty()) {
        href.push('/');
        href.extend(utf8_percent_encode(part, PLAIN));
    }
    href
}

/// `page` with these query fields; the empty ones are left out.
pub fn query(page: &str, fields: &[(&str, &str)]) -> String {
    let mut href = page.to_owned();
    let mut mark = '?';
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        href.push(mark);
        href.push_str(name);
        href.push('=');
        href.extend(utf8_percent_encode(value, PLAIN));
        mark = '&';
    }
    href
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_cannot_change_the_address() {
        assert_eq!(library("Films", ""), "/library/Films");
        assert_eq!(
            library("Films", "Öl & Wasser/100% ?#.mkv"),
            "/library/Films/%C3%96l%20%26%20Wasser/100%25%20%3F%23.mkv"
        );
        assert_eq!(library("a/b", "c;d\\e"), "/library/a%2Fb/c%3Bd%5Ce");
    }

    #[test]
    fn empty_query_fields_are_left_out() {
        assert_eq!(
            query("/admin/audit", &[("event", ""), ("account", "a&b"), ("after", "9")]),
            "/admin/audit?account=a%26b&after=9"
        );
        assert_eq!(query("/admin/audit", &[("event", "")]), "/admin/audit");
    }
}
