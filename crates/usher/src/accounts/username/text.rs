//! What Unicode has to say about names: folding, skeletons, and which characters a name may have.

use super::UsernameError;
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;
use unicode_security::GeneralSecurityProfile;

/// UTS 39 section 5.4: more marks than this on one letter are decoration, and hide what is under them.
const MAX_MARKS: usize = 4;

/// NFKC and case folding until nothing changes, so that folding a key gives the same key.
///
/// Folding is upper case, then lower case, letter by letter: it joins what either mapping alone keeps
/// apart (`ß`/`SS`, `ς`/`Σ`/`σ`, `ſ`/`s`) and does not depend on where in the word a letter stands.
pub fn fold(text: &str) -> String {
    settle(text.to_owned(), |text| {
        text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
    })
}

/// The look of `display` (UTS 39 section 4), the same for every letter case that looks the same.
pub fn skeleton(display: &str) -> String {
    settle(display.to_owned(), |text| fold(&unicode_security::skeleton(text).collect::<String>()))
}

/// Applies `step` until it changes nothing. Unicode's mappings settle in two or three rounds.
fn settle(mut text: String, step: impl Fn(&str) -> String) -> String {
    for _ in 0..8 {
        let next = step(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Controls, and characters that are drawn as nothing or steer how others are drawn
/// (`Default_Ignorable_Code_Point`, the bidirectional controls, and spaces that are not the space bar's).
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ' && c != '\u{3000}')
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Single spaces between words, none at the ends.
pub fn check_spaces(text: &str) -> Result<(), UsernameError> {
    if text.starts_with(' ') || text.ends_with(' ') || text.contains("  ") {
        return Err(UsernameError::Spaces);
    }
    Ok(())
}

/// Letters, marks, digits and printable ASCII, marks only on something and not in heaps.
pub fn check_characters(text: &str) -> Result<(), UsernameError> {
    let mut marks = 0;
    let mut bare = true;
    for c in text.chars() {
        if is_invisible(c) {
            return Err(UsernameError::Invisible);
        }
        if c.is_ascii() {
            (marks, bare) = (0, c == ' ');
            continue;
        }
        if !c.identifier_allowed() || !is_letter_or_digit(c) {
            return Err(UsernameError::Character(c));
        }
        if is_mark(c) {
            marks += 1;
            if bare || marks > MAX_MARKS {
                return Err(UsernameError::Character(c));
            }
        } else {
            (marks, bare) = (0, false);
        }
    }
    Ok(())
}

/// RFC 5893 section 2, rules 1 to 3 and 6, for names: right-to-left text stands in one run, so that
/// the order on the screen is the order in the database.
pub fn check_direction(text: &str) -> Result<(), UsernameError> {
    if !text.chars().any(is_right_to_left) {
        return Ok(());
    }
    let first = text.chars().next();
    let last = text.chars().rev().find(|c| !is_mark(*c));
    let begins = first.is_some_and(is_right_to_left);
    let ends = last.is_some_and(|c| is_right_to_left(c) || c.is_numeric());
    if begins && ends && !text.contains(|c: char| c.is_ascii_alphabetic()) {
        return Ok(());
    }
    Err(UsernameError::Direction)
}

/// RFC 8264 section 9.1, `LetterDigits`.
fn is_letter_or_digit(c: char) -> bool {
    use GeneralCategory::{
        DecimalNumber, LowercaseLetter, ModifierLetter, NonspacingMark, OtherLetter, SpacingMark, UppercaseLetter,
    };
    matches!(
        get_general_category(c),
        LowercaseLetter | UppercaseLetter | OtherLetter | DecimalNumber | ModifierLetter | NonspacingMark | SpacingMark
    )
}

fn is_mark(c: char) -> bool {
    matches!(get_general_category(c), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// The blocks that Unicode sets aside for right-to-left scripts.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}'
        | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
        && !is_mark(c)
        && !c.is_numeric()
}
