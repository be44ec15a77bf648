//! HELP of the containers, written from the table.

use super::{Arity, Call, Flags, Keys, Next, Run, Spec, find, syntax};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::Session;

/// The row of a container's HELP.
pub(super) const fn row(flags: Flags, since: &'static str) -> Spec {
    Spec {
        name: "help",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(of_container),
        flags,
        since,
        complexity: "O(1)",
        summary: "Returns helpful text about the different subcommands.",
    }
}

/// `<container>` HELP -> lines about its subcommands.
fn of_container(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let lines = lines(container_of(call));
    reply.array(lines.len());
    for line in lines {
        reply.simple(&line);
    }
    Ok(Next::Continue)
}

/// Writes Redis' error for a subcommand whose number of arguments fits no form of it.
pub(super) fn wrong_form(call: &Call<'_>, reply: &mut Reply) {
    let name = call.arg(1);
    // 128: as much as Redis shows.
    let name = &name[..name.len().min(128)];
    let container = container_of(call).to_ascii_uppercase();
    let head = b"ERR unknown subcommand or wrong number of arguments for '";
    reply.error([&head[..], name, b"'. Try ", container.as_bytes(), b" HELP."].concat());
}

/// The name of the container to which the running subcommand belongs.
fn container_of(call: &Call<'_>) -> &'static str {
    let full_name = call.command.full_name;
    full_name.split_once('|').map_or(full_name, |(container, _)| container)
}

fn lines(container: &str) -> Vec<String> {
    let mut lines =
        vec![format!("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container.to_ascii_uppercase())];
    let subcommands = find(container.as_bytes()).map(|command| command.subcommands.as_slice()).unwrap_or_default();
    // HELP comes last, as in Redis.
    let (help, others): (Vec<_>, Vec<_>) = subcommands.iter().partition(|command| command.spec.name == "help");
    for command in others {
        let name = command.spec.name.to_ascii_uppercase();
        let syntax = syntax::of(command.full_name);
        lines.push(if syntax.is_empty() { name } else { format!("{name} {syntax}") });
        lines.push(format!("    {}", command.spec.summary));
    }
    if !help.is_empty() {
        lines.push("HELP".to_owned());
        lines.push("    Prints this help.".to_owned());
    }
    lines
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_container_has_help_for_every_subcommand() {
        for command in super::super::commands().iter().filter(|command| !command.subcommands.is_empty()) {
            let lines = lines(command.spec.name);
            assert_eq!(lines.len(), 1 + 2 * command.subcommands.len(), "{}", command.spec.name);
            assert_eq!(lines[lines.len() - 2], "HELP", "{}", command.spec.name);
        }
    }
}
