//! Usher: one binary that logs people in, keeps them in, and shows them out everywhere at once.

pub mod accounts;
pub mod id;
pub mod media;
pub mod secret;
pub mod time;
