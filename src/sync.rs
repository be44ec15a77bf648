//! The only door to atomics, locks and cells whose interleaving matters.
//!
//! In a model build (`--cfg kiba_loom`) the same names are loom's, so that the models in `loom-tests/` run the
//! real types.
#[cfg(kiba_loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(kiba_loom))]
pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
