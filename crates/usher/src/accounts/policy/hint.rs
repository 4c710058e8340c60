//! A friendly meter beside the password field. It advises; it never refuses.

use super::common::is_cheap;
use super::{MAX_BYTES, MIN_BITS, entropy_bits};
use zxcvbn::zxcvbn;

/// What the meter reads; more tells it nothing new and costs it time.
const LOOKED_AT: usize = 40;

/// A reading of the meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// 0 (guessed at once) to 4 (hard to guess).
    pub score: u8,
    /// Advice, in sentences; empty when there is none to give.
    pub advice: Vec<String>,
}

/// How hard a password is to guess for somebody who knows `context`.
pub fn strength_hint(password: &str, context: &[&str]) -> Hint {
    let bits = if password.len() > MAX_BYTES { 0.0 } else { entropy_bits(password) };
    let start: String = password.chars().take(LOOKED_AT).collect();
    if start.is_empty() || !is_cheap(&start) {
        return Hint { score: by_bits(bits), advice: Vec::new() };
    }
    let estimate = zxcvbn(&start, context);
    let advice = estimate.feedback().map_or_else(Vec::new, |feedback| {
        let warning = feedback.warning().map(|warning| warning.to_string());
        warning.into_iter().chain(feedback.suggestions().iter().map(ToString::to_string)).collect()
    });
    // The meter never promises what the rules would refuse.
    Hint { score: (estimate.score() as u8).min(by_bits(bits)), advice }
}

fn by_bits(bits: f64) -> u8 {
    let steps = [20.0, 40.0, MIN_BITS, 75.0];
    steps.iter().map(|step| u8::from(bits >= *step)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_rises_with_the_work_of_guessing() {
        assert_eq!(strength_hint("", &[]).score, 0);
        assert_eq!(strength_hint("password", &[]).score, 0);
        assert!(!strength_hint("password", &[]).advice.is_empty());
        assert_eq!(strength_hint("correct horse battery staple", &[]).score, 4);
    }

    #[test]
    fn the_meter_knows_the_names_that_a_guesser_knows() {
        let name = "brunhildethorvaldsen";
        assert!(strength_hint(name, &[name]).score < strength_hint(name, &[]).score);
    }

    #[test]
    fn the_meter_is_not_worn_out_by_symbols_or_length() {
        assert_eq!(strength_hint(&"@([{<!|$+%4863190572".repeat(40), &[]).score, 4);
        assert_eq!(strength_hint(&"a".repeat(1 << 20), &[]).score, 0);
    }
}
