//! Random commands by the grammar of `grammar.txt`, which explains its notation.

use std::collections::{BTreeMap, HashSet};

use crate::things::{self, Source, Thing};

/// The arguments of a request, the command's name first.
pub type Words = Vec<Vec<u8>>;

const TEXT: &str = include_str!("grammar.txt");

/// The rows that apply to the servers in question.
pub struct Grammar {
    rows: Vec<Row>,
    /// The number of sections.
    sections: usize,
}

/// Which rows come how often.
pub struct Mood {
    /// Running sums of the rows' weights.
    sums: Vec<u32>,
}

/// One row.
struct Row {
    /// The command's name in lower case, with that of its subcommand.
    subject: String,
    /// The number of its family in the text.
    section: usize,
    weight: u32,
    /// Commands that stay together.
    lines: Vec<Node>,
    /// Whether its arguments may be changed at random.
    may_be_spoiled: bool,
    /// Whether its keys must stay what they are.
    is_lex: bool,
}

/// What the text says about one command: its rows, or why there are none.
pub enum Coverage {
    Rows,
    Exempt(&'static str),
}

enum Node {
    /// A keyword.
    Word(&'static str),
    /// What is written as it stands.
    Literal(&'static str),
    Key(usize),
    SameKey,
    Thing(Thing),
    All(Vec<Node>),
    One(Vec<Node>),
    Maybe(Box<Node>),
    Some(Vec<Node>),
    Repeated(Box<Node>, std::ops::Range<usize>),
    Counted(Box<Node>),
    AsCounted(Box<Node>),
}

/// What a row remembers while it is written.
#[derive(Default)]
struct Scope {
    key: Option<Vec<u8>>,
    counted: usize,
}

/// What rows a command has, by the command's name.
pub fn coverage() -> BTreeMap<String, Coverage> {
    let of = |(section, line)| match Row::parse(section, line) {
        Ok(row) => (row.subject, Coverage::Rows),
        Err((name, why)) => (name, Coverage::Exempt(why)),
    };
    lines().map(of).collect()
}

impl Grammar {
    /// All rows whose commands are among `known`; those among `spoiled` may be given wrong arguments.
    pub fn new(known: &HashSet<String>, spoiled: &HashSet<String>) -> Self {
        let mut rows: Vec<Row> = lines().filter_map(|(section, line)| Row::parse(section, line).ok()).collect();
        rows.retain(|row| row.lines.iter().all(|line| known.contains(&name(line))));
        for row in &mut rows {
            row.may_be_spoiled &= spoiled.contains(&row.subject);
        }
        let sections = rows.iter().map(|row| row.section).max().map_or(0, |last| last + 1);
        Self { rows, sections }
    }

    /// A mood in which two of the families come more often than the others, so that their keys are well filled.
    pub fn mood(&self, source: &mut Source) -> Mood {
        const MORE: u32 = 8;
        let favourites = [source.rng.usize(..self.sections), source.rng.usize(..self.sections)];
        let sums = self.rows.iter().scan(0, |sum, row| {
            *sum += row.weight * if favourites.contains(&row.section) { MORE } else { 1 };
            Some(*sum)
        });
        Mood { sums: sums.collect() }
    }

    /// Commands that belong together, most often one.
    pub fn step(&self, mood: &Mood, source: &mut Source) -> Vec<Words> {
        let at = source.rng.u32(..*mood.sums.last().expect("there are rows"));
        let row = &self.rows[mood.sums.partition_point(|&sum| sum <= at)];
        let mut scope = Scope::default();
        let mut lines: Vec<Words> = Vec::new();
        for line in &row.lines {
            let mut words = Words::new();
            line.write(source, &mut scope, &mut words);
            lines.push(words);
        }
        if row.may_be_spoiled && source.rng.u8(..100) < 4 {
            spoil(&mut lines[0], row.is_lex, source);
        }
        lines
    }
}

impl Row {
    /// Reads a row; for a command without rows its name and the reason.
    fn parse(section: usize, line: &'static str) -> Result<Self, (String, &'static str)> {
        if let Some(exempt) = line.strip_prefix("- ") {
            let (name, why) = exempt.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
            return Err((name.to_ascii_lowercase(), why));
        }
        /// So that weights below 1 are whole numbers: it can be divided by all of them.
        const ONE: u32 = 60;
        let (weight, rest) = match line.split_once(' ') {
            Some((number, rest)) if number.starts_with(|letter: char| letter.is_ascii_digit()) => {
                let (over, under) = number.split_once('/').unwrap_or((number, "1"));
                (ONE * over.parse::<u32>().expect("a weight") / under.parse::<u32>().expect("a weight"), rest)
            }
            _ => (ONE, line),
        };
        let (subject, rest) = match rest.split_once(": ") {
            Some((subject, rest)) => (Some(subject.to_ascii_lowercase()), rest),
            None => (None, rest),
        };
        let lines: Vec<Node> = rest.split(" ; ").map(|part| Parser::new(part).all()).collect();
        let may_be_spoiled = subject.is_none() && lines.len() == 1;
        let subject = subject.unwrap_or_else(|| name(&lines[0]));
        Ok(Self { subject, section, weight, lines, may_be_spoiled, is_lex: line.contains("@lex") })
    }
}

impl Node {
    fn write(&self, source: &mut Source, scope: &mut Scope, out: &mut Words) {
        match self {
            Self::Word(word) => out.push(in_some_case(word, source)),
            Self::Literal(text) => out.push(text.as_bytes().to_vec()),
            Self::Key(kind) => {
                let key = things::key(source, *kind);
                scope.key.get_or_insert_with(|| key.clone());
                out.push(key);
            }
            Self::SameKey => out.push(scope.key.clone().expect("a key was written before")),
            Self::Thing(thing) => out.push(thing.make(source)),
            Self::All(nodes) => nodes.iter().for_each(|node| node.write(source, scope, out)),
            Self::One(nodes) => nodes[source.rng.usize(..nodes.len())].write(source, scope, out),
            Self::Maybe(node) if source.rng.bool() => node.write(source, scope, out),
            Self::Maybe(_) => {}
            Self::Some(nodes) => write_some(nodes, source, scope, out),
            Self::Repeated(node, range) => {
                // Few more often than many.
                let count = source.rng.usize(range.clone()).min(source.rng.usize(range.clone()));
                (0..count).for_each(|_| node.write(source, scope, out));
            }
            Self::Counted(node) => {
                let at = out.len();
                node.write(source, scope, out);
                scope.counted = out.len() - at;
                out.insert(at, count(scope.counted, source));
            }
            Self::AsCounted(node) => {
                let slip = if source.rng.u8(..16) > 0 { 0 } else { source.rng.usize(..2) + 1 };
                let count = (scope.counted + slip).saturating_sub(slip / 2 * 3);
                (0..count).for_each(|_| node.write(source, scope, out));
            }
        }
    }
}

fn write_some(nodes: &[Node], source: &mut Source, scope: &mut Scope, out: &mut Words) {
    let mut left: Vec<&Node> = nodes.iter().collect();
    // None in half of all cases, one in a quarter, and so on.
    while !left.is_empty() && source.rng.bool() {
        let at = source.rng.usize(..left.len());
        left[at].write(source, scope, out);
        if source.rng.u8(..10) > 0 {
            left.swap_remove(at);
        }
    }
}

/// A number of things, now and then a wrong one.
fn count(right: usize, source: &mut Source) -> Vec<u8> {
    let wrong = match source.rng.u8(..100) {
        0 => "0",
        1 => "-1",
        2 => "x",
        3 => "9223372036854775807",
        4 => "",
        5 => return (right + 1).to_string().into(),
        6 => return (right - 1).to_string().into(),
        _ => return right.to_string().into(),
    };
    wrong.into()
}

fn in_some_case(word: &str, source: &mut Source) -> Vec<u8> {
    match source.rng.u8(..20) {
        0 => word.to_ascii_lowercase().into(),
        1 => word.bytes().map(|byte| if source.rng.bool() { byte.to_ascii_lowercase() } else { byte }).collect(),
        _ => word.into(),
    }
}

/// Takes an argument away, adds one or replaces one.
fn spoil(words: &mut Words, is_lex: bool, source: &mut Source) {
    let name = 1 + usize::from(words[0].eq_ignore_ascii_case(b"object") || words[0].eq_ignore_ascii_case(b"xinfo"));
    match source.rng.u8(..3) {
        0 if words.len() > name => {
            let at = if is_lex { words.len() - 1 } else { source.rng.usize(name..words.len()) };
            words.remove(at);
        }
        1 if words.len() > name && !is_lex => {
            let at = source.rng.usize(name..words.len());
            words[at] = things::junk(source);
        }
        _ => words.push(things::junk(source)),
    }
}

/// The rows, each with the number of its section.
fn lines() -> impl Iterator<Item = (usize, &'static str)> {
    let mut section = 0;
    let numbered = TEXT.lines().map(move |line| {
        // An empty line separates sections.
        section += usize::from(line.is_empty());
        (section, line)
    });
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The name of a line's command: its first words in capitals where the first is a container.
fn name(line: &Node) -> String {
    const CONTAINERS: [&str; 3] = ["OBJECT", "CONFIG", "XINFO"];
    let Node::All(nodes) = line else { panic!("a line is a sequence") };
    match nodes[..] {
        [Node::Word(container), Node::Word(word), ..] if CONTAINERS.contains(&container) => {
            format!("{container} {word}")
        }
        [Node::Word(word), ..] => word.to_owned(),
        _ => panic!("a line begins with a name"),
    }
    .to_ascii_lowercase()
}

/// Reads one line of a row.
struct Parser {
    tokens: Vec<&'static str>,
    at: usize,
}

impl Parser {
    fn new(mut text: &'static str) -> Self {
        let mut tokens = Vec::new();
        loop {
            text = text.trim_start();
            let Some(first) = text.chars().next() else { break };
            let is_mark = |letter: char| "()[]{}|+=#".contains(letter);
            let len = match first {
                '"' => text[1..].find('"').expect("a closing quote") + 2,
                '*' if text.starts_with("**") => 2,
                '*' => 1,
                letter if is_mark(letter) => 1,
                _ => text.find(|letter: char| letter == ' ' || letter == '*' || is_mark(letter)).unwrap_or(text.len()),
            };
            tokens.push(&text[..len]);
            text = &text[len..];
        }
        Self { tokens, at: 0 }
    }

    fn all(mut self) -> Node {
        let nodes = self.sequence();
        assert!(self.at == self.tokens.len(), "unexpected {} in {:?}", self.tokens[self.at], self.tokens);
        Node::All(nodes)
    }

    fn sequence(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        while let Some(&token) = self.tokens.get(self.at)
            && !matches!(token, ")" | "]" | "}" | "|")
        {
            nodes.push(self.item());
        }
        nodes
    }

    /// Alternatives up to the closing mark.
    fn alternatives(&mut self, end: &str) -> Vec<Node> {
        let mut nodes = vec![Node::All(self.sequence())];
        while self.tokens.get(self.at) == Some(&"|") {
            self.at += 1;
            nodes.push(Node::All(self.sequence()));
        }
        assert_eq!(self.tokens.get(self.at), Some(&end), "in {:?}", self.tokens);
        self.at += 1;
        nodes
    }

    fn item(&mut self) -> Node {
        let token = self.tokens[self.at];
        self.at += 1;
        let node = match token {
            "#" => return Node::Counted(Box::new(self.item())),
            "(" => Node::One(self.alternatives(")")),
            "[" => Node::Maybe(Box::new(Node::One(self.alternatives("]")))),
            "{" => Node::Some(self.alternatives("}")),
            "@@" => Node::SameKey,
            _ => atom(token),
        };
        let range = match self.tokens.get(self.at) {
            Some(&"+") => 1..5,
            Some(&"*") => 0..4,
            Some(&"**") => 40..400,
            Some(&"=") => {
                self.at += 1;
                return Node::AsCounted(Box::new(node));
            }
            _ => return node,
        };
        self.at += 1;
        Node::Repeated(Box::new(node), range)
    }
}

fn atom(token: &'static str) -> Node {
    if let Some(kind) = token.strip_prefix('@') {
        return Node::Key(things::kind(kind).unwrap_or_else(|| panic!("no kind of keys: {kind}")));
    }
    if let Some(thing) = things::thing(token) {
        return Node::Thing(thing);
    }
    if let Some(text) = token.strip_prefix('"') {
        return Node::Literal(text.trim_end_matches('"'));
    }
    if token.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return Node::Word(token);
    }
    assert!(!token.bytes().all(|byte| byte.is_ascii_lowercase()), "no such thing: {token}");
    Node::Literal(token)
}
