//! The look-up from a name to its row: a few nanoseconds, no general hash map.

use std::sync::LazyLock;

use super::{FAMILIES, Flags, Run, Spec};

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
        let subcommands = subcommands.map(|sub| Command::new(group, sub, Some(spec.name), next)).collect();
        let derived = match spec.run {
            Run::Read(_) | Run::ReadMany(_) => Flags::READONLY,
            Run::Write(_) | Run::WriteMany(_) => Flags::WRITE,
            _ => Flags::NONE,
        };
        Self { spec, group, full_name, flags: spec.flags.and(derived), index, subcommands }
    }

    /// Whether it is one of a container's.
    pub fn is_subcommand(&self) -> bool {
        self.full_name.len() != self.spec.name.len()
    }
}

struct Registry {
    commands: Vec<Command>,
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
    Registry { commands, slots }
});

/// All commands, in the order of the families.
pub fn commands() -> &'static [Command] {
    &REGISTRY.commands
}

/// The command or subcommand with this index.
pub fn by_index(index: u32) -> Option<&'static Command> {
    commands()
        .iter()
        .flat_map(|command| std::iter::once(command).chain(&command.subcommands))
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

/// Finds a container's subcommand by its name, in any case.
pub fn subcommand(container: &'static Command, name: &[u8]) -> Option<&'static Command> {
    container.subcommands.iter().find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
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
