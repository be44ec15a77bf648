//! kiba-cli from outside: next to the real redis-cli, and at a pseudo-terminal.

#[path = "cli/drop_in.rs"]
mod drop_in;
#[path = "cli/kiba.rs"]
mod kiba;
#[path = "cli/prompt.rs"]
mod prompt;
#[path = "cli/server.rs"]
mod server;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/tools.rs"]
mod tools;
