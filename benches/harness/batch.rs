//! Batches as a connection hands them to an engine, without a connection.

use kiba::lexer::{Lexer, Limits};
use kiba::parser::Batch;
use kiba::server::{Server, now};

/// A batch with these bytes as its input, not parsed yet.
pub fn unparsed(input: Vec<u8>) -> Box<Batch> {
    Box::new(Batch { input, ..Batch::default() })
}

/// Finds the requests in a batch's input.
///
/// # Panics
/// If they are not well-formed.
pub fn parse(server: &Server, mut batch: Box<Batch>) -> Box<Batch> {
    let limits = Limits::trusted(1 << 20);
    let mut lexer = Lexer::default();
    while let Some(spans) = lexer.next(&mut batch.input, &mut batch.spans, &limits).expect("well-formed") {
        batch.push(spans, &server.env.hasher);
    }
    batch.now = now();
    batch
}
