//! The network: listeners, connections and their buffers. It has never heard of lists and sets.

mod connection;
mod elastic;
mod listener;
mod pool;
mod runtime;
mod stream;

pub use connection::{Connection, Ended};
pub use listener::Listeners;
pub use runtime::{Place, Runtimes};
pub use stream::Socket;
