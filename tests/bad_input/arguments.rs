//! Every argument that is a number, an ID or a pattern, with every hostile value (`arguments.txt`), in every state that a
//! connection may be in: the reply that is expected, the connection still in step, the others answered meanwhile, memory bounded.

mod file;
mod stage;

use std::collections::BTreeSet;

use crate::support::{Peer, Server, Value, same_as_redis};
use file::{Answer, File, Line, Row};
use stage::{Stage, State};

/// With this variable set, the file is written anew from the servers' answers.
const WRITE: &str = "KIBA_WRITE_ARGUMENTS";

same_as_redis! {
    fn hostile_arguments(peer) {
        if std::env::var_os(WRITE).is_some() {
            return;
        }
        let file = File::read();
        let mut stage = Stage::new(peer, &file);
        let (mut count, mut failures) = (0, Vec::new());
        for row in &file.rows {
            let lines: Vec<&Line> =
                row.lines.iter().filter(|line| peer != Peer::Redis || is_for_redis(row, line)).collect();
            for line in &lines {
                for value in &line.values {
                    count += 1;
                    failures.extend(stage.check(row, value, &line.answer, State::Plain));
                }
            }
            // In the other states, one that is refused and one that is not will do, and those that are dangerous.
            let is_error = |line: &Line| matches!(&line.answer, Answer::Begins(text) if text.starts_with('-'));
            let mut seen = [false; 2];
            for line in lines {
                let is_seen = std::mem::replace(&mut seen[usize::from(is_error(line))], true);
                let states = State::OTHERS.into_iter().filter(|state| row.allows(*state) && (!is_seen || line.is_deadly));
                for state in states {
                    count += 1;
                    failures.extend(stage.check(row, &line.values[0], &line.answer, state));
                }
            }
        }
        eprintln!("{peer:?}: {count} cases");
        assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
        assert!(count >= 1500, "only {count} cases");
    }
}

/// Whether redis-server is asked for it.
fn is_for_redis(row: &Row, line: &Line) -> bool {
    !row.is_new && !line.is_deadly && !line.is_different
}

#[test]
fn every_hostile_argument_of_every_command_has_a_row() {
    let file = File::read();
    let server = Peer::Sharded.start();
    let mut missing = BTreeSet::new();
    for (command, argument, kind) in arguments(&server) {
        let class = file.class_of(&command, &argument);
        if class.is_none() && matches!(kind.as_str(), "integer" | "double" | "unix-time" | "pattern") {
            missing.insert(format!("{command}: {argument} is of no class"));
        }
        let has_row = file.rows.iter().any(|row| row.is_of(&command) && row.argument == argument);
        if class.is_some() && !has_row {
            missing.insert(format!("{command}: no row has {{{argument}}}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_value_of_a_row_has_one_answer() {
    if std::env::var_os(WRITE).is_some() {
        return;
    }
    let file = File::read();
    for row in &file.rows {
        let mut expected = file.values_of(row);
        expected.sort();
        let mut found: Vec<&str> = row.lines.iter().flat_map(|line| &line.values).map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", row.text);
    }
}

/// The arguments of all commands: the command in lower case, the argument's name, its type.
fn arguments(server: &Server) -> Vec<(String, String, String)> {
    fn field(docs: &[Value], name: &str) -> Option<Value> {
        docs.chunks(2).find(|pair| pair[0].text() == name).map(|pair| pair[1].clone())
    }
    fn visit(command: &str, arguments: &Value, found: &mut Vec<(String, String, String)>) {
        for argument in arguments.items() {
            let text = |name| field(argument.items(), name).map(|value| value.text()).unwrap_or_default();
            match field(argument.items(), "arguments") {
                Some(inner) => visit(command, &inner, found),
                None if text("type") == "pure-token" => {}
                None => found.push((command.to_owned(), text("name"), text("type"))),
            }
        }
    }
    fn visit_all(docs: &Value, found: &mut Vec<(String, String, String)>) {
        for pair in docs.items().chunks(2) {
            if let Some(arguments) = field(pair[1].items(), "arguments") {
                visit(&pair[0].text().replace('|', " "), &arguments, found);
            }
            if let Some(subcommands) = field(pair[1].items(), "subcommands") {
                visit_all(&subcommands, found);
            }
        }
    }
    let mut found = Vec::new();
    visit_all(&server.client().call("COMMAND DOCS"), &mut found);
    found
}

/// Writes the lines below the rows: what redis-server answers, or Kiba where that differs or is not asked.
#[test]
fn the_file_is_written_when_it_is_wanted() {
    if std::env::var_os(WRITE).is_none() {
        return;
    }
    let mut file = File::read();
    let mut stages: Vec<Stage> = [Peer::Redis, Peer::Sharded, Peer::Channel].map(|peer| Stage::new(peer, &file)).into();
    let all: Vec<Vec<String>> =
        file.rows.iter().map(|row| file.values_of(row).into_iter().map(str::to_owned).collect()).collect();
    for (row, values) in file.rows.iter_mut().zip(all) {
        eprintln!("{}", row.text);
        let deadly: Vec<Line> = std::mem::take(&mut row.lines).into_iter().filter(|line| line.is_deadly).collect();
        for value in values {
            if deadly.iter().any(|line| line.values.contains(&value)) {
                continue;
            }
            let found: Vec<Answer> = stages
                .iter_mut()
                .filter(|stage| !row.is_new || stage.peer() != Peer::Redis)
                .map(|stage| stage.ask(row, &value))
                .collect();
            let answer = found.last().expect("two engines at least").clone();
            assert_eq!(found[found.len() - 2..][0], answer, "the engines differ: {} {value}", row.text);
            let is_different = found[0] != answer;
            if is_different {
                eprintln!("  {value}: {} => {answer}", found[0]);
            }
            match row.lines.iter_mut().find(|line| line.answer == answer && line.is_different == is_different) {
                Some(line) => line.values.push(value),
                None => row.lines.push(Line { values: vec![value], answer, is_different, is_deadly: false }),
            }
        }
        row.lines.extend(deadly);
    }
    file.write();
}
