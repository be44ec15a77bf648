//! The look-up from a name to its row: a few nanoseconds, no general hash map.

use std::sync::LazyLock;

use super::{Block, FAMILIES, Flags, Run, Spec};

/// A row together with what its place in the table adds.
#[derive(Debug)]
pub struct Command {
    pub spec: &'static Spec,
    /// The family's name, as COMMAND DOCS groups it.
    pub group: &'static str,
    /// With the container's name and `|` in front for a subcommand.
    pub full_name: &'static str,
    /// The row's flags and those that follow from how it runs.
    pub flags: Flags,
    /// A small number that names the command, for [`by_index`].
    pub index: u32,
    pub subcommands: Vec<Command>,
    /// What a first argument makes of it without being a subcommand that clients know.
    pub hidden: Vec<Command>,
}

impl Command {
    fn new(group: &'static str, spec: &'static Spec, container: Option<&str>, next: &mut u32) -> Self {
        let index = *next;
        *next += 1;
        let full_name = match container {
            None => spec.name,
            // Leaked once per subcommand of the static table.
            Some(container) => &*Box::leak(format!("{container}|{}", spec.name).into_boxed_str()),
        };
        let subcommands = spec.run.subcommands().iter();
        let subcommands: Vec<_> = subcommands.map(|sub| Command::new(group, sub, Some(spec.name), next)).collect();
        let is_hidden = matches!(spec.run, Run::SessionElse(..));
        let (subcommands, hidden) = if is_hidden { (Vec::new(), subcommands) } else { (subcommands, Vec::new()) };
        let derived = match spec.run.plain() {
            Run::Read(_) | Run::ReadMany(_) => Flags::READONLY,
            // It changes how values are kept, but not what they mean.
            Run::Write(_) | Run::WriteMany(_) | Run::Block(_) if spec.flags.has(Flags::READONLY) => Flags::NONE,
            Run::Write(_) | Run::WriteMany(_) => Flags::WRITE,
            Run::Block(_) => Flags::WRITE.and(Flags::BLOCKING),
            _ => Flags::NONE,
        };
        let derived = if spec.keys.is_movable() { derived.and(Flags::MOVABLE_KEYS) } else { derived };
        let derived = match spec.run {
            Run::Block(Block { waits: None, .. }) | Run::Walk(_) => derived,
            run if !run.is_data() || spec.flags.has(Flags::PROTECTED) => derived,
            _ => derived.and(Flags::AT_ONCE),
        };
        Self { spec, group, full_name, flags: spec.flags.and(derived), index, subcommands, hidden }
    }

    /// Whether it is one of a container's.
    pub fn is_subcommand(&self) -> bool {
        self.full_name.len() != self.spec.name.len()
    }
}

struct Registry {
    commands: Vec<Command>,
    /// One above the last command's index.
    index_end: u32,
    /// Open addressing by [`fold`]: index + 1 of the command, 0 when free. A quarter full at most.
    slots: Vec<u16>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut next = 0;
    let mut commands = Vec::new();
    for (group, specs) in FAMILIES {
        commands.extend(specs.iter().map(|spec| Command::new(group, spec, None, &mut next)));
    }
    let mut slots = vec![0; (commands.len() * 4).next_power_of_two()];
    for (i, command) in commands.iter().enumerate() {
        let mut at = fold(command.spec.name.as_bytes()) as usize & (slots.len() - 1);
        while slots[at] != 0 {
            at = (at + 1) & (slots.len() - 1);
        }
        slots[at] = i as u16 + 1;
    }
    Registry { commands, index_end: next, slots }
});

/// All commands, in the order of the families.
pub fn commands() -> &'static [Command] {
    &REGISTRY.commands
}

/// How many indices there are: one for each command and subcommand.
pub fn index_end() -> usize {
    REGISTRY.index_end as usize
}

/// The command or subcommand with this index.
pub fn by_index(index: u32) -> Option<&'static Command> {
    commands()
        .iter()
        .flat_map(|command| std::iter::once(command).chain(&command.subcommands).chain(&command.hidden))
        .find(|it| it.index == index)
}

/// Finds a command by its name, in any case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let registry: &'static Registry = &REGISTRY;
    let mask = registry.slots.len() - 1;
    let mut at = fold(name) as usize & mask;
    loop {
        let command = &registry.commands[(registry.slots[at] as usize).checked_sub(1)?];
        if command.spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        at = (at + 1) & mask;
    }
}

/// The name that was looked up last, and what it names: clients repeat themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    name: [u8; Self::LEN],
    found: Option<&'static Command>,
}

impl Recent {
    /// Longer names are not kept: only georadiusbymember and its like are.
    const LEN: usize = 16;

    /// As [`find`].
    #[inline]
    pub fn find(&mut self, name: &[u8]) -> Option<&'static Command> {
        let is_same = |command: &&Command| command.spec.name.len() == name.len() && self.name.starts_with(name);
        self.found.filter(is_same).or_else(|| self.look_up(name))
    }

    fn look_up(&mut self, name: &[u8]) -> Option<&'static Command> {
        let found = find(name);
        if let (Some(_), Some(kept)) = (found, self.name.get_mut(..name.len())) {
            kept.copy_from_slice(name);
            self.found = found;
        }
        found
    }
}

/// Finds a container's subcommand by its name, in any case.
pub fn subcommand(container: &'static Command, name: &[u8]) -> Option<&'static Command> {
    let mut all = container.subcommands.iter().chain(&container.hidden);
    all.find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// A hash of a name that does not depend on its case: length, first bytes and last bytes.
#[inline]
fn fold(name: &[u8]) -> u64 {
    let (head, tail) = match name.len() {
        0 => (0, 0),
        1..4 => (u32::from(name[0]), u32::from(name[name.len() - 1]) << 8 | u32::from(name[name.len() / 2])),
        len => {
            let word = |at: usize| u32::from_le_bytes(*name[at..].first_chunk().expect("at least four bytes left"));
            (word(0), word(len - 4))
        }
    };
    // 0x20 in every byte makes letters lower-case; other bytes may fold together, the comparison sorts that out.
    let folded = (u64::from(head) << 32 | u64::from(tail)) | 0x2020_2020_2020_2020;
    (folded ^ name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::{Arguments, Keys};
    use super::*;
    use crate::lexer::Span;

    fn all() -> impl Iterator<Item = &'static Command> {
        let with_others =
            |command: &'static Command| std::iter::once(command).chain(&command.subcommands).chain(&command.hidden);
        commands().iter().flat_map(with_others)
    }

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        let mut names = BTreeSet::new();
        for command in commands() {
            let name = command.spec.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.bytes().all(|byte| !byte.is_ascii_uppercase()), "{name}");
            assert!(std::ptr::eq(find(name.as_bytes()).expect(name), command));
            assert!(std::ptr::eq(find(name.to_ascii_uppercase().as_bytes()).expect(name), command));
            let mut subcommands = BTreeSet::new();
            for sub in &command.subcommands {
                assert!(subcommands.insert(sub.spec.name), "{} is there twice", sub.full_name);
                assert_eq!(sub.full_name, format!("{name}|{}", sub.spec.name));
                let found = subcommand(command, sub.spec.name.to_ascii_uppercase().as_bytes()).expect(sub.full_name);
                assert!(std::ptr::eq(found, sub));
            }
        }
        for name in [&b""[..], b"g", b"ge", b"gett", b"get ", b"\xff\xff\xff\xff\xff", b"client|list"] {
            assert!(find(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn an_index_names_one_command() {
        for (i, command) in all().enumerate() {
            assert_eq!(command.index as usize, i);
            assert!(std::ptr::eq(by_index(command.index).expect("there"), command));
        }
        assert!(by_index(all().count() as u32).is_none());
    }

    #[test]
    fn every_flag_has_a_bit_of_its_own() {
        let all = Flags::NAMED.iter().fold(0, |all, (flag, name)| {
            assert_eq!(all & flag.0, 0, "{name}");
            all | flag.0
        });
        assert_eq!(all.count_ones() as usize, Flags::NAMED.len());
    }

    #[test]
    fn every_row_is_documented() {
        for command in all() {
            let (spec, name) = (command.spec, command.full_name);
            assert!(spec.summary.ends_with('.') && !spec.summary.contains('\n'), "{name}");
            assert!(!spec.complexity.is_empty(), "{name}");
            assert_eq!(spec.since.split('.').filter(|part| part.parse::<u8>().is_ok()).count(), 3, "{name}");
            assert_eq!(spec.since.split('.').count(), 3, "{name}");
        }
    }

    #[test]
    fn declared_keys_exist_in_every_call_that_the_arity_allows() {
        for command in all() {
            let (spec, name) = (command.spec, command.full_name);
            assert!(spec.arity.code() != 0, "{name}");
            let needs_keys = matches!(
                spec.run.plain(),
                Run::Read(_)
                    | Run::Write(_)
                    | Run::ReadMany(_)
                    | Run::WriteMany(_)
                    | Run::Block(_)
                    | Run::ManyOrWhole { .. }
            );
            assert!(!needs_keys || !spec.keys.is_none(), "{name} reaches keys that it does not declare");
            let Keys::Range { first, last, step } = spec.keys else { continue };
            assert!(first > 0 && step > 0 && (last < 0 || last >= first as i8), "{name}");
            let least = spec.arity.code().unsigned_abs() as usize;
            let places = |count: usize| {
                let spans = vec![Span { start: 0, len: 0 }; count];
                let mut places = Vec::new();
                spec.keys.each(Arguments { input: b"", spans: &spans }, |place| places.push(place.arg));
                places
            };
            assert!(!needs_keys || !places(least).is_empty(), "{name} may be called without a key");
            assert!(places(least).iter().all(|&at| at < least), "{name}");
            if matches!(spec.run.plain(), Run::Read(_) | Run::Write(_)) {
                assert_eq!(places(usize::from(u8::MAX)).len(), 1, "{name} runs on one key");
            }
        }
    }

    /// Where a row differs from Redis on purpose: the command, what differs, and Kiba's value.
    const DIFFERENCES: &[(&str, &str, &str)] = &[
        // DEBUG is one command; that it may read a key is nobody else's affair.
        ("debug|object", "missing", ""),
        // EXEC announces the number of replies before it runs.
        ("client|reply", "flags", "+no_multi"),
        // Both may wait for the disk, and a transaction holds keys.
        ("config|rewrite", "flags", "+no_multi"),
        ("config|set", "flags", "+no_multi"),
        // Deadlines of members are not Redis'; a member may follow the key.
        ("expiremember", "missing", ""),
        ("expirememberat", "missing", ""),
        ("fieldexpire", "missing", ""),
        ("fieldttl", "missing", ""),
        // The error for an unknown subcommand names it.
        ("himport|help", "missing", ""),
        // It waits for the network, and a transaction holds keys.
        ("migrate", "flags", "+no_multi"),
        ("persist", "arity", "-2"),
        ("pexpirememberat", "missing", ""),
        ("pttl", "arity", "-2"),
        ("saddex", "missing", ""),
        ("ttl", "arity", "-2"),
        // The list has none.
        ("delifeq", "since", "9.0.0"),
    ];

    /// Names, arity, since and flags of all commands of Redis 8.0 and Valkey.
    const REDIS: &str = include_str!("../../tests/data/redis-commands.tsv");

    #[test]
    fn rows_agree_with_redis() {
        let rows: BTreeMap<String, Vec<&str>> = REDIS
            .lines()
            .skip(1)
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .map(|row| (row[0].to_ascii_lowercase().replace(' ', "|"), row))
            .collect();
        let mut found = BTreeSet::new();
        for command in all() {
            let name = command.full_name;
            let Some(row) = rows.get(name) else {
                found.insert((name, "missing", String::new()));
                continue;
            };
            let mut compare = |what, ours: String, theirs: &str| {
                if ours != theirs {
                    found.insert((name, what, ours));
                }
            };
            compare("group", command.group.to_owned(), row[1]);
            compare("arity", command.spec.arity.code().to_string(), row[2]);
            compare("since", command.spec.since.to_owned(), row[3]);
            let theirs: Vec<String> = row[4].split(',').map(|flag| flag.replace('-', "_")).collect();
            let differences = Flags::NAMED.iter().filter(|(_, flag)| !flag.is_empty()).filter_map(|&(flag, text)| {
                let is_theirs = theirs.iter().any(|it| it == text);
                let sign = if is_theirs { '-' } else { '+' };
                (command.flags.has(flag) != is_theirs).then(|| format!("{sign}{text}"))
            });
            compare("flags", differences.collect::<Vec<_>>().join(" "), "");
        }
        let accepted: BTreeSet<_> =
            DIFFERENCES.iter().map(|&(name, what, ours)| (name, what, ours.to_owned())).collect();
        let unexpected: Vec<_> = found.difference(&accepted).collect();
        assert!(unexpected.is_empty(), "{unexpected:#?}");
        let stale: Vec<_> = accepted.difference(&found).collect();
        assert!(stale.is_empty(), "no longer differ: {stale:#?}");
    }
}
