//! The estimator that Takeout's accounts were made under, from its published rule (go-password-validator):
//! bits = length × log2(base).
//!
//! *Base* counts the alphabets that a password draws from, each in full once it is touched. *Length* leaves
//! out what a guesser gets for free: the third and later of a repeated character, and of a
//! run along the digits, the alphabet or a row of the keyboard, in either direction.
//! Length is counted in code points.

const REPLACERS: &str = "!@$&*";
const SEPARATORS: &str = "_-., ";
const OTHER_SPECIALS: &str = "\"#%'()+/:;<=>?[\\]^{|}~";

const RUNS: [&str; 5] = ["0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz"];

/// How many bits a guesser has to guess, at most.
pub fn entropy_bits(password: &str) -> f64 {
    let length = u32::try_from(length(password)).unwrap_or(u32::MAX);
    let base = u32::try_from(base(password)).unwrap_or(u32::MAX);
    if base == 0 { 0.0 } else { f64::from(length) * f64::from(base).log2() }
}

/// How many characters an alphabet has, and which.
type Alphabet = (usize, fn(char) -> bool);

/// The sum of the alphabets in use, and one for each other character.
fn base(password: &str) -> usize {
    let classes: [Alphabet; 6] = [
        (5, |c| REPLACERS.contains(c)),
        (5, |c| SEPARATORS.contains(c)),
        (22, |c| OTHER_SPECIALS.contains(c)),
        (26, |c| c.is_ascii_lowercase()),
        (26, |c| c.is_ascii_uppercase()),
        (10, |c| c.is_ascii_digit()),
    ];
    let touched: usize = classes.iter().filter(|(_, holds)| password.chars().any(holds)).map(|(size, _)| size).sum();
    let mut others: Vec<char> = password.chars().filter(|c| !classes.iter().any(|(_, holds)| holds(*c))).collect();
    others.sort_unstable();
    others.dedup();
    touched + others.len()
}

/// The characters that a guesser does not get for free.
fn length(password: &str) -> usize {
    let mut text = thin(&password.chars().collect::<Vec<_>>(), |before, after| before == after);
    for run in RUNS {
        text = thin(&text, |before, after| follows(run, before, after));
    }
    for run in RUNS {
        text = thin(&text, |before, after| follows(run, after, before));
    }
    text.len()
}

/// Whether `after` comes right after `before` in `run`.
fn follows(run: &str, before: char, after: char) -> bool {
    run.chars().zip(run.chars().skip(1)).any(|pair| pair == (before, after))
}

/// Keeps the first two of every stretch whose neighbours are `linked`.
fn thin(text: &[char], linked: impl Fn(char, char) -> bool) -> Vec<char> {
    let mut kept = Vec::with_capacity(text.len());
    let mut stretch = 0;
    let mut before = None;
    for &c in text {
        stretch = if before.is_some_and(|b| linked(b, c)) { stretch + 1 } else { 1 };
        if stretch <= 2 {
            kept.push(c);
        }
        before = Some(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_the_sum_of_the_alphabets_touched() {
        for (password, expected) in [
            ("", 0),
            ("abcd", 26),
            ("A", 26),
            ("abcdA", 52),
            ("123", 10),
            ("!", 5),
            ("_", 5),
            ("#", 22),
            ("123ü", 11),
            ("üüü", 1),
            ("üé", 2),
            ("aA1!_#", 94),
        ] {
            assert_eq!(base(password), expected, "{password:?}");
        }
    }

    #[test]
    fn every_printable_ascii_character_but_the_backquote_has_an_alphabet() {
        let all: String = (' '..='~').filter(|c| *c != '`').collect();
        assert_eq!(base(&all), 94);
        assert_eq!(base("`"), 1);
    }

    #[test]
    fn repeats_and_runs_count_twice_at_most() {
        for (password, expected) in [
            ("", 0),
            ("aaaa", 2),
            ("11112222", 4),
            ("12121234", 6),
            ("12345678", 2),
            ("876543", 2),
            ("qwertyuiop", 2),
            ("poiuytrewq", 2),
            ("asdfghjkl", 2),
            ("abcdefxyz", 4),
            ("qwerty123456z", 5),
            // Upper case runs are not in the rule.
            ("ABCDEF", 6),
            // Every second key is no run.
            ("qeto", 4),
            ("üüüü", 2),
        ] {
            assert_eq!(length(password), expected, "{password:?}");
        }
    }

    #[test]
    fn bits_are_length_times_the_logarithm_of_the_base() {
        for (password, bits) in
            [("", 0.0), ("üüü", 0.0), ("aa", 2.0 * 26_f64.log2()), ("hunter22", 8.0 * 36_f64.log2())]
        {
            assert!((entropy_bits(password) - bits).abs() < 1e-9, "{password:?}");
        }
    }
}
