//! CLIENT: who is connected, and how to deal with them.

use std::fmt::Write;

use super::{Arity, Call, Flags, Keys, Next, Run, Spec, connection, help, tracking};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::server::PauseMode;
use crate::server::block::End;
use crate::server::clients::Client;
use crate::server::tracking::mode;
use crate::session::{Replies, Session};
use crate::sync::Ordering::Relaxed;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "client",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::SENTINEL,
    since: "2.4.0",
    complexity: "Depends on subcommand.",
    summary: "A container for client connection commands.",
}];

const FLAGS: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const KNOWN: Flags = FLAGS.and(Flags::SENTINEL);
const ADMIN: Flags = KNOWN.and(Flags::ADMIN);

const SUBCOMMANDS: &[Spec] = &[
    tracking::CACHING,
    Spec {
        name: "getname",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(getname),
        flags: KNOWN,
        since: "2.6.9",
        complexity: "O(1)",
        summary: "Returns the name of the connection.",
    },
    tracking::GETREDIR,
    help::row(Flags::LOADING.and(Flags::STALE).and(Flags::SENTINEL), "5.0.0"),
    Spec {
        name: "id",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(id),
        flags: KNOWN,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Returns the unique client ID of the connection.",
    },
    Spec {
        name: "info",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(info),
        flags: KNOWN,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Returns information about the connection.",
    },
    Spec {
        name: "kill",
        arity: Arity::at_least(3),
        keys: Keys::None,
        run: Run::Session(kill),
        flags: ADMIN.and(Flags::NEVER_PAUSED),
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Terminates open connections.",
    },
    Spec {
        name: "list",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(list),
        flags: ADMIN.and(Flags::NEVER_PAUSED),
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Lists open connections.",
    },
    Spec {
        name: "no-evict",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(no_evict),
        flags: ADMIN,
        since: "7.0.0",
        complexity: "O(1)",
        summary: "Sets the client eviction mode of the connection.",
    },
    Spec {
        name: "no-touch",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(no_touch),
        flags: FLAGS,
        since: "7.2.0",
        complexity: "O(1)",
        summary: "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
    },
    Spec {
        name: "pause",
        arity: Arity::at_least(3),
        keys: Keys::None,
        run: Run::Session(pause),
        flags: ADMIN.and(Flags::NEVER_PAUSED),
        since: "3.0.0",
        complexity: "O(1)",
        summary: "Suspends commands processing.",
    },
    Spec {
        name: "reply",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(reply_mode),
        // The reply to EXEC announces how many replies it holds; none of them may be missing.
        flags: KNOWN.and(Flags::NO_MULTI),
        since: "3.2.0",
        complexity: "O(1)",
        summary: "Instructs the server whether to reply to commands.",
    },
    Spec {
        name: "setinfo",
        arity: Arity::exactly(4),
        keys: Keys::None,
        run: Run::Session(setinfo),
        flags: KNOWN,
        since: "7.2.0",
        complexity: "O(1)",
        summary: "Sets information specific to the client or connection.",
    },
    Spec {
        name: "setname",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(setname),
        flags: KNOWN,
        since: "2.6.9",
        complexity: "O(1)",
        summary: "Sets the connection name.",
    },
    tracking::TRACKING,
    tracking::TRACKINGINFO,
    Spec {
        name: "unblock",
        arity: Arity::at_least(3),
        keys: Keys::None,
        run: Run::Session(unblock),
        flags: ADMIN,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Unblocks a client blocked by a blocking command from a different connection.",
    },
    Spec {
        name: "unpause",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(unpause),
        flags: ADMIN.and(Flags::NEVER_PAUSED),
        since: "6.2.0",
        complexity: "O(N) where N is the number of paused clients",
        summary: "Resumes processing commands from paused clients.",
    },
];

/// CLIENT ID -> the connection's number; never given twice while the server runs.
fn id(session: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.integer(session.client.id as i64);
    Ok(Next::Continue)
}

/// CLIENT GETNAME -> the name; nil when there is none.
fn getname(session: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    match session.client.texts().name.as_str() {
        "" => reply.nil(),
        name => reply.bulk(name.as_bytes()),
    }
    Ok(Next::Continue)
}

/// CLIENT SETNAME name -> OK. An empty name removes it.
fn setname(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    session.client.set_name(name(call.arg(2))?);
    reply.ok();
    Ok(Next::Continue)
}

/// CLIENT SETINFO LIB-NAME name | LIB-VER version -> OK.
fn setinfo(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let is_name = call.is(2, "lib-name");
    if !is_name && !call.is(2, "lib-ver") {
        reply.error([b"ERR Unrecognized option '", call.arg(2), b"'"].concat());
        return Ok(Next::Continue);
    }
    let Some(text) = plain(call.arg(3)) else {
        let rule = b" cannot contain spaces, newlines or special characters.";
        reply.error([b"ERR ", call.arg(2), rule].concat());
        return Ok(Next::Continue);
    };
    session.client.set_library(is_name.then_some(text), (!is_name).then_some(text));
    reply.ok();
    Ok(Next::Continue)
}

/// CLIENT INFO -> this connection's line of CLIENT LIST.
fn info(session: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let mut text = String::new();
    write_line(&session.client, &mut text);
    reply.verbatim("txt", text.as_bytes());
    Ok(Next::Continue)
}

/// CLIENT LIST [TYPE type | ID id ...] -> a line a connection.
fn list(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let clients = &call.server.clients;
    let mut text = String::new();
    match call.len() {
        2 => clients.list().iter().for_each(|client| write_line(client, &mut text)),
        4 if call.is(2, "type") => {
            let Some(class) = class(call.arg(3), reply) else { return Ok(Next::Continue) };
            let listed = clients.list();
            listed.iter().filter(|client| class.holds(client)).for_each(|client| write_line(client, &mut text));
        }
        4.. if call.is(2, "id") => {
            for id in call.args(3) {
                let id = parse_i64(id).ok_or(Error::Other("ERR Invalid client ID"))?;
                if let Some(client) = u64::try_from(id).ok().and_then(|id| clients.get(id)) {
                    write_line(&client, &mut text);
                }
            }
        }
        _ => return Err(Error::Syntax),
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(Next::Continue)
}

/// CLIENT KILL addr:port -> OK; CLIENT KILL filter value ... -> the number of connections that are closed.
fn kill(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let filter = if call.len() == 3 {
        // The old form kills the first that it finds, itself included.
        Filter { addr: Some(call.arg(2)), spares_caller: false, ..Filter::default() }
    } else {
        match Filter::parse(call, reply)? {
            Some(filter) => filter,
            None => return Ok(Next::Continue),
        }
    };
    let limit = if call.len() == 3 { 1 } else { usize::MAX };
    let (mut killed, mut next) = (0, Next::Continue);
    for client in call.server.clients.list().iter().filter(|client| filter.takes(client, session)).take(limit) {
        if client.id == session.client.id {
            // Its reply is sent first.
            next = Next::Close;
        }
        client.kill();
        killed += 1;
    }
    match (call.len(), killed) {
        (3, 0) => return Err(Error::Other("ERR No such client")),
        (3, _) => reply.ok(),
        _ => reply.count(killed),
    }
    Ok(next)
}

/// CLIENT NO-EVICT ON | OFF -> OK.
fn no_evict(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    session.client.no_evict.store(on_or_off(call, 2)?, Relaxed);
    reply.ok();
    Ok(Next::Continue)
}

/// CLIENT NO-TOUCH ON | OFF -> OK.
fn no_touch(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    session.client.no_touch.store(on_or_off(call, 2)?, Relaxed);
    reply.ok();
    Ok(Next::Continue)
}

/// CLIENT REPLY ON -> OK; OFF and SKIP get no reply, nor do the commands that follow, or the next one.
fn reply_mode(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if call.is(2, "on") {
        session.replies = Replies::On;
        reply.ok();
    } else if call.is(2, "off") {
        if session.replies == Replies::On {
            // What MONITOR has shown so far is not muted.
            super::deliver(session, reply);
        }
        session.replies = Replies::Off;
    } else if call.is(2, "skip") {
        if session.replies != Replies::Off {
            session.replies = Replies::SkipNext;
        }
    } else {
        return Err(Error::Syntax);
    }
    Ok(Next::Continue)
}

/// CLIENT UNBLOCK id [TIMEOUT | ERROR] -> 1 when it was blocked.
fn unblock(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if call.len() > 4 {
        help::wrong_form(call, reply);
        return Ok(Next::Continue);
    }
    if call.len() == 4 && !call.is(3, "timeout") && !call.is(3, "error") {
        return Err(Error::Other("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    let end = if call.len() == 4 && call.is(3, "error") { End::Unblocked } else { End::TimedOut };
    let client = u64::try_from(call.integer(2)?).ok().and_then(|id| call.server.clients.get(id));
    reply.integer(client.is_some_and(|client| client.blocked.end(end)).into());
    Ok(Next::Continue)
}

/// CLIENT PAUSE timeout [WRITE | ALL] -> OK. The timeout is in milliseconds.
fn pause(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let mode = match call.len() {
        3 => PauseMode::All,
        4 if call.is(3, "write") => PauseMode::Write,
        4 if call.is(3, "all") => PauseMode::All,
        4 => return Err(Error::Other("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => {
            help::wrong_form(call, reply);
            return Ok(Next::Continue);
        }
    };
    let timeout = parse_i64(call.arg(2)).ok_or(Error::Other("ERR timeout is not an integer or out of range"))?;
    let timeout = u64::try_from(timeout).map_err(|_| Error::Other("ERR timeout is negative"))?;
    call.server.pause.start(call.now.saturating_add(timeout), mode, call.now);
    reply.ok();
    Ok(Next::Continue)
}

/// CLIENT UNPAUSE -> OK.
fn unpause(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    call.server.pause.stop();
    reply.ok();
    Ok(Next::Continue)
}

/// A connection's name, as SETNAME and HELLO take it.
pub(super) fn name(bytes: &[u8]) -> Result<&str, Error> {
    plain(bytes).ok_or(Error::Other("ERR Client names cannot contain spaces, newlines or special characters."))
}

/// A text that cannot break the lines of CLIENT LIST.
fn plain(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn on_or_off(call: &Call<'_>, i: usize) -> Result<bool, Error> {
    match call.is(i, "on") {
        true => Ok(true),
        false if call.is(i, "off") => Ok(false),
        false => Err(Error::Syntax),
    }
}

/// The kinds of connections that Redis tells apart. None of Kiba's is of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Normal,
    Pubsub,
    Other,
}

impl Class {
    fn holds(self, client: &Client) -> bool {
        self == if client.is_subscriber() { Self::Pubsub } else { Self::Normal }
    }
}

/// The class with this name; `None` when the error, which names the argument, has been written.
fn class(name: &[u8], reply: &mut Reply) -> Option<Class> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Some(Class::Normal),
        b"master" | b"replica" | b"slave" => Some(Class::Other),
        b"pubsub" => Some(Class::Pubsub),
        _ => {
            reply.error([b"ERR Unknown client type '", name, b"'"].concat());
            None
        }
    }
}

/// Which connections CLIENT KILL takes: those that every given filter takes.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    class: Option<Class>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    /// Seconds that it must have been connected for.
    age_min: Option<u64>,
    spares_caller: bool,
}

impl<'a> Filter<'a> {
    /// `None` when the error, which names the argument, has been written.
    fn parse(call: &Call<'a>, reply: &mut Reply) -> Result<Option<Self>, Error> {
        let mut filter = Self { spares_caller: true, ..Self::default() };
        let mut i = 2;
        while i < call.len() {
            if i + 1 == call.len() {
                return Err(Error::Syntax);
            }
            let value = call.arg(i + 1);
            let positive = || parse_i64(value).and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
            if call.is(i, "id") {
                filter.id = Some(positive().ok_or(Error::Other("ERR client-id should be greater than 0"))?);
            } else if call.is(i, "type") {
                filter.class = class(value, reply);
                if filter.class.is_none() {
                    return Ok(None);
                }
            } else if call.is(i, "addr") {
                filter.addr = Some(value);
            } else if call.is(i, "laddr") {
                filter.laddr = Some(value);
            } else if call.is(i, "user") {
                if value != connection::USER.as_bytes() {
                    reply.error([b"ERR No such user '", value, b"'"].concat());
                    return Ok(None);
                }
            } else if call.is(i, "maxage") {
                parse_i64(value).ok_or(Error::Other("ERR maxage is not an integer or out of range"))?;
                filter.age_min = Some(positive().ok_or(Error::Other("ERR maxage should be greater than 0"))?);
            } else if call.is(i, "skipme") {
                filter.spares_caller = match value.to_ascii_lowercase().as_slice() {
                    b"yes" => true,
                    b"no" => false,
                    _ => return Err(Error::Syntax),
                };
            } else {
                return Err(Error::Syntax);
            }
            i += 2;
        }
        Ok(Some(filter))
    }

    fn takes(&self, client: &Client, caller: &Session) -> bool {
        let age = || client.connected.elapsed().as_secs();
        self.id.is_none_or(|id| id == client.id)
            && self.class.is_none_or(|class| class.holds(client))
            && self.addr.is_none_or(|addr| addr == client.addr.as_bytes())
            && self.laddr.is_none_or(|laddr| laddr == client.laddr.as_bytes())
            && self.age_min.is_none_or(|least| age() >= least)
            && !(self.spares_caller && client.id == caller.client.id)
    }
}

/// Writes a connection's line, with the fields of Redis 7.4 in their order. What Kiba does not have is 0: file
/// descriptors are the runtime's, and idle connections have no buffers of their own.
fn write_line(client: &Client, text: &mut String) {
    let age = client.connected.elapsed().as_secs();
    // The clock that says when it was active may have been set since.
    let idle = (crate::server::now().saturating_sub(client.last_active.load(Relaxed)) / 1000).min(age);
    let queued = match client.queued.load(Relaxed) {
        u32::MAX => -1,
        queued => i64::from(queued),
    };
    let query = client.query_bytes.load(Relaxed);
    let command = super::by_index(client.last_command.load(Relaxed)).map_or("NULL", |command| command.full_name);
    let texts = client.texts();
    let waiting = client.outbox.waiting();
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "id={} addr={} laddr={} fd=0 name={} age={} idle={idle} flags={} db={} sub={} psub={} ssub={} multi={queued} \
         watch={} qbuf={query} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={} tot-mem={} \
         events=r cmd={command} user={} redir={} resp={} lib-name={} lib-ver={}",
        client.id,
        client.addr,
        client.laddr,
        texts.name,
        age,
        flags(client),
        client.db.load(Relaxed),
        client.listening[0].load(Relaxed),
        client.listening[1].load(Relaxed),
        client.listening[2].load(Relaxed),
        client.watched.load(Relaxed),
        waiting.messages,
        waiting.bytes,
        query + waiting.bytes as u64 + client.fieldset_bytes.load(Relaxed),
        connection::USER,
        tracking::redirection(client),
        client.resp.load(Relaxed),
        texts.lib_name,
        texts.lib_ver,
    );
}

/// The letters of a connection's state, in Redis' order.
fn flags(client: &Client) -> String {
    // Only a Unix socket has no port of the peer.
    let is_unix = client.addr.ends_with(":0");
    let modes = client.tracking_modes();
    let flags = [
        (client.is_monitor.load(Relaxed), 'O'),
        (client.is_subscriber(), 'P'),
        (client.queued.load(Relaxed) != u32::MAX, 'x'),
        (client.blocked.is_blocked(), 'b'),
        (modes & mode::ON != 0, 't'),
        (modes & mode::BROKEN != 0, 'R'),
        (modes & mode::BCAST != 0, 'B'),
        (client.is_killed(), 'A'),
        (is_unix, 'U'),
        (client.no_evict.load(Relaxed), 'e'),
        (client.no_touch.load(Relaxed), 'T'),
    ];
    let letters: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "N".to_owned() } else { letters }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use crate::server::clients::Clients;

    #[test]
    fn a_line_has_the_fields_of_redis_7_4_in_order() {
        let clients = Clients::default();
        let client = clients.add("1.2.3.4:5".into(), "127.0.0.1:6464".into(), false, 10).expect("there is room");
        client.set_name("me");
        client.set_library(Some("lib"), Some("1.0"));
        client.last_command.store(super::super::find(b"ping").expect("registered").index, Relaxed);
        let mut text = String::new();
        write_line(&client, &mut text);
        assert_eq!(
            text,
            "id=1 addr=1.2.3.4:5 laddr=127.0.0.1:6464 fd=0 name=me age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 \
             multi=-1 watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 \
             events=r cmd=ping user=default redir=-1 resp=2 lib-name=lib lib-ver=1.0\n"
        );
    }

    #[test]
    fn flags_name_every_state() {
        let clients = Clients::default();
        let client = clients.add("/tmp/kiba.sock:0".into(), "/tmp/kiba.sock:0".into(), true, 10).expect("room");
        assert_eq!(flags(&client), "U");
        client.queued.store(0, Relaxed);
        client.no_evict.store(true, Relaxed);
        client.no_touch.store(true, Relaxed);
        client.kill();
        assert_eq!(flags(&client), "xAUeT");
    }

    #[test]
    fn names_are_visible_ascii() {
        assert_eq!(name(b"a!~"), Ok("a!~"));
        assert_eq!(name(b""), Ok(""));
        for bad in [&b"a b"[..], b"a\n", b"\x7f", b"\xc3\xa4", b"\xff", b"\0"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
