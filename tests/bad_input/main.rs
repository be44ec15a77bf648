//! Hostile input and limits: exact errors, bounded memory, and a server that goes on answering the others.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod limits;
mod memory;
mod others;
mod overload;
mod rows;
mod sequences;
mod states;
