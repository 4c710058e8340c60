//! Passwords that everybody tries first: zxcvbn's lists (30,000 common passwords, and the common words and
//! names of English), as a whole, doubled, or two of them joined.
//!
//! The crate keeps its lists to itself, so we ask it how it would guess a text. A listed text is
//! guessed no later than at the end of its list; what is guessed sooner for another reason
//! (`qwertyqwerty`, a date) is as common as what is listed.

use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::zxcvbn;

/// The longest of its lists.
const LAST_RANK: u64 = 30_000;
/// The longest word in them has 23 characters.
const LONGEST: usize = 24;
/// Shorter texts are guessed early only because there are few of them, so they need to be in a list.
const TOO_SHORT_TO_TELL: usize = 5;
/// Two parts are tried in both orders, and the crate adds 10,000 for having two.
const LAST_PAIR: u64 = 2 * LAST_RANK * LAST_RANK + 10_000;

/// Whether the whole password, in any letter case and with any spaces around or between its halves, is on
/// the lists, once, doubled, or as a pair.
pub fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    let text: Vec<char> = folded.trim().chars().collect();
    if text.is_empty() || text.len() > 2 * LONGEST + 1 {
        return false;
    }
    let whole: String = text.iter().collect();
    // A doubled word is a pair too. One question settles nearly every good password: no pair is guessed this late. A separator
    // between the halves is a third part to the crate, so it is not asked about.
    let Some(guesses) = guesses(&whole.replace(' ', "")) else { return false };
    if guesses > LAST_PAIR {
        return false;
    }
    is_listed(&whole)
        || (1..text.len()).any(|at| {
            let (left, right): (String, String) = (text[..at].iter().collect(), text[at..].iter().collect());
            let (left, right) = (left.trim_end(), right.trim_start());
            is_listed(left) && is_listed(right)
        })
}

/// Whether a lower-case word is on one of the lists, or guessed as early as if it were.
fn is_listed(word: &str) -> bool {
    let length = word.chars().count();
    if length == 0 || length > LONGEST || !is_cheap(word) {
        return false;
    }
    let estimate = zxcvbn(word, &[]);
    if length > TOO_SHORT_TO_TELL {
        return estimate.guesses() <= LAST_RANK;
    }
    matches!(estimate.sequence(), [only] if matches!(&only.pattern, MatchPattern::Dictionary(found) if !found.reversed && !found.l33t))
}

/// How often the crate would guess before this text; nothing when asking would cost too much.
fn guesses(text: &str) -> Option<u64> {
    is_cheap(text).then(|| zxcvbn(text, &[]).guesses())
}

/// The crate tries every way of reading symbols as letters, which multiplies with each kind of symbol; a
/// text with many kinds is on no list (no listed word has two).
pub fn is_cheap(text: &str) -> bool {
    "@([{<!|$+%".chars().filter(|symbol| text.contains(*symbol)).count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_words_doubled_and_joined_are_common() {
        for password in [
            "password",
            "PASSWORD",
            "123456789",
            "12345678900987654321",
            "internationalization",
            "uncharacteristically",
            "passwordpassword",
            "monkey monkey",
            "dragonbaseball",
            "Dragon Baseball",
            "understandingmichael",
            "qwertyuiopasdfghjkl",
        ] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn listed_words_inside_a_phrase_are_not() {
        for password in [
            "",
            "correct horse battery staple",
            "my dragon ate a baseball",
            "password-vjq3-xkcd",
            "vjq3xkcd8mzp",
            "Überraschungsgäste kommen",
            "@([{<!|$+%@([{<!|$+%",
        ] {
            assert!(!is_common(password), "{password}");
        }
    }

    #[test]
    fn short_words_must_be_listed_themselves() {
        assert!(is_listed("the"));
        assert!(!is_listed("xq7v"));
    }
}
