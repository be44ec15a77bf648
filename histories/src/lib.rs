//! Whether what a server told many clients could have happened one operation after the other.
//!
//! A cache that answers each of its clients well may still give them together what no order explains: an old value after a
//! new one was seen, two increments that both made a 7, half of an MSET. This crate asks a real server over TCP, with
//! many connections at once, writes down what each was told and when, and looks for an order. If there is none it says
//! which operations do not fit.
//!
//! 1. [`record`]: clients draw operations from [`kinds`], send some of them in one write, and note the time before the
//!    write and after each reply, by one clock that never goes back. Connections end at random, by hanging up with
//!    requests in flight, by finishing, or by CLIENT KILL. What was not answered may happen at any later time, or never.
//! 2. [`linear`]: for each object, a search for an order in which the object's sequential [`model`] gives the same answers,
//!    in which nothing comes before what had ended when it was called, and in which each connection's operations come as
//!    they were sent. An object is a key, a field of a hash or a member of a set, or up to four keys that commands and
//!    transactions reach together: then MSET, RENAME, LMOVE, SINTERSTORE or MULTI happens at one moment or the search fails.
//! 3. [`append`]: transactions of appends and reads over four lists, and a search for cycles in what depends on what. A
//!    cycle proves that they are not strictly serializable, and shows it by a handful of transactions.
//! 4. [`bank`]: transfers by MULTI and by WATCH; whoever reads all accounts sees the same total.
//!
//! What this cannot see: an error that only a longer life of a key would show (an object lives for 300 operations), one
//! that needs a deadline to pass (times are not in the models, but EXPIRE 0 is), and whatever never happened in the run.
//! A run cannot be repeated: the seed gives the same dice to each client, but the order is the machine's. The history of
//! what fails is therefore written down.
//!
//! The checkers are checked: `tests/planted.rs` gives them histories in which something is wrong, `tests/properties.rs`
//! random ones that a sequential object really gave, with and without a lie, and `tests/wire.rs` lets real clients talk to
//! a server that gives stale reads, loses updates, tears MSET and acknowledges early. `--server` points the program at
//! another server; redis-server 7.0 passes.

pub mod append;
pub mod bank;
pub mod check;
pub mod history;
pub mod kinds;
pub mod linear;
pub mod model;
pub mod record;
pub mod reply;
pub mod server;
pub mod wire;
