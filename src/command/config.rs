//! CONFIG: the options of the running server.

use super::{Arity, Call, Flags, Keys, Next, Run, Spec, help};
use crate::config::{Caller, Id};
use crate::error::Error;
use crate::fault;
use crate::glob;
use crate::reply::Reply;
use crate::server::{Server, open_files};
use crate::session::Session;
use crate::sync::Ordering;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "config",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::NONE,
    since: "2.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for server configuration commands.",
}];

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "get",
        arity: Arity::at_least(3),
        keys: Keys::None,
        run: Run::Session(get),
        flags: FLAGS,
        since: "2.0.0",
        complexity: "O(N) when N is the number of configuration parameters provided",
        summary: "Returns the effective values of configuration parameters.",
    },
    help::row(Flags::LOADING.and(Flags::STALE), "5.0.0"),
    Spec {
        name: "resetstat",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(resetstat),
        flags: FLAGS,
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Resets the server's statistics.",
    },
    Spec {
        name: "rewrite",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(rewrite),
        // It waits for the disk, and a transaction holds keys that others wait for.
        flags: FLAGS.and(Flags::NO_MULTI),
        since: "2.8.0",
        complexity: "O(1)",
        summary: "Persists the effective configuration to file.",
    },
    Spec {
        name: "set",
        arity: Arity::at_least(4),
        keys: Keys::None,
        run: Run::Session(set),
        // It may wait for a REWRITE, which waits for the disk.
        flags: FLAGS.and(Flags::NO_MULTI),
        since: "2.0.0",
        complexity: "O(N) when N is the number of configuration parameters provided",
        summary: "Sets configuration parameters in-flight.",
    },
];

/// CONFIG GET pattern ... -> a map of the options whose name matches any of the patterns.
fn get(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let patterns: Vec<Vec<u8>> = call.args(2).map(<[u8]>::to_ascii_lowercase).collect();
    let found = call.server.config.get(|name| patterns.iter().any(|pattern| glob::matches(pattern, name)));
    reply.map(found.len());
    for (name, value) in found {
        // Redis answers a name in the spelling that was asked for, and what a pattern found in its own.
        let first = patterns.iter().position(|pattern| glob::matches(pattern, name.as_bytes()));
        let asked = first.map(|i| call.arg(2 + i)).filter(|asked| !is_pattern(asked));
        reply.bulk(asked.unwrap_or(name.as_bytes()));
        reply.bulk(value.as_bytes());
    }
    Ok(Next::Continue)
}

/// CONFIG SET name value ... -> OK; all of them or, on an error, none.
fn set(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if !call.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> = (2..call.len()).step_by(2).map(|i| (call.arg(i), call.arg(i + 1))).collect();
    let caller = if session.client.is_local { Caller::Local } else { Caller::Remote };
    match call.server.config.set_with(&pairs, caller, |id| apply(id, call.server)) {
        Ok(changed) => {
            fault::point("config.set");
            for id in changed {
                let value = if id.is_secret() { "(secret)".to_owned() } else { call.server.config.print(id) };
                tracing::info!(option = id.spec().name, value, client = session.client.addr, "CONFIG SET");
            }
            reply.ok();
        }
        Err(error) => reply.error(format!("ERR {error}")),
    }
    Ok(Next::Continue)
}

/// CONFIG REWRITE -> OK. Waits for the disk while nothing is held.
fn rewrite(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    match call.server.config.rewrite() {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(format!("ERR {error}")),
    }
    Ok(Next::Continue)
}

/// CONFIG RESETSTAT -> OK.
fn resetstat(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    call.server.stats.reset();
    call.server.excess.reset();
    call.server.env.expired.store(0, Ordering::Relaxed);
    call.server.env.contended.store(0, Ordering::Relaxed);
    call.server.env.expired_parts.store(0, Ordering::Relaxed);
    reply.ok();
    Ok(Next::Continue)
}

/// Puts an option's new value into effect. Most need nothing: whoever uses them reads them each time.
fn apply(id: Id, server: &Server) -> Result<(), String> {
    match id {
        Id::LogLevel => server.apply_log_level(),
        Id::NotifyKeyspaceEvents => server.apply_events(),
        Id::Maxmemory | Id::MaxmemoryPolicy => {
            server.apply_policy();
            server.room_wanted.store(true, Ordering::Relaxed);
        }
        Id::LfuLogFactor | Id::LfuDecayTime => server.apply_policy(),
        // Idle clients wait by the old one.
        Id::Timeout => server.clients.wake_all(),
        Id::Maxclients => {
            let wanted = u64::from(server.config.maxclients());
            let fitting = open_files::raise(wanted);
            if fitting < wanted {
                return Err(format!(
                    "The operating system is not able to handle the specified number of clients, try with {fitting}"
                ));
            }
        }
        Id::Dir => std::env::set_current_dir(&*server.config.dir()).map_err(|error| error.to_string())?,
        _ => {}
    }
    Ok(())
}

fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}
