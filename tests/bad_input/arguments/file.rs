//! The file `arguments.txt`, which explains itself.

use std::collections::BTreeMap;
use std::fmt;

use super::stage::State;
use crate::rows::repeat;
use crate::support::client::words;

const TEXT: &str = include_str!("../arguments.txt");

#[derive(Default)]
pub struct File {
    /// What stands before the rows, as it is.
    head: String,
    /// By class, as they are written.
    values: BTreeMap<String, Vec<String>>,
    /// By argument, perhaps with its command in front.
    classes: BTreeMap<String, String>,
    /// Keys and commands that make them.
    pub data: Vec<(String, String)>,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub text: String,
    template: String,
    /// The name of the argument that values are put in for.
    pub argument: String,
    pub is_new: bool,
    is_early: bool,
    is_loose: bool,
    excluded: Vec<String>,
    /// Keys that it does not name and meets nevertheless.
    with: Vec<String>,
    /// What is to run after each case.
    pub then: Option<String>,
    pub lines: Vec<Line>,
}

/// Values that are answered alike.
pub struct Line {
    pub values: Vec<String>,
    pub answer: Answer,
    /// redis-server answers otherwise.
    pub is_different: bool,
    /// redis-server is not to be asked.
    pub is_deadly: bool,
}

/// The first line of a reply, or of what is looked at of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Closed,
    Begins(String),
}

/// So much of a line is compared.
const BEGINNING: usize = 120;

impl File {
    pub fn read() -> Self {
        let mut file = Self::default();
        let mut section = "";
        for line in TEXT.lines() {
            if section != "[rows]" {
                file.head += line;
                file.head += "\n";
            }
            match line.as_bytes().first() {
                None | Some(b'#') => {}
                Some(b'[') => section = line,
                Some(_) => file.add(section, line),
            }
        }
        file
    }

    fn add(&mut self, section: &str, line: &str) {
        if section == "[rows]" {
            match line.strip_prefix("  ") {
                Some(line) => self.rows.last_mut().expect("a row comes first").lines.push(Line::parse(line)),
                None => self.rows.push(Row::parse(line)),
            }
            return;
        }
        let (name, rest) = line.split_once(": ").unwrap_or_else(|| panic!("no name: {line}"));
        match section {
            "[values]" => {
                self.values.insert(name.to_owned(), split(rest));
            }
            "[arguments]" => self.classes.extend(split(rest).into_iter().map(|word| (word, name.to_owned()))),
            "[data]" => self.data.push((name.to_owned(), rest.to_owned())),
            _ => panic!("in no section: {line}"),
        }
    }

    /// The class of an argument of a command in lower case, if it is one that has hostile values.
    pub fn class_of(&self, command: &str, argument: &str) -> Option<&str> {
        let own = self.classes.get(&format!("{command}.{argument}"));
        own.or_else(|| self.classes.get(argument)).map(String::as_str)
    }

    /// The values that a row is tried with, as they are written.
    pub fn values_of(&self, row: &Row) -> Vec<&str> {
        let command = row.template.to_lowercase();
        let name = command.split(' ').next().expect("never empty");
        let class = self.class_of(name, &row.argument).unwrap_or_else(|| panic!("no class: {}", row.text));
        self.values[class].iter().map(String::as_str).collect()
    }

    /// Writes the file anew, with the lines that the rows have now.
    pub fn write(&self) {
        let mut text = self.head.clone();
        for row in &self.rows {
            text += &format!("{}\n", row.text);
            for line in &row.lines {
                text += &format!("  {line}\n");
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad_input/arguments.txt");
        std::fs::write(path, text).expect("the sources can be written");
    }
}

impl Row {
    fn parse(text: &str) -> Self {
        let (template, options) = text.split_once(" | ").unwrap_or((text, ""));
        let argument = template.split(['{', '}']).nth(1).unwrap_or_else(|| panic!("no argument: {text}"));
        let mut row = Self {
            text: text.to_owned(),
            template: template.to_owned(),
            argument: argument.to_owned(),
            is_new: false,
            is_early: false,
            is_loose: false,
            excluded: Vec::new(),
            with: Vec::new(),
            then: None,
            lines: Vec::new(),
        };
        for option in options.split(", ").filter(|option| !option.is_empty()) {
            match option.split_once(' ') {
                None if option == "new" => row.is_new = true,
                None if option == "early" => row.is_early = true,
                None if option == "loose" => row.is_loose = true,
                Some(("no", state)) => row.excluded.push(state.to_owned()),
                Some(("with", key)) => row.with.push(key.to_owned()),
                Some(("then", command)) => row.then = Some(command.to_owned()),
                _ => panic!("no such option: {text}"),
            }
        }
        row
    }

    /// The arguments of a request with this value.
    pub fn request(&self, value: &str) -> Vec<Vec<u8>> {
        let placeholder = format!("{{{}}}", self.argument);
        let value = words(&repeat(value)).remove(0);
        let put = |word: Vec<u8>| if word == placeholder.as_bytes() { value.clone() } else { word };
        words(&self.template).into_iter().map(put).collect()
    }

    /// Whether it is a row of a command, in lower case, which may be of two words.
    pub fn is_of(&self, command: &str) -> bool {
        let rest = self.template.get(command.len()..);
        self.template.to_lowercase().starts_with(command) && rest.is_some_and(|rest| rest.starts_with(' '))
    }

    /// Whether a key is to be there.
    pub fn needs(&self, key: &str) -> bool {
        self.with.iter().any(|with| with == key) || self.template.split(' ').any(|word| word == key)
    }

    pub fn allows(&self, state: State) -> bool {
        let is_excluded = self.excluded.iter().any(|name| name == state.name());
        !(is_excluded || self.is_early && state == State::Unauthenticated)
    }

    /// What is compared of a reply.
    pub fn answer(&self, reply: Option<&[u8]>) -> Answer {
        let Some(reply) = reply else { return Answer::Closed };
        let line = reply.split(|&byte| byte == b'\r').next().expect("never empty");
        let most = if self.is_loose && line.first() != Some(&b'-') { 1 } else { BEGINNING };
        Answer::Begins(line[..line.len().min(most)].escape_ascii().to_string())
    }
}

impl Line {
    fn parse(text: &str) -> Self {
        let (values, answer) = text.split_once(" => ").unwrap_or_else(|| panic!("no answer: {text}"));
        let (is_different, values) = strip(values, "~ ");
        let (is_deadly, values) = strip(values, "! ");
        let answer = if answer == "closed" { Answer::Closed } else { Answer::Begins(answer.to_owned()) };
        Self { values: split(values), answer, is_different, is_deadly }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match (self.is_different, self.is_deadly) {
            (true, _) => "~ ",
            (_, true) => "! ",
            _ => "",
        };
        write!(f, "{mark}{} => {}", self.values.join(" "), self.answer)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "closed"),
            Self::Begins(line) => write!(f, "{line}"),
        }
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> (bool, &'a str) {
    text.strip_prefix(prefix).map_or((false, text), |rest| (true, rest))
}

/// Splits a line at blanks that are not in quotes; what is quoted stays so.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for letter in line.chars() {
        if letter == ' ' && !is_quoted {
            words.push(String::new());
            continue;
        }
        is_quoted ^= letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        words.last_mut().expect("never empty").push(letter);
    }
    words.retain(|word| !word.is_empty());
    words
}
