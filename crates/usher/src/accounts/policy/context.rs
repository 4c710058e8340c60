//! Words that a guesser knows beforehand: the account's own names and the service's.

use std::collections::BTreeSet;

/// Shorter words are in half of all good passwords.
const SHORTEST: usize = 4;
/// What must be left when the known words are taken out.
const ENOUGH: usize = 8;

/// Whether a password is one of the words of `context` and little else.
///
/// An address or a name counts as a whole and in its parts, in any letter case; what is left of the
/// password without them, leaving out spaces and punctuation, must be [`ENOUGH`] characters.
pub fn is_made_of(password: &str, context: &[&str]) -> bool {
    let mut rest = password.to_lowercase();
    let mut met = false;
    for word in words(context) {
        if rest.contains(&word) {
            met = true;
            rest = rest.replace(&word, "\n");
        }
    }
    met && rest.chars().filter(|c| c.is_alphanumeric()).count() < ENOUGH
}

/// Every word worth looking for, the longest first, so that a whole is taken out before its parts.
fn words(context: &[&str]) -> Vec<String> {
    let mut all = BTreeSet::new();
    for text in context {
        let text = text.to_lowercase();
        all.extend(text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        all.insert(text);
    }
    let mut words: Vec<String> = all.into_iter().filter(|word| word.chars().count() >= SHORTEST).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: [&str; 3] = ["alice.miller@films.example", "Usher", "Al"];

    #[test]
    fn names_with_little_around_them_are_refused() {
        for password in [
            "alice.miller@films.example",
            "Alice Miller 2026!",
            "usherusherusher",
            "--Usher--1234567--",
            "ALICEalice1987",
        ] {
            assert!(is_made_of(password, &CONTEXT), "{password}");
        }
    }

    #[test]
    fn names_inside_something_longer_are_not() {
        for password in ["alice likes riding trams", "al al al al al al", "vjq3xkcd8mzp", ""] {
            assert!(!is_made_of(password, &CONTEXT), "{password}");
        }
        assert!(!is_made_of("usher", &[]));
        assert!(!is_made_of("vjq3", &["", " "]));
    }
}
