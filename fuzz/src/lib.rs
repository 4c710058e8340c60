//! The bodies of the fuzz targets: those of the property tests.
#[path = "../../crates/usher/tests/it/parsers/bodies.rs"]
pub mod bodies;
