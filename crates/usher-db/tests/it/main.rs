//! `usher-db` on real files.
mod files;
mod fruits;
mod support;
mod writes;
