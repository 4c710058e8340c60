//! The last refusals, each with its exact reason, for whoever is asked "why was I not let in?".
//!
//! A client is told little, so that a guesser learns nothing. What is kept here is told to admins alone, under the id
//! that stands on the answer and in the log. It lives in memory: a bounded number, the oldest goes first, and a
//! restart forgets it; what has to be kept is an event.

use crate::time::Time;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Refusals that are kept.
pub const KEPT: usize = 2_048;
/// Characters of one text that are kept: with [`KEPT`], the bound of the whole.
const LONGEST: usize = 200;

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Refused {
    /// The request's id, as on its answer and in the log.
    pub request: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// The method and the route: never the address itself, which may hold a secret.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
    /// The code of the answer.
    pub code: String,
    /// What the client was told.
    pub told: String,
    /// The exact reason, where there is more to say.
    pub why: Option<String>,
    /// The client's address.
    pub address: String,
}

/// The last refusals, in a ring.
#[derive(Default)]
pub struct Refusals(Mutex<VecDeque<Refused>>);

impl Refusals {
    /// Keeps one more; the oldest makes room.
    pub fn note(&self, mut refused: Refused) {
        for text in [&mut refused.route, &mut refused.told].into_iter().chain(refused.why.as_mut()) {
            if let Some((end, _)) = text.char_indices().nth(LONGEST) {
                text.truncate(end);
            }
        }
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(refused);
    }

    /// The refusals of a request: one, where it is still known.
    pub fn of(&self, request: &str) -> Option<Refused> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().find(|refused| refused.request == request).cloned()
    }

    /// The latest ones, newest first.
    pub fn latest(&self, most: usize) -> Vec<Refused> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(request: usize) -> Refused {
        Refused {
            request: request.to_string(),
            at: Time(0),
            route: "POST /login".to_owned(),
            status: 401,
            code: "invalid_credentials".to_owned(),
            told: "é".repeat(LONGEST * 2),
            why: Some("x".repeat(LONGEST * 2)),
            address: "192.0.2.1".to_owned(),
        }
    }

    #[test]
    fn the_oldest_makes_room_and_no_text_is_longer_than_its_bound() {
        let ring = Refusals::default();
        for request in 0..=KEPT {
            ring.note(refused(request));
        }
        assert_eq!(ring.of("0"), None);
        let last = ring.of(&KEPT.to_string());
        assert!(last.is_some_and(
            |last| last.told.chars().count() == LONGEST && last.why.is_some_and(|why| why.len() == LONGEST)
        ));
        let latest: Vec<String> = ring.latest(2).into_iter().map(|refused| refused.request).collect();
        assert_eq!(latest, [KEPT.to_string(), (KEPT - 1).to_string()]);
        assert_eq!(ring.latest(KEPT * 2).len(), KEPT);
    }
}
