//! Pages in a real Chromium. The harness itself comes first: a test is worth what it stands on.

mod admin;
mod everybody;
mod factors;
mod harness;
mod journey;
mod library;
mod mail;
mod person;
mod television;
