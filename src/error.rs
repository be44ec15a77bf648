//! The mistakes a client can make, each with its one text.
//!
//! Texts follow Redis byte for byte, since clients match on them. Texts that carry something of the request
//! (a name, an argument) are worded where it is known, with [`crate::reply::Reply::error`].

use crate::lexer::Protocol;

/// A command's error reply. The data stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    WrongType,
    Syntax,
    NotAnInteger,
    NotAFloat,
    OutOfRange,
    /// `value is out of range, must be positive`.
    MustBePositive,
    Overflow,
    DecrementOverflow,
    NoSuchKey,
    IndexOutOfRange,
    InvalidCursor,
    /// The expire time is out of range for the command whose name is given in lower case.
    InvalidExpire(&'static str),
    /// The command needs another number of arguments (name in lower case, `|` before the subcommand).
    Arity(&'static str),
    StringTooLong,
    DbIndexOutOfRange,
    /// In RESP2, a client that listens asked for another command than those of its mode; full name in lower case.
    OnlyWhileSubscribed(&'static str),
    /// More memory is in use than `maxmemory` allows.
    OutOfMemory,
    /// Any other fixed text, with its code.
    Other(&'static str),
}

impl Error {
    /// Writes the reply's text: a code, a space and a sentence.
    pub fn write(self, out: &mut Vec<u8>) {
        let text = match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Syntax => "ERR syntax error",
            Self::NotAnInteger => "ERR value is not an integer or out of range",
            Self::NotAFloat => "ERR value is not a valid float",
            Self::OutOfRange => "ERR value is out of range",
            Self::MustBePositive => "ERR value is out of range, must be positive",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::DecrementOverflow => "ERR decrement would overflow",
            Self::NoSuchKey => "ERR no such key",
            Self::IndexOutOfRange => "ERR index out of range",
            Self::InvalidCursor => "ERR invalid cursor",
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::DbIndexOutOfRange => "ERR DB index is out of range",
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::Other(text) => text,
            Self::OnlyWhileSubscribed(name) => {
                return out.extend(
                    format!(
                        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                         allowed in this context"
                    )
                    .bytes(),
                );
            }
            Self::InvalidExpire(name) => {
                return out.extend(format!("ERR invalid expire time in '{name}' command").bytes());
            }
            Self::Arity(name) => {
                return out.extend(format!("ERR wrong number of arguments for '{name}' command").bytes());
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
}

impl Protocol {
    /// Writes the text of the last reply before the connection is closed.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ERR Protocol error: ");
        let text = match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::ExpectedDollar(found) => {
                out.extend_from_slice(b"expected '$', got '");
                out.push(found);
                out.push(b'\'');
                return;
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
}
