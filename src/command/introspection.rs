//! COMMAND: the table of commands, told to clients.

use super::details::{Begin, Find, KeySpec, Use};
use super::{
    Arguments, Arity, Call, Command, Flags, Keys, Next, Place, Run, Spec, details, find, help, registry, subcommand,
    syntax,
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
    help::row(FLAGS, "5.0.0"),
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
    reply.array(keys.len());
    for (i, (_, key)) in keys.iter().enumerate() {
        let mut used = details::use_of_key(command.full_name, i);
        if command.full_name == "set" {
            // Only with GET does it read.
            let returns_old = call.args(5).any(|arg| arg.eq_ignore_ascii_case(b"get"));
            used = Use(if returns_old { "RW access update" } else { "OW update" });
        }
        reply.array(2);
        reply.bulk(key);
        write_words(used.flags(), reply);
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
    command.spec.keys.each(arguments, |Place { arg, .. }| {
        // The same key of two databases is one argument.
        if keys.last().is_none_or(|(last, _)| *last != arg) {
            keys.push((arg, call.arg(arg + 2)));
        }
    });
    // A number of keys that makes no sense leaves the target alone.
    let is_target_only = matches!(command.spec.keys, Keys::Counted { has_target: true, .. }) && keys.len() == 1;
    if keys.is_empty() || is_target_only {
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

/// The flags that COMMAND shows, in Redis' order. It hides `sentinel`, `may_replicate`, `protected` and
/// `touches_arbitrary_keys`.
const SHOWN: &[(Flags, &str)] = &[
    (Flags::WRITE, "write"),
    (Flags::READONLY, "readonly"),
    (Flags::DENYOOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::PUBSUB, "pubsub"),
    (Flags::NOSCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::SKIP_MONITOR, "skip_monitor"),
    (Flags::SKIP_SLOWLOG, "skip_slowlog"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::MOVABLE_KEYS, "movablekeys"),
    (Flags::ALLOW_BUSY, "allow_busy"),
];

/// The ACL categories, in Redis' order.
const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Commands that are dangerous without being for operators alone: they look at, change or remove a lot.
const DANGEROUS: &[&str] =
    &["keys", "flushdb", "flushall", "info", "migrate", "role", "restore", "sort", "sort_ro", "swapdb"];

/// The ACL categories of a command, in Redis' order and without `@`.
fn categories(command: &Command) -> Vec<&'static str> {
    let flags = command.flags;
    let of_group: &[&str] = match (command.full_name, command.group) {
        // Documented elsewhere, but for every connection, about keys, or about several types.
        ("wait" | "waitaof", _) => &["connection"],
        (name, _) if name.starts_with("command") => &["connection"],
        ("dbsize" | "flushdb" | "flushall" | "swapdb", _) => &["keyspace"],
        ("sort" | "sort_ro", _) => &["set", "sortedset", "list"],
        // A container is nothing by itself.
        _ if matches!(command.spec.run, Run::Container(_)) => &[],
        (_, "generic") => &["keyspace"],
        (_, "sorted-set") => &["sortedset"],
        (_, "transactions") => &["transaction"],
        (_, group) => &[group],
    };
    let is_admin = flags.has(Flags::ADMIN) || command.full_name == "role";
    let is_in = |category: &&&str| match **category {
        "read" => flags.has(Flags::READONLY),
        "write" => flags.has(Flags::WRITE),
        "admin" => is_admin,
        "fast" => flags.has(Flags::FAST),
        "slow" => !flags.has(Flags::FAST),
        "pubsub" => flags.has(Flags::PUBSUB),
        "blocking" => flags.has(Flags::BLOCKING),
        "dangerous" => is_admin || DANGEROUS.contains(&command.full_name),
        category => of_group.contains(&category),
    };
    CATEGORIES.iter().filter(is_in).copied().collect()
}

/// Where a command's keys are and how they are used, as Redis 7 describes it.
fn write_key_specs(command: &Command, reply: &mut Reply) {
    let specs = details::key_specs(command);
    reply.set(specs.len());
    for KeySpec { used, begin, find } in specs {
        reply.map(if used.note().is_some() { 4 } else { 3 });
        if let Some(note) = used.note() {
            reply.bulk(b"notes");
            reply.bulk(note.as_bytes());
        }
        reply.bulk(b"flags");
        write_words(used.flags(), reply);
        reply.bulk(b"begin_search");
        match begin {
            Begin::Index(index) => write_search("index", &[("index", index)], reply),
            Begin::Keyword(keyword, from) => {
                write_search_head("keyword", 2, reply);
                reply.bulk(b"keyword");
                reply.bulk(keyword.as_bytes());
                reply.bulk(b"startfrom");
                reply.integer(from);
            }
            Begin::Unknown => write_search("unknown", &[], reply),
        }
        reply.bulk(b"find_keys");
        match find {
            Find::Range { last, step, limit } => {
                write_search("range", &[("lastkey", last), ("keystep", step), ("limit", limit)], reply);
            }
            Find::Counted => write_search("keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)], reply),
            Find::Unknown => write_search("unknown", &[], reply),
        }
    }
}

fn write_search(kind: &str, numbers: &[(&str, i64)], reply: &mut Reply) {
    write_search_head(kind, numbers.len(), reply);
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(*number);
    }
}

fn write_search_head(kind: &str, len: usize, reply: &mut Reply) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(len);
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

/// A set of words as statuses.
fn write_words<'a>(words: impl Iterator<Item = &'a str>, reply: &mut Reply) {
    let words: Vec<&str> = words.collect();
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}
