//! The program: arguments and environment in, an exit code out. Everything else is in the library.

use std::process::ExitCode;

/// Long-lived servers with many small allocations fragment less with it, and the idle size stays small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any thread and any file: whatever we make is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a cryptographic provider was installed already");
    }
    usher::cli::main(std::env::args_os(), environment())
}

/// The environment, read once. A variable that is not text is none of ours.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> usher::config::Strings {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
