//! The load driver and the bare-server yardstick.
//!
//! It promises numbers that can be made again: the server on one core and the driver on another, a bare server
//! measured in alternation in the same run, medians over rounds, processor time from the kernel's own accounts, and
//! every answer judged, so that a server that admits whom it should refuse is never merely fast.
//! It refuses to be a test: it asserts no duration, and a busy machine makes its numbers worthless, not red.

mod all;
mod clock;
mod cores;
mod gate;
mod hello;
mod http;
mod load;
mod login;
mod machine;
mod memory;
mod nginx;
mod nodes;
mod place;
mod prepare;
mod process;
mod ranges;
mod refresh;
mod report;
mod rng;
mod scale;
mod settings;
mod soak;
mod start;
mod stats;
mod stock;
mod tls;
mod whole;
mod workshop;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

/// The server's allocator, so that both yardsticks and the server stand on the same ground.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A result whose failure is told to a person.
type Told<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measures Usher against a bare server, a bare hash and, where it is installed, nginx.
#[derive(Debug, Parser)]
#[command(name = "usher-bench", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Measure everything and print a table for BENCHMARKS.md
    All(all::Arguments),
    /// Serve "Hello, World!" and nothing else: the yardstick
    Hello(hello::Arguments),
    /// Measure SQLite, and PostgreSQL with one node and with two
    Nodes(nodes::Arguments),
    /// Load a server for many minutes with everything at once, and say how it grows
    Soak(soak::Arguments),
    /// Fill a new installation with accounts and live sessions, and write credentials of some of them to a file
    Prepare(prepare::Arguments),
}

fn main() -> ExitCode {
    // Data directories are for their owner alone, and so are files with credentials.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match run(Cli::parse().act) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(act: Act) -> Told<()> {
    // The driver is one thread: it must not take more of a machine than the core it is given.
    let driver = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let server = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match act {
        Act::All(arguments) => driver()?.block_on(all::run(arguments)),
        Act::Hello(arguments) => server()?.block_on(hello::run(arguments)),
        Act::Nodes(arguments) => driver()?.block_on(nodes::run(arguments)),
        Act::Soak(arguments) => driver()?.block_on(soak::run(arguments)),
        Act::Prepare(arguments) => server()?.block_on(prepare::run(arguments)),
    }
}
