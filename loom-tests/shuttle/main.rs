//! Shuttle's models: the same types as loom's, with more threads, and schedules by chance.
#![cfg(kiba_shuttle)]

mod aside;
mod chance;
mod channel;
mod expiry;
mod fanout;
mod hot;
mod locks;
mod small;
mod wait;
mod watch;
