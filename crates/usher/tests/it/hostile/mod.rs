//! Clients that mean harm, over real sockets against the real accept loop.
//!
//! Every attempt has one stated answer, and the server is as good as new afterwards. Each table is written out, so that
//! it says what we do where the standards leave a choice: refuse.

mod frames;
mod h2;
mod heads;
mod proxied;
mod slow;
