//! What holds for every engine: both agree with a plain model, and clients that race see whole commands only.

#[path = "../support/mod.rs"]
mod support;

mod concurrency;
mod ended;
mod model;
mod property;
mod shutdown;
