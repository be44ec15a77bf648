//! One call of a command: its arguments and its circumstances.

use crate::config::Dialect;
use crate::error::Error;
use crate::lexer::Span;
use crate::number;
use crate::server::Server;
use crate::store::stream::NodeLimit;
use crate::store::uses::idle_seconds;
use crate::store::{Entry, HashLimits, Limits, ListLimits, SetLimits, ZSetLimits};

use super::keys::is_word;
use super::{Arguments, Command, Fieldsets};

/// What a command may know of the client that sends it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    /// The client's number.
    pub client: u64,
    /// The client asked that its reads leave no trace in the access clocks (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// The client keeps copies of what this reads (CLIENT TRACKING).
    pub tracks: bool,
}

/// The arguments of a request, and what a command may know about where it runs.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub input: &'a [u8],
    /// The arguments, the command's name first.
    pub spans: &'a [Span],
    pub command: &'static Command,
    /// Milliseconds since the Unix epoch, read once per batch.
    pub now: u64,
    pub db: u16,
    pub asker: Asker,
    /// What its connection has prepared for HIMPORT SET.
    pub fieldsets: Option<&'a Fieldsets>,
    pub server: &'a Server,
}

impl<'a> Call<'a> {
    /// Number of arguments, the command's name included.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The argument with number `i`; 0 is the command's name.
    ///
    /// # Panics
    /// If there are fewer: the row's arity has been checked, and loops stay below [`Call::len`].
    #[inline]
    pub fn arg(&self, i: usize) -> &'a [u8] {
        self.spans[i].of(self.input)
    }

    /// The arguments from number `i` on.
    pub fn args(&self, i: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone + use<'a> {
        let input = self.input;
        self.spans.get(i..).unwrap_or_default().iter().map(move |span| span.of(input))
    }

    /// The arguments as they were before this became a call.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments { input: self.input, spans: self.spans }
    }

    /// The argument as a strict decimal integer.
    pub fn integer(&self, i: usize) -> Result<i64, Error> {
        number::parse_i64(self.arg(i)).ok_or(Error::NotAnInteger)
    }

    /// The argument as an integer that can be negated: where the sign says something else than the amount.
    pub fn signed(&self, i: usize) -> Result<i64, Error> {
        let range = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        self.integer(i).and_then(|value| if value == i64::MIN { Err(Error::Other(range)) } else { Ok(value) })
    }

    /// The argument as a number of things; every mistake in it is worded as `text`.
    pub fn count(&self, i: usize, least: usize, text: &'static str) -> Result<usize, Error> {
        let count = number::parse_i64(self.arg(i)).and_then(|count| usize::try_from(count).ok());
        count.filter(|&count| count >= least).ok_or(Error::Other(text))
    }

    /// The argument as the index of a database.
    ///
    /// # Errors
    /// Redis' own for what is no integer, none of 32 bits, and no database.
    pub fn database(&self, i: usize) -> Result<u16, Error> {
        let index = self.integer(i)?;
        if i32::try_from(index).is_err() {
            return Err(Error::Other("ERR value is out of range, value must between -2147483648 and 2147483647"));
        }
        let databases = self.server.config.databases();
        u16::try_from(index).ok().filter(|&db| u32::from(db) < databases).ok_or(Error::DbIndexOutOfRange)
    }

    /// Whether the argument is this word, in any case.
    #[inline]
    pub fn is(&self, i: usize, word: &str) -> bool {
        is_word(self.arg(i), word)
    }

    /// How many elements a command gives that draws random ones: one, or as many as argument 2 says, each once unless
    /// that is negative.
    ///
    /// * `len`: how many there are.
    pub fn drawn(&self, len: usize) -> usize {
        let Some(count) = self.spans.get(2).and_then(|span| number::parse_i64(span.of(self.input))) else { return 1 };
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        match len {
            0 => 0,
            _ if count < 0 => wanted,
            _ => wanted.min(len),
        }
    }

    /// The thresholds of the compact encodings, of all types or of one.
    pub fn limits(&self) -> Limits {
        self.server.limits()
    }

    #[inline]
    pub fn list_limits(&self) -> ListLimits {
        self.server.list_limits()
    }

    #[inline]
    pub fn set_limits(&self) -> SetLimits {
        self.server.set_limits()
    }

    #[inline]
    pub fn hash_limits(&self) -> HashLimits {
        self.server.hash_limits()
    }

    #[inline]
    pub fn zset_limits(&self) -> ZSetLimits {
        self.server.zset_limits()
    }

    #[inline]
    pub fn stream_node(&self) -> NodeLimit {
        self.server.stream_node()
    }

    /// Whether answers follow the original Kiba where it differs from Redis.
    pub fn is_original(&self) -> bool {
        self.server.config.dialect() == Dialect::Original
    }

    /// The access clock of entries that this call makes.
    pub fn clock(&self) -> u32 {
        self.server.env.uses().fresh(self.now)
    }

    /// Seconds since an entry was used last, where that is noted.
    pub fn idle_seconds(&self, entry: &Entry) -> u32 {
        idle_seconds(entry, self.now)
    }

    /// The error for a wrong number of arguments.
    pub fn arity_error(&self) -> Error {
        Error::Arity(self.command.full_name)
    }
}
