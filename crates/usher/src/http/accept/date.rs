//! The `Date` field (RFC 9110 section 6.6.1), written anew once a second.

use crate::media::date;
use crate::time::{Clock, Time};
use std::cell::RefCell;

thread_local! {
    static LAST: RefCell<(i64, Vec<u8>)> = const { RefCell::new((i64::MIN, Vec::new())) };
}

/// Puts the field of this second behind the others.
pub(super) fn write(out: &mut Vec<u8>) {
    let second = Clock::System.now().seconds();
    LAST.with_borrow_mut(|(at, line)| {
        if *at != second {
            *line = format!("date: {}\r\n", date::format(Time::from_seconds(second))).into_bytes();
            *at = second;
        }
        out.extend_from_slice(line);
    });
}
