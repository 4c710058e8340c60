//! From the house dialect to SQLite's: `$1` becomes `?1`.
//!
//! SQLite reads `$1` as a *name*, numbered by first appearance, so that `$2` before `$1` would swap them.

/// Rewrites the placeholders, outside strings, quoted names and comments.
pub(super) fn placeholders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '\'' | '"' => quoted(rest, c),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |at| at + 4),
            _ => 0,
        };
        if skipped > 0 {
            out.push_str(&rest[..skipped]);
            rest = &rest[skipped..];
            before = ' ';
            continue;
        }
        let after = &rest[c.len_utf8()..];
        let in_name = before.is_alphanumeric() || before == '_' || before == '$';
        let placeholder = c == '$' && !in_name && after.starts_with(|it: char| it.is_ascii_digit());
        out.push(if placeholder { '?' } else { c });
        before = c;
        rest = after;
    }
    out
}

/// The length of a quoted stretch; a doubled quote inside it reads as two stretches side by side.
fn quoted(rest: &str, quote: char) -> usize {
    rest[1..].find(quote).map_or(rest.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::placeholders;
    use proptest::prelude::*;

    #[test]
    fn placeholders_are_rewritten_only_where_they_are_ones() {
        for (given, wanted) in [
            ("SELECT $2, $1, $10", "SELECT ?2, ?1, ?10"),
            ("a = '$1' AND b = $1", "a = '$1' AND b = ?1"),
            ("a = 'it''s $1' AND b=$2", "a = 'it''s $1' AND b=?2"),
            ("\"$1\" = $1", "\"$1\" = ?1"),
            ("x -- $1 isn't\n= $1", "x -- $1 isn't\n= ?1"),
            ("x /* $1 ' */ = $1", "x /* $1 ' */ = ?1"),
            ("a$1 = $1 AND $name", "a$1 = ?1 AND $name"),
            ("'open $1", "'open $1"),
        ] {
            assert_eq!(placeholders(given), wanted);
        }
    }

    /// A stretch of SQL with what it must become.
    fn piece() -> impl Strategy<Value = (String, String)> {
        let same = |text: String| (text.clone(), text);
        prop_oneof![
            (1..40_u32).prop_map(|n| (format!("${n}"), format!("?{n}"))),
            "[a-z$0-9 é]{0,9}".prop_map(move |inner| same(format!("'{inner}'"))),
            "[a-z$0-9 é]{0,9}".prop_map(move |inner| same(format!("\"{inner}\""))),
            "[a-z$0-9 ']{0,9}".prop_map(move |inner| same(format!("/* {inner} */"))),
            "[a-z$0-9 ']{0,9}".prop_map(move |inner| same(format!("-- {inner}\n"))),
            "[a-zé=(),.<>]{1,9}".prop_map(same),
        ]
    }

    proptest! {
        #[test]
        fn every_placeholder_is_rewritten_and_nothing_else(pieces in prop::collection::vec(piece(), 0..12)) {
            let given: Vec<_> = pieces.iter().map(|it| it.0.as_str()).collect();
            let wanted: Vec<_> = pieces.iter().map(|it| it.1.as_str()).collect();
            prop_assert_eq!(placeholders(&given.join(" ")), wanted.join(" "));
        }

        #[test]
        fn any_text_keeps_its_length(text in ".*") {
            prop_assert_eq!(placeholders(&text).len(), text.len());
        }
    }
}
