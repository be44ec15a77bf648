//! The measuring instrument's own tests: a bench without a harness cannot run them.

#[path = "../benches/harness/mod.rs"]
mod harness;
