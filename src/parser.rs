//! Tokens to requests: finds each request's row, checks the number of arguments, and hashes the keys.

use std::ops::Range;

use crate::command::{self, Arguments, Asker, Command, Fieldsets, Key, Place, Recent, Run};
use crate::lexer::Span;
use crate::reply::Reply;
use crate::store::KeyHasher;

/// One request of a batch, as ranges into the batch's arrays.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub verdict: Verdict,
    spans: (u32, u32),
    keys: (u32, u32),
}

/// What the parser made of a request.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    Run(&'static Command),
    Unknown,
    UnknownSubcommand(&'static Command),
    WrongArity(&'static Command),
    /// `POST` or `Host:`: an HTTP client was pointed here, perhaps by an attacker. Not to be answered.
    Http,
}

impl Request {
    pub fn spans(&self) -> Range<usize> {
        self.spans.0 as usize..self.spans.1 as usize
    }

    pub fn keys(&self) -> Range<usize> {
        self.keys.0 as usize..self.keys.1 as usize
    }
}

/// All complete requests of one read, with everything their execution needs: the unit at the engine's boundary.
#[derive(Debug, Default)]
pub struct Batch {
    pub input: Vec<u8>,
    pub spans: Vec<Span>,
    pub requests: Vec<Request>,
    pub keys: Vec<Key>,
    pub reply: Reply,
    /// Milliseconds since the Unix epoch when the batch was read.
    pub now: u64,
    /// Whose requests they are; set by the executor before the engine runs data commands.
    pub asker: Asker,
    /// What their client has prepared; here only while the engine has the batch.
    pub fieldsets: Option<Box<Fieldsets>>,
    /// The engine stopped before a request for which there may be no memory.
    pub lacks_room: bool,
    /// Kept when the rest is cleared.
    pub recent: Recent,
}

impl Batch {
    /// Parses the request whose arguments are `spans`, and appends it.
    pub fn push(&mut self, spans: Range<usize>, hasher: &KeyHasher) {
        let arguments = &self.spans[spans.clone()];
        let first_key = self.keys.len();
        let verdict = resolve(&self.input, arguments, &mut self.recent);
        if let Verdict::Run(command) = verdict {
            let (input, keys) = (&self.input, &mut self.keys);
            command.spec.keys.each(Arguments { input, spans: arguments }, |Place { arg, elsewhere }| {
                keys.push(Key { arg: arg as u32, elsewhere, hash: hasher.hash(arguments[arg].of(input)) });
            });
        }
        crate::fault::point("parser");
        self.requests.push(Request {
            verdict,
            spans: (spans.start as u32, spans.end as u32),
            keys: (first_key as u32, self.keys.len() as u32),
        });
    }

    /// Appends a copy of another batch's request, for a transaction's queue.
    pub fn push_copy(&mut self, other: &Batch, request: &Request, hasher: &KeyHasher) {
        self.push_words(other.arguments(request), hasher);
    }

    /// Appends a request of these words.
    pub fn push_words<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>, hasher: &KeyHasher) {
        let first = self.spans.len();
        for word in words {
            let (start, len) = (self.input.len() as u32, word.len() as u32);
            self.input.extend_from_slice(word);
            self.spans.push(Span { start, len });
        }
        self.push(first..self.spans.len(), hasher);
    }

    /// Bytes that the requests occupy, their bookkeeping included: for small requests it is most of it.
    pub fn footprint(&self) -> usize {
        self.input.len()
            + size_of_val(self.spans.as_slice())
            + size_of_val(self.requests.as_slice())
            + size_of_val(self.keys.as_slice())
    }

    /// Forgets requests and replies but keeps moderate buffers for the next batch.
    pub fn clear(&mut self) {
        /// What an idle connection's last batch may keep reserved, in bytes and in elements.
        const KEEP: usize = 64 * 1024;
        self.input.clear();
        self.input.shrink_to(KEEP);
        self.spans.clear();
        self.spans.shrink_to(KEEP / 16);
        self.requests.clear();
        self.requests.shrink_to(KEEP / 64);
        self.keys.clear();
        self.keys.shrink_to(KEEP / 16);
        self.reply.clear(KEEP);
    }

    /// The arguments of a request, for error texts.
    pub fn arguments(&self, request: &Request) -> impl Iterator<Item = &[u8]> {
        self.spans[request.spans()].iter().map(|span| span.of(&self.input))
    }
}

#[inline]
fn resolve(input: &[u8], arguments: &[Span], recent: &mut Recent) -> Verdict {
    let name = arguments[0].of(input);
    let Some(mut command) = recent.find(name) else { return unknown(name) };
    if let Run::Container(_) | Run::SessionOr(..) | Run::SessionElse(..) = command.spec.run
        && let Some(name) = arguments.get(1)
    {
        match (command::subcommand(command, name.of(input)), command.spec.run) {
            (found, Run::SessionElse(..)) => {
                command = found.filter(|found| found.spec.arity.allows(arguments.len())).unwrap_or(command);
            }
            (Some(found), _) => command = found,
            (None, _) => return Verdict::UnknownSubcommand(command),
        }
    }
    // A container without its subcommand has one argument where its arity asks for two.
    if command.spec.arity.allows(arguments.len()) { Verdict::Run(command) } else { Verdict::WrongArity(command) }
}

#[cold]
fn unknown(name: &[u8]) -> Verdict {
    let is_http = [&b"post"[..], b"host:"].iter().any(|word| name.eq_ignore_ascii_case(word));
    if is_http { Verdict::Http } else { Verdict::Unknown }
}

impl Verdict {
    /// Writes the error for a request that cannot run. `arguments` includes the command's name.
    pub fn write_error<'a>(self, mut arguments: impl Iterator<Item = &'a [u8]>, reply: &mut Reply) {
        /// Redis shows at most this many bytes of the name and of each argument, and of all arguments together.
        const SHOWN: usize = 128;
        let clip = |bytes: &'a [u8]| &bytes[..bytes.len().min(SHOWN)];
        let mut text = Vec::new();
        match self {
            Self::Run(_) | Self::Http => return,
            Self::WrongArity(command) => return reply.fail(crate::error::Error::Arity(command.full_name)),
            Self::UnknownSubcommand(container) => {
                text.extend_from_slice(b"ERR unknown subcommand '");
                text.extend_from_slice(clip(arguments.nth(1).unwrap_or_default()));
                text.extend_from_slice(b"'. Try ");
                text.extend(container.spec.name.bytes().map(|byte| byte.to_ascii_uppercase()));
                text.extend_from_slice(b" HELP.");
            }
            Self::Unknown => {
                text.extend_from_slice(b"ERR unknown command '");
                text.extend_from_slice(clip(arguments.next().unwrap_or_default()));
                text.extend_from_slice(b"', with args beginning with: ");
                let start = text.len();
                for argument in arguments {
                    if text.len() - start >= SHOWN {
                        break;
                    }
                    let room = SHOWN - (text.len() - start);
                    text.push(b'\'');
                    text.extend_from_slice(&argument[..argument.len().min(room)]);
                    text.extend_from_slice(b"' ");
                }
            }
        }
        reply.error(text);
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_request_means_the_same_whatever_was_before_it() {
        let hasher = KeyHasher::seeded();
        let requests: Vec<Vec<&[u8]>> = [
            "GET k",
            "get k",
            "GET",
            "GET a b",
            "SET k v",
            "CLIENT",
            "CLIENT GETNAME",
            "CLIENT ID",
            "CLIENT NONE",
            "client id",
            "DEBUG SLEEP 0",
            "DEBUG",
            "DEBUG OBJECT k",
            "CONFIG GET x",
            "GETNAME",
            "ID",
            "NONE",
            "POST",
            "MGET a b c",
            "MGE",
            "GETT k",
            "GEORADIUSBYMEMBER_RO k m 1 km",
            "georadiusbymember k m 1 km",
            // As long as the names that are kept.
            "ZREVRANGEBYSCORE k 1 2",
            "zrevrangebyscore k 1 2",
            "zremrangebyscore k 1 2",
        ]
        .iter()
        .map(|text| text.split(' ').map(str::as_bytes).collect())
        .collect();
        let shown = |requests: &[&Vec<&[u8]>], clears: bool| {
            let mut batch = Batch::default();
            for words in requests {
                if clears {
                    batch.clear();
                }
                batch.push_words(words.iter().copied(), &hasher);
            }
            let last = batch.requests.last().expect("was pushed");
            let command = match last.verdict {
                Verdict::Run(command) | Verdict::WrongArity(command) | Verdict::UnknownSubcommand(command) => {
                    command.full_name
                }
                Verdict::Unknown | Verdict::Http => "",
            };
            (std::mem::discriminant(&last.verdict), command, last.keys().len())
        };
        for before in &requests {
            for request in &requests {
                for clears in [false, true] {
                    let after = shown(&[before, request], clears);
                    assert_eq!(after, shown(&[request], false), "{request:?} after {before:?}");
                }
            }
        }
    }
}
