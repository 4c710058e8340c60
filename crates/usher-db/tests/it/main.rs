//! `usher-db` on real files, and on a real PostgreSQL server where a run names one.
mod engine;
mod files;
mod fruits;
mod nodes;
mod support;
mod wire;
mod writes;
