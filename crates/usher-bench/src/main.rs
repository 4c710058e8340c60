//! The load driver and the bare-server yardstick.

fn main() {}
