//! The gate from outside: who gets in, with what, where, and who does not.

pub mod kit;
mod matrix;
mod stolen;
