//! Accounts: who can log in, under which name, and what a password must be.
//!
//! Promises: a name that two people could confuse belongs to one account only; a password is
//! judged by how hard it is to guess and never by which characters it has; a kept password is an
//! argon2id hash, whatever form it was imported in, after its owner's next login; hashing never takes more
//! threads, memory or waiting room than it was given, and an unknown name costs what a known one costs.
//!
//! Refuses: names with invisible, bidirectional or mixed-script characters, passwords that are
//! listed, breached or longer than 1024 bytes, stored hashes whose parameters would eat the machine.

pub mod hash;
pub mod hasher;
pub mod policy;
pub mod username;
