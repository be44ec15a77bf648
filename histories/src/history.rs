//! What was recorded: who asked what, when, and what came back.

use std::fmt::{self, Display};

use crate::reply::Reply;

/// Nanoseconds since the recording began, by a clock that never goes back.
pub type Nanos = u64;

/// An operation that may still happen, or may never have happened.
pub const OPEN: Nanos = Nanos::MAX;

/// One operation.
#[derive(Clone, Debug)]
pub struct Entry<Op> {
    /// The connection. Its operations happen in the order in which it sent them, also those that it sent at once.
    pub session: u32,
    pub op: Op,
    /// Before the request was written.
    pub call: Nanos,
    /// After the reply was read; [`OPEN`] if none came.
    pub end: Nanos,
    /// `None` if none came: then the operation happens at any time after its call, or not at all.
    pub reply: Option<Reply>,
}

impl<Op> Entry<Op> {
    pub fn is_open(&self) -> bool {
        self.reply.is_none()
    }
}

impl<Op: Display> Display for Entry<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |nanos: Nanos| nanos as f64 / 1e6;
        match &self.reply {
            Some(reply) => {
                let (call, end) = (millis(self.call), millis(self.end));
                write!(f, "{call:12.4} .. {end:12.4} ms  #{:<6} {} -> {reply}", self.session, self.op)
            }
            None => write!(f, "{:12.4} ..         open     #{:<6} {} -> ?", millis(self.call), self.session, self.op),
        }
    }
}
