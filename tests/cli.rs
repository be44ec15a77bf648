//! kiba-cli from outside: next to the real redis-cli, and at a pseudo-terminal.

#[path = "cli/drop_in.rs"]
mod drop_in;
#[path = "cli/server.rs"]
mod server;
