//! The order of names: folders before files, letters without regard to case, numbers by their value.
//!
//! A name becomes a key of bytes, and keys are compared as bytes: the same everywhere, stable between pages
//! of a list, and fit for a cursor.

use unicode_normalization::UnicodeNormalization;

/// The key of a name. Two names of one folder never share a key.
pub fn sort_key(name: &[u8], folder: bool) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() * 2 + 8);
    key.push(u8::from(!folder));
    let text = folded(name);
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            let number = number.trim_start_matches('0');
            // A longer number is a greater one; both start with the same digit, so that numbers keep their
            // place among other characters.
            key.push(b'0');
            key.extend_from_slice(&u16::try_from(number.len()).unwrap_or(u16::MAX).to_be_bytes());
            key.extend_from_slice(number.as_bytes());
            rest = after;
        } else {
            let (one, after) = rest.split_at(c.len_utf8());
            key.extend_from_slice(one.as_bytes());
            rest = after;
        }
    }
    // The name itself decides between names that fold alike; no name holds a zero byte.
    key.push(0);
    key.extend_from_slice(name);
    key
}

/// A name without its case and with its accents apart (Unicode NFKD): what is compared and searched.
pub fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).nfkd().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut names: Vec<&str> = names.to_vec();
        names.sort_by_key(|name| sort_key(name.trim_end_matches('/').as_bytes(), name.ends_with('/')));
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_come_in_the_order_a_person_expects() {
        let order = [
            "alpha/", "Beta/", "1.mp3", "2.mp3", "10.mp3", "a.mp3", "Äb.mp3", "az.mp3", "B.mp3", "s1e2", "S1E10",
            "s2e1",
        ];
        let mut mixed = order;
        mixed.reverse();
        assert_eq!(sorted(&mixed), sorted(&order));
        assert_eq!(
            sorted(&mixed),
            [
                "alpha/", "Beta/", "1.mp3", "2.mp3", "10.mp3", "a.mp3", "az.mp3", "Äb.mp3", "B.mp3", "s1e2", "S1E10",
                "s2e1"
            ]
        );
    }

    #[test]
    fn names_that_fold_alike_keep_distinct_places() {
        assert_ne!(sort_key(b"a", false), sort_key(b"A", false));
        assert_ne!(sort_key(b"01", false), sort_key(b"1", false));
        assert_ne!(sort_key("\u{e9}".as_bytes(), false), sort_key("e\u{301}".as_bytes(), false));
        assert_ne!(sort_key(b"\xff", false), sort_key(b"\xfe", false));
    }

    proptest! {
        #[test]
        fn numbers_order_by_value(a: u64, b: u64) {
            let key = |n: u64| sort_key(format!("x{n}.mp4").as_bytes(), false);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn different_names_have_different_keys(
            a in proptest::collection::vec(1_u8.., 1..20), b in proptest::collection::vec(1_u8.., 1..20)
        ) {
            prop_assert_eq!(sort_key(&a, false) == sort_key(&b, false), a == b);
        }
    }
}
