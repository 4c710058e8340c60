//! Clients that refresh: each answer's token is the next request's, and each is on the disk before it is sent.

use crate::http::{self, Answer};
use crate::load::Work;
use std::collections::VecDeque;

/// The tokens of one connection, which take turns.
pub struct Refreshing {
    tokens: VecDeque<String>,
    /// Refreshes that were refused.
    pub refused: u64,
}

/// Deals `tokens` out to `connections`.
pub fn deal(tokens: &[String], connections: usize) -> Vec<Refreshing> {
    let share = |number| tokens.iter().skip(number).step_by(connections).cloned().collect::<VecDeque<_>>();
    let dealt = (0..connections).map(|number| Refreshing { tokens: share(number), refused: 0 });
    dealt.filter(|one| !one.tokens.is_empty()).collect()
}

/// The token in an answer. Its characters need no unescaping.
fn next_token(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(r#""refresh_token":""#)?;
    rest.split_once('"').map(|(token, _)| token.to_owned())
}

impl Work for Refreshing {
    fn next(&mut self, out: &mut Vec<u8>) {
        let token = self.tokens.front().map(String::as_str).unwrap_or_default();
        out.extend(http::post("/api/v1/refresh", "", &format!(r#"{{"refresh_token":"{token}"}}"#)));
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        let before = self.tokens.pop_front();
        let next = if answer.status == 200 { next_token(answer.body) } else { None };
        self.refused += u64::from(next.is_none());
        self.tokens.extend(next.or(before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_token_is_asked_with_next() {
        let mut dealt = deal(&["usr_a".to_owned(), "usr_b".to_owned()], 1);
        let one = &mut dealt[0];
        one.judge(&Answer { status: 200, body: br#"{"access_token":"x","refresh_token":"usr_c","expires_in":600}"# });
        one.judge(&Answer { status: 503, body: b"{}" });
        assert_eq!((one.tokens.make_contiguous(), one.refused), (&mut ["usr_c".to_owned(), "usr_b".to_owned()][..], 1));
    }
}
