//! The short code that a person reads from one screen and types at another.
//!
//! Two alphabets: the twenty consonants of RFC 8628 section 6.1, in which no word is spelled, and the older one of
//! Takeout's apps. What is typed is read as people type: in any case, with dashes and spaces anywhere.

use crate::secret::Rng;

/// Which letters a code is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Eight of twenty consonants: 34.5 bits.
    Consonants,
    /// Six of 33 digits and letters, as Takeout's apps show: 30.3 bits.
    Takeout,
}

impl Alphabet {
    const ALL: [Alphabet; 2] = [Alphabet::Consonants, Alphabet::Takeout];

    /// The letters.
    pub fn letters(self) -> &'static [u8] {
        match self {
            Alphabet::Consonants => b"BCDFGHJKLMNPQRSTVWXZ",
            Alphabet::Takeout => b"123456789ABCDEFGHIKLMNPQRSTUVWXYZ",
        }
    }

    /// How many of them make a code.
    pub fn length(self) -> usize {
        match self {
            Alphabet::Consonants => 8,
            Alphabet::Takeout => 6,
        }
    }
}

/// A short code in its one spelling: capitals, no dash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserCode(String);

impl UserCode {
    /// A fresh one. Every code of the alphabet is as likely as every other.
    pub fn draw(alphabet: Alphabet, rng: &Rng) -> UserCode {
        let letters = alphabet.letters();
        // Bytes beyond the last whole multiple would favor the first letters, and are drawn again.
        let even = 256 - 256 % letters.len();
        let mut code = String::with_capacity(alphabet.length());
        while code.len() < alphabet.length() {
            let fresh: [u8; 16] = rng.bytes();
            let usable = fresh.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < even);
            let room = alphabet.length() - code.len();
            code.extend(usable.take(room).map(|byte| char::from(letters[byte % letters.len()])));
        }
        UserCode(code)
    }

    /// Reads what somebody typed; `None` when it can be no code of ours.
    pub fn parse(text: &str) -> Option<UserCode> {
        if text.len() > 64 {
            return None;
        }
        let between = |c: &char| c.is_whitespace() || matches!(c, '-' | '‐' | '‑' | '–' | '.' | '_');
        let code: String = text.chars().filter(|c| !between(c)).map(|c| c.to_ascii_uppercase()).collect();
        let fits = |alphabet: &Alphabet| {
            code.len() == alphabet.length() && code.bytes().all(|byte| alphabet.letters().contains(&byte))
        };
        Alphabet::ALL.iter().any(fits).then_some(UserCode(code))
    }

    /// The one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is shown: eight letters in two groups.
    pub fn shown(&self) -> String {
        match self.0.split_at_checked(4) {
            Some((first, second)) if second.len() == 4 => format!("{first}-{second}"),
            _ => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_alphabets_are_the_published_ones() {
        let [consonants, takeout] = Alphabet::ALL.map(Alphabet::letters);
        assert_eq!((consonants.len(), takeout.len()), (20, 33));
        assert!(!consonants.iter().any(|letter| b"AEIOUY0123456789".contains(letter)));
        assert!(!takeout.iter().any(|letter| b"0JO".contains(letter)));
        for letters in [consonants, takeout] {
            assert!(letters.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order");
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = UserCode("WDJBMJHT".to_owned());
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W-D-J-B-M-J-H-T", "wdjb–mjht", "WDJB.MJHT"] {
            assert_eq!(UserCode::parse(typed).as_ref(), Some(&code), "{typed:?}");
        }
        assert_eq!(code.shown(), "WDJB-MJHT");
        assert_eq!(UserCode::parse("a1b2c3").map(|code| code.shown()).as_deref(), Some("A1B2C3"));
        for no_code in
            ["", "WDJB-MJH", "WDJB-MJHTX", "AEIO-UYAE", "A1B2C", "A1B2C0", "A1B2CJ", "WDJB/MJHT", "ＷDJBMJHT"]
        {
            assert_eq!(UserCode::parse(no_code), None, "{no_code:?}");
        }
    }

    #[test]
    fn every_letter_is_drawn_about_as_often_as_every_other() {
        let rng = Rng::seeded(11);
        for alphabet in Alphabet::ALL {
            let mut seen: BTreeMap<u8, usize> = BTreeMap::new();
            for _ in 0..4_000 {
                UserCode::draw(alphabet, &rng).0.bytes().for_each(|letter| *seen.entry(letter).or_default() += 1);
            }
            assert_eq!(seen.keys().copied().collect::<Vec<u8>>(), alphabet.letters());
            let mean = 4_000 * alphabet.length() / alphabet.letters().len();
            assert!(seen.values().all(|count| count.abs_diff(mean) < mean / 5), "{seen:?} around {mean}");
        }
    }

    proptest! {
        #[test]
        fn what_was_drawn_is_read_back_from_any_writing_of_it(seed in any::<u64>(), dashes in "[- ]{0,4}", lower in any::<bool>()) {
            for alphabet in Alphabet::ALL {
                let code = UserCode::draw(alphabet, &Rng::seeded(seed));
                let shown = code.shown();
                let (first, rest) = shown.split_at(2);
                let typed = format!("{first}{dashes}{rest}{dashes}");
                let typed = if lower { typed.to_lowercase() } else { typed };
                prop_assert_eq!(UserCode::parse(&typed), Some(code));
            }
        }

        #[test]
        fn any_text_is_read_without_panic_and_a_reading_reads_back(text in ".{0,80}") {
            if let Some(code) = UserCode::parse(&text) {
                prop_assert_eq!(UserCode::parse(&code.shown()), Some(code.clone()));
                prop_assert_eq!(UserCode::parse(code.as_str()), Some(code));
            }
        }
    }
}
