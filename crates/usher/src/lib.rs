//! Usher: one binary that logs people in, keeps them in, and shows them out everywhere at once.

pub mod accounts;
pub mod datadir;
pub mod id;
pub mod media;
pub mod seal;
pub mod secret;
pub mod time;
pub mod tokens;
