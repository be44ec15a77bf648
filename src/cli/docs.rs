//! What the server's commands take: from its COMMAND DOCS, or from a small table of our own where it has none.
//!
//! HELP, the grey hints, completion and colours all read this.

use std::collections::BTreeMap;

use crate::resp::Reply;

/// The documentation of one command or subcommand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc {
    /// In upper case, a subcommand behind its container: `CONFIG SET`.
    pub name: String,
    pub group: String,
    pub since: String,
    pub summary: String,
    pub syntax: Vec<Argument>,
}

/// One argument as it stands in a syntax line.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// As shown: `key`, `[NX|XX]`, `[COUNT count]`, `[key ...]`.
    pub text: String,
    pub is_key: bool,
}

impl Argument {
    /// The fixed words that may begin this argument: NX and XX of `[NX|XX]`.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        let inner = self.text.trim_matches(['[', ']']);
        inner.split('|').filter_map(|choice| choice.split([' ', '[']).next()).filter(|word| is_token(word))
    }

    /// How many words follow the token `token` in this argument: 1 for `EX seconds`.
    fn words_behind(&self, token: &str) -> usize {
        let inner = self.text.trim_matches(['[', ']']);
        let choices = inner.split('|');
        let mut words = choices.map(|choice| choice.split(' ').map(|word| word.trim_matches(['[', ']'])));
        let found = words.find(|words| words.clone().next().is_some_and(|word| word.eq_ignore_ascii_case(token)));
        found.map_or(0, |words| words.skip(1).filter(|word| !is_token(word)).count())
    }
}

/// All documented commands, by their upper-case name.
#[derive(Clone, Debug, Default)]
pub struct Docs(BTreeMap<String, Doc>);

impl Docs {
    /// Our own table, for servers without COMMAND DOCS.
    pub fn own() -> Docs {
        let lines = include_str!("commands.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut group = "";
        let mut docs = BTreeMap::new();
        for line in lines {
            if let Some(name) = line.strip_prefix('@') {
                group = name;
                continue;
            }
            let (name, syntax) = own_line(line);
            let doc = Doc { name: name.clone(), group: group.into(), syntax, ..Doc::default() };
            docs.insert(name, doc);
        }
        Docs(docs)
    }

    /// The reply to COMMAND DOCS; `None` when it is none or documents nothing.
    pub fn of(reply: &Reply) -> Option<Docs> {
        let mut docs = BTreeMap::new();
        for (name, fields) in reply.pairs() {
            let name = name.text().to_uppercase();
            if let Some(subcommands) = fields.field("subcommands") {
                for (sub, fields) in subcommands.pairs() {
                    let doc = doc(&sub.text().to_uppercase().replace('|', " "), fields);
                    docs.insert(doc.name.clone(), doc);
                }
            }
            docs.insert(name.clone(), doc(&name, fields));
        }
        // A server may know its commands and not document their arguments; ours stand in then.
        if docs.values().all(|doc: &Doc| doc.syntax.is_empty()) {
            for (name, own) in Docs::own().0 {
                docs.entry(name).and_modify(|doc| doc.syntax = own.syntax);
            }
        }
        (!docs.is_empty()).then_some(Docs(docs))
    }

    /// The command that `words` begin with: a subcommand when the second word names one. Also returns how many words
    /// its name has.
    pub fn find(&self, words: &[Vec<u8>]) -> Option<(&Doc, usize)> {
        let upper = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).to_uppercase());
        let first = upper(0)?;
        let sub = upper(1).and_then(|second| self.0.get(&format!("{first} {second}")));
        sub.map(|doc| (doc, 2)).or_else(|| self.0.get(&first).map(|doc| (doc, 1)))
    }

    pub fn get(&self, name: &str) -> Option<&Doc> {
        self.0.get(&name.to_uppercase())
    }

    pub fn all(&self) -> impl Iterator<Item = &Doc> {
        self.0.values()
    }

    /// Whether `name` has subcommands.
    pub fn is_container(&self, name: &str) -> bool {
        self.subcommands(name).next().is_some()
    }

    /// The second words of a container's subcommands.
    pub fn subcommands(&self, name: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{} ", name.to_uppercase());
        let range = self.0.range(prefix.clone()..).take_while({
            let prefix = prefix.clone();
            move |(name, _)| name.starts_with(&prefix)
        });
        range.map(move |(name, _)| &name[prefix.len()..])
    }
}

impl Doc {
    pub fn syntax_line(&self) -> String {
        self.syntax.iter().map(|argument| argument.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// What may still follow the arguments `typed` (without the command's name).
    pub fn rest(&self, typed: &[Vec<u8>]) -> Vec<&Argument> {
        self.place(typed).0
    }

    /// The argument that the word behind `typed` would be, as far as it is a fixed place.
    pub fn next_is_key(&self, typed: &[Vec<u8>]) -> bool {
        self.place(typed).1.is_some_and(|argument| argument.is_key)
    }

    /// Assigns the typed words to arguments, left to right: a word that is an option's token takes the option's words
    /// with it, any other fills the next place.
    fn place(&self, typed: &[Vec<u8>]) -> (Vec<&Argument>, Option<&Argument>) {
        let mut left: Vec<&Argument> = self.syntax.iter().collect();
        let mut at = 0;
        while at < typed.len() {
            let word = String::from_utf8_lossy(&typed[at]).into_owned();
            let is_word = |argument: &&Argument| argument.tokens().any(|token| token.eq_ignore_ascii_case(&word));
            if let Some(option) = left.iter().position(is_word) {
                at += 1 + left[option].words_behind(&word);
                if at > typed.len() {
                    // The option's own words are still to come.
                    let missing = left.remove(option);
                    left.insert(0, missing);
                    return (left, None);
                }
                let used = left.remove(option);
                if used.text.contains("...") {
                    left.insert(option.min(left.len()), used);
                }
                continue;
            }
            at += 1;
            let plain = |argument: &&Argument| argument.tokens().next().is_none();
            match left.iter().position(plain) {
                // A repeated argument stays for the next word.
                Some(place) if !left[place].text.ends_with("...]") => {
                    left.remove(place);
                }
                _ => {}
            }
        }
        let next = left.iter().copied().find(|argument| argument.tokens().next().is_none());
        (left, next)
    }
}

fn is_token(word: &str) -> bool {
    !word.is_empty() && !word.bytes().any(|byte| byte.is_ascii_lowercase()) && word != "..."
}

fn doc(name: &str, fields: &Reply) -> Doc {
    let text = |field: &str| fields.field(field).map(Reply::text).unwrap_or_default();
    let syntax = fields.field("arguments").map(|list| list.items().iter().flat_map(argument).collect());
    Doc {
        name: name.into(),
        group: text("group"),
        since: text("since"),
        summary: text("summary"),
        syntax: syntax.unwrap_or_default(),
    }
}

/// An argument of COMMAND DOCS; one that may be repeated gives two, `key` and `[key ...]`, unless it is optional.
fn argument(fields: &Reply) -> Vec<Argument> {
    let flag = |wanted: &str| {
        fields.field("flags").is_some_and(|flags| flags.items().iter().any(|flag| flag.text() == wanted))
    };
    let is_key = fields.field("type").is_some_and(|kind| kind.text() == "key");
    let token = fields.field("token").map(Reply::text);
    let body = body(fields);
    let (optional, multiple, with_token) = (flag("optional"), flag("multiple"), flag("multiple_token"));
    let once = match &token {
        // An empty token is how COMMAND DOCS writes a literal pair of quotes.
        Some(token) if token.is_empty() => format!("\"\" {body}").trim_end().to_string(),
        Some(token) if !body.is_empty() => format!("{token} {body}"),
        Some(token) => token.clone(),
        None => body.clone(),
    };
    let again = if with_token { once.clone() } else { body };
    let argument = |text: String| Argument { text, is_key };
    match (optional, multiple) {
        (true, true) => vec![argument(format!("[{once} [{again} ...]]"))],
        (true, false) => vec![argument(format!("[{once}]"))],
        (false, true) => vec![argument(once), argument(format!("[{again} ...]"))],
        (false, false) => vec![argument(once)],
    }
}

/// What stands behind an argument's token: its name, its choices or its parts.
fn body(fields: &Reply) -> String {
    let parts = || -> Vec<String> {
        let list = fields.field("arguments").map(Reply::items).unwrap_or_default();
        list.iter().map(|part| join(&argument(part), " ")).collect()
    };
    match fields.field("type").map(Reply::text).unwrap_or_default().as_str() {
        "pure-token" => String::new(),
        "oneof" => parts().join("|"),
        "block" => parts().join(" "),
        _ => fields.field("display_text").or_else(|| fields.field("name")).map(Reply::text).unwrap_or_default(),
    }
}

fn join(arguments: &[Argument], between: &str) -> String {
    arguments.iter().map(|argument| argument.text.as_str()).collect::<Vec<_>>().join(between)
}

/// A line of our own table: the name in upper case, then the arguments. A subcommand's name is its container's with a
/// bar: `CONFIG|SET`.
fn own_line(line: &str) -> (String, Vec<Argument>) {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut arguments: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    for word in rest.split_whitespace() {
        match arguments.last_mut().filter(|_| depth > 0) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => arguments.push(word.into()),
        }
        depth += word.matches('[').count();
        depth -= word.matches(']').count().min(depth);
    }
    let is_key =
        |text: &str| ["key", "newkey", "source", "destination"].contains(&text.trim_matches(['[', ']', '.', ' ']));
    let arguments = arguments.into_iter().map(|text| Argument { is_key: is_key(&text), text }).collect();
    (name.replace('|', " "), arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(line: &str) -> String {
        let docs = Docs::own();
        let words = crate::quote::split(line.as_bytes()).expect("good quotes");
        let (doc, named) = docs.find(&words).expect("known command");
        join(&doc.rest(&words[named..]).into_iter().cloned().collect::<Vec<_>>(), " ")
    }

    #[test]
    fn our_own_table_is_sound() {
        let docs = Docs::own();
        assert!(docs.all().count() > 150, "{}", docs.all().count());
        for doc in docs.all() {
            let text = doc.syntax_line();
            assert_eq!(text.matches('[').count(), text.matches(']').count(), "{}", doc.name);
            assert!(!doc.group.is_empty(), "{}", doc.name);
        }
        assert!(docs.is_container("config") && !docs.is_container("get"));
    }

    #[test]
    fn hints_shrink_while_one_types() {
        assert_eq!(rest("get"), "key");
        assert_eq!(rest("get a"), "");
        assert_eq!(rest("mget a b"), "[key ...]");
        assert_eq!(rest("config set"), "parameter value [parameter value ...]");
        assert!(rest("set a").starts_with("value [NX|XX]"));
        assert!(!rest("set a b nx").contains("NX"));
        assert!(rest("set a b ex").starts_with("[EX seconds"));
        assert!(!rest("set a b ex 5").contains("EX seconds"));
    }

    #[test]
    fn key_places_are_known() {
        let docs = Docs::own();
        let next_is_key = |line: &str| {
            let words = crate::quote::split(line.as_bytes()).expect("good quotes");
            let (doc, named) = docs.find(&words).expect("known command");
            doc.next_is_key(&words[named..])
        };
        assert!(next_is_key("get") && next_is_key("del a b") && next_is_key("rename a"));
        assert!(!next_is_key("set a") && !next_is_key("config get"));
    }
}
