//! The built program as its owner meets it: started, refused, asked, killed, copied and restored.
//!
//! Every test has a folder and ports of its own. A server is waited for by the line that says it is ready.

mod accounts;
mod apply;
mod backup;
mod crash;
mod demo;
mod disk;
mod ending;
mod import;
mod lan;
mod migration;
mod nodes;
mod packaged;
mod refusals;
mod start;
mod strain;
