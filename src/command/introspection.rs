//! COMMAND: the table of commands, told to clients.

use super::{
    Arguments, Arity, Call, Command, Flags, Keys, Next, Run, Spec, details, find, help, registry, subcommand, syntax,
};
use crate::error::Error;
use crate::glob;
use crate::reply::Reply;
use crate::session::Session;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "command",
    arity: Arity::at_least(1),
    keys: Keys::None,
    run: Run::SessionOr(command, SUBCOMMANDS),
    flags: FLAGS,
    since: "2.8.13",
    complexity: "O(N) where N is the total number of commands",
    summary: "Returns detailed information about all commands.",
}];

const FLAGS: Flags = Flags::LOADING.and(Flags::STALE).and(Flags::SENTINEL);

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "count",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(count),
        flags: FLAGS,
        since: "2.8.13",
        complexity: "O(1)",
        summary: "Returns a count of commands.",
    },
    Spec {
        name: "docs",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(docs),
        flags: FLAGS,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands to look up",
        summary: "Returns documentary information about one, multiple or all commands.",
    },
    Spec {
        name: "getkeys",
        arity: Arity::at_least(3),
        keys: Keys::None,
        run: Run::Session(getkeys),
        flags: FLAGS,
        since: "2.8.13",
        complexity: "O(N) where N is the number of arguments to the command",
        summary: "Extracts the key names from an arbitrary command.",
    },
    Spec {
        name: "getkeysandflags",
        arity: Arity::at_least(3),
        keys: Keys::None,
        run: Run::Session(getkeysandflags),
        flags: FLAGS,
        since: "7.0.0",
        complexity: "O(N) where N is the number of arguments to the command",
        summary: "Extracts the key names and access flags for an arbitrary command.",
    },
    Spec {
        name: "help",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(help::of_container),
        flags: FLAGS,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Returns helpful text about the different subcommands.",
    },
    Spec {
        name: "info",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(info),
        flags: FLAGS,
        since: "2.8.13",
        complexity: "O(N) where N is the number of commands to look up",
        summary: "Returns information about one, multiple or all commands.",
    },
    Spec {
        name: "list",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(list),
        flags: FLAGS,
        since: "7.0.0",
        complexity: "O(N) where N is the total number of commands",
        summary: "Returns a list of command names.",
    },
];

/// COMMAND -> an array of descriptions.
fn command(_: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let commands = registry::commands();
    reply.array(commands.len());
    commands.iter().for_each(|command| write_info(command, reply));
    Ok(Next::Continue)
}

/// COMMAND COUNT -> the number of commands, subcommands not counted.
fn count(_: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.count(registry::commands().len());
    Ok(Next::Continue)
}

/// COMMAND INFO [name ...] -> an array of descriptions; nil for what is no command.
fn info(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if call.len() == 2 {
        return command(session, call, reply);
    }
    reply.array(call.len() - 2);
    for name in call.args(2) {
        match named(name) {
            Some(command) => write_info(command, reply),
            None => reply.nil(),
        }
    }
    Ok(Next::Continue)
}

/// COMMAND DOCS [name ...] -> a map from names to documentation; what is no command is left out.
fn docs(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let commands: Vec<&Command> = match call.len() {
        2 => registry::commands().iter().collect(),
        _ => call.args(2).filter_map(named).collect(),
    };
    write_docs(&commands, reply);
    Ok(Next::Continue)
}

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern] -> names, subcommands' included.
fn list(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let all = || registry::commands().iter().flat_map(|command| std::iter::once(command).chain(&command.subcommands));
    let names: Vec<&str> = match call.len() {
        2 => all().map(|command| command.full_name).collect(),
        5 if call.is(2, "filterby") => {
            let wanted = call.arg(4).to_ascii_lowercase();
            let takes = |command: &&Command| {
                let is_category = |it: &&str| it.as_bytes().eq_ignore_ascii_case(&wanted);
                if call.is(3, "aclcat") {
                    categories(command).iter().any(is_category)
                } else {
                    // There are no modules, so none of their commands.
                    call.is(3, "pattern") && glob::matches(&wanted, command.full_name.as_bytes())
                }
            };
            if !["module", "aclcat", "pattern"].iter().any(|filter| call.is(3, filter)) {
                return Err(Error::Syntax);
            }
            all().filter(takes).map(|command| command.full_name).collect()
        }
        _ => return Err(Error::Syntax),
    };
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(Next::Continue)
}

/// COMMAND GETKEYS command [argument ...] -> the keys among the arguments.
fn getkeys(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let (_, keys) = keys_of(call)?;
    reply.array(keys.len());
    keys.iter().for_each(|&(_, key)| reply.bulk(key));
    Ok(Next::Continue)
}

/// COMMAND GETKEYSANDFLAGS command [argument ...] -> the keys among the arguments, each with how it is used.
fn getkeysandflags(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let (command, keys) = keys_of(call)?;
    let uses = details::key_uses(command.full_name);
    reply.array(keys.len());
    for (i, (_, key)) in keys.iter().enumerate() {
        let mut used = uses.get(i).or(uses.last()).copied().unwrap_or_default();
        if command.full_name == "set" {
            // Only with GET does it read.
            let returns_old = call.args(5).any(|arg| arg.eq_ignore_ascii_case(b"get"));
            used = if returns_old { "RW access update" } else { "OW update" };
        }
        reply.array(2);
        reply.bulk(key);
        write_words(flags_of_use(used), reply);
    }
    Ok(Next::Continue)
}

/// The command or subcommand with this full name.
fn named(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|&byte| byte == b'|') {
        None => find(name),
        Some(bar) => subcommand(find(&name[..bar])?, &name[bar + 1..]),
    }
}

type KeyAt<'a> = (usize, &'a [u8]);

/// The command that is given as arguments from number 2 on, and its keys.
fn keys_of<'a>(call: &Call<'a>) -> Result<(&'static Command, Vec<KeyAt<'a>>), Error> {
    const INVALID: Error = Error::Other("ERR Invalid command specified");
    let mut command = find(call.arg(2)).ok_or(INVALID)?;
    if !command.subcommands.is_empty() && call.len() > 3 {
        command = subcommand(command, call.arg(3)).ok_or(INVALID)?;
    }
    if command.spec.keys.is_none() {
        return Err(Error::Other("ERR The command has no key arguments"));
    }
    let count = call.len() - 2;
    if !command.spec.arity.allows(count) {
        return Err(Error::Other("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    let arguments = Arguments { input: call.input, spans: &call.spans[2..] };
    command.spec.keys.each(arguments, |place| keys.push((place.arg, call.arg(place.arg + 2))));
    if keys.is_empty() {
        return Err(Error::Other("ERR Invalid arguments specified for command"));
    }
    Ok((command, keys))
}

/// The ten elements of a command's description.
fn write_info(command: &Command, reply: &mut Reply) {
    reply.array(10);
    reply.bulk(command.full_name.as_bytes());
    reply.integer(command.spec.arity.code());
    write_words(SHOWN.iter().filter(|(flag, _)| command.flags.has(*flag)).map(|(_, name)| *name), reply);
    command.spec.keys.codes().into_iter().for_each(|code| reply.integer(code));
    let categories = categories(command);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(&format!("@{category}")));
    let tips = details::tips(command.full_name);
    reply.set(tips.len());
    tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    write_key_specs(command, reply);
    match command.subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    command.subcommands.iter().for_each(|sub| write_info(sub, reply));
}

/// The flags that COMMAND shows, in Redis' order. It hides `sentinel` and `touches_arbitrary_keys`.
const SHOWN: &[(Flags, &str)] = &[
    (Flags::WRITE, "write"),
    (Flags::READONLY, "readonly"),
    (Flags::DENYOOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::NOSCRIPT, "noscript"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::SKIP_MONITOR, "skip_monitor"),
    (Flags::SKIP_SLOWLOG, "skip_slowlog"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::MAY_REPLICATE, "may_replicate"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::ALLOW_BUSY, "allow_busy"),
];

/// The ACL categories that a group stands for.
const OF_GROUP: &[(&str, &str)] = &[
    ("generic", "keyspace"),
    ("set", "set"),
    ("sorted-set", "sortedset"),
    ("list", "list"),
    ("hash", "hash"),
    ("string", "string"),
    ("bitmap", "bitmap"),
    ("hyperloglog", "hyperloglog"),
    ("geo", "geo"),
    ("stream", "stream"),
    ("pubsub", "pubsub"),
    ("connection", "connection"),
    ("transactions", "transaction"),
    ("scripting", "scripting"),
];

/// Commands that are dangerous without being for operators alone: they look at, or remove, everything.
const DANGEROUS: &[&str] = &["keys", "flushdb", "flushall", "info", "role"];

/// The ACL categories of a command, in Redis' order and without `@`.
fn categories(command: &Command) -> Vec<&'static str> {
    let flags = command.flags;
    // A container is nothing by itself.
    let is_container = matches!(command.spec.run, Run::Container(_));
    let group = OF_GROUP.iter().find(|(group, _)| *group == command.group && !is_container).map(|(_, name)| *name);
    // Documented with the server, but for every connection, or about keys.
    let group = match command.full_name {
        name if name.starts_with("command") => Some("connection"),
        "dbsize" | "flushdb" | "flushall" => Some("keyspace"),
        _ => group,
    };
    let is_admin = flags.has(Flags::ADMIN) || command.full_name == "role";
    let own = |name| group == Some(name);
    let is_early = |name: &str| !["connection", "transaction", "scripting"].contains(&name);
    let all = [
        (own("keyspace"), "keyspace"),
        (flags.has(Flags::READONLY), "read"),
        (flags.has(Flags::WRITE), "write"),
        (group.is_some_and(|name| name != "keyspace" && is_early(name)), group.unwrap_or_default()),
        (is_admin, "admin"),
        (flags.has(Flags::FAST), "fast"),
        (!flags.has(Flags::FAST), "slow"),
        (is_admin || DANGEROUS.contains(&command.full_name), "dangerous"),
        (group.is_some_and(|name| !is_early(name)), group.unwrap_or_default()),
    ];
    all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name).collect()
}

/// Where a command's keys are and how they are used, as Redis 7 describes it.
fn write_key_specs(command: &Command, reply: &mut Reply) {
    let Keys::Range { first, last, step } = command.spec.keys else { return reply.set(0) };
    let uses = details::key_uses(command.full_name);
    reply.set(uses.len());
    for (i, used) in uses.iter().enumerate() {
        let note = used.split_once("; ").map(|(_, note)| note);
        reply.map(if note.is_some() { 4 } else { 3 });
        if let Some(note) = note {
            reply.bulk(b"notes");
            reply.bulk(note.as_bytes());
        }
        reply.bulk(b"flags");
        write_words(flags_of_use(used), reply);
        // Keys that are used alike are one range; otherwise each is one of its own, and the last use is that of the rest.
        let at = i64::from(first) + i as i64 * i64::from(step);
        let (last, step) = match (uses.len(), last) {
            (count, last) if last < 0 && i + 1 == count => (i64::from(last), i64::from(step)),
            (1, last) => (i64::from(last) - at, i64::from(step)),
            _ => (0, 1),
        };
        reply.bulk(b"begin_search");
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(b"index");
        reply.bulk(b"spec");
        reply.map(1);
        reply.bulk(b"index");
        reply.integer(at);
        reply.bulk(b"find_keys");
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(b"range");
        reply.bulk(b"spec");
        reply.map(3);
        reply.bulk(b"lastkey");
        reply.integer(last);
        reply.bulk(b"keystep");
        reply.integer(step);
        reply.bulk(b"limit");
        reply.integer(0);
    }
}

fn write_docs(commands: &[&Command], reply: &mut Reply) {
    reply.map(commands.len());
    for command in commands {
        let spec = command.spec;
        let fields = [
            ("summary", spec.summary),
            ("since", spec.since),
            ("group", command.group),
            ("complexity", spec.complexity),
        ];
        reply.bulk(command.full_name.as_bytes());
        let has_arguments = !syntax::of(command.full_name).is_empty();
        reply.map(fields.len() + usize::from(has_arguments) + usize::from(!command.subcommands.is_empty()));
        for (name, value) in fields {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
        if has_arguments {
            reply.bulk(b"arguments");
            syntax::write_arguments(command, reply);
        }
        if !command.subcommands.is_empty() {
            reply.bulk(b"subcommands");
            write_docs(&command.subcommands.iter().collect::<Vec<_>>(), reply);
        }
    }
}

fn flags_of_use(used: &str) -> impl Iterator<Item = &str> {
    used.split(';').next().unwrap_or_default().split(' ')
}

/// A set of words as statuses.
fn write_words<'a>(words: impl Iterator<Item = &'a str>, reply: &mut Reply) {
    let words: Vec<&str> = words.collect();
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}
