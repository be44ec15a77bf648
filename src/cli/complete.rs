//! The tab key: commands, subcommands, options, and keys of the server.

use std::time::{Duration, Instant};

use reedline::{Completer, CompletionResult, Span, Suggestion};

use crate::args;
use crate::docs::Docs;
use crate::hints::Shared;
use crate::quote;
use crate::resp::Reply;
use crate::session::Session;

/// What one press of the key may cost: steps of SCAN, each over about a thousand keys and well below a millisecond of
/// a server's time; the time of the one who waits; and keys, more than a menu can show.
const STEPS_MAX: usize = 50;
const PATIENCE: Duration = Duration::from_millis(300);
const KEYS_MAX: usize = 50;

/// The prompt's own words.
const OWN: [&str; 5] = ["clear", "connect", "exit", "help", "quit"];

pub struct Completions {
    pub session: Shared,
}

impl Completer for Completions {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let suggestions = match self.session.lock() {
            Ok(mut session) => suggestions(&mut session, &line[..pos]),
            Err(_) => Vec::new(),
        };
        CompletionResult::fresh(suggestions)
    }
}

fn suggestions(session: &mut Session, line: &str) -> Vec<Suggestion> {
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (before, word) = line.split_at(start);
    let Some(mut words) = quote::split(before.as_bytes()) else { return Vec::new() };
    if words.len() > 1 && words[0].iter().all(u8::is_ascii_digit) {
        words.remove(0);
    }
    let docs = session.docs();
    let span = Span::new(start, line.len());
    let suggest = |value: String, description: Option<String>| Suggestion {
        value,
        description,
        span,
        append_whitespace: true,
        ..Suggestion::default()
    };
    if words.is_empty() {
        return commands(&docs, word).into_iter().map(|(name, text)| suggest(name, Some(text))).collect();
    }
    let first = String::from_utf8_lossy(&words[0]).into_owned();
    if first.eq_ignore_ascii_case("help") {
        return topics(&docs, word).into_iter().map(|name| suggest(name, None)).collect();
    }
    if words.len() == 1 && docs.is_container(&first) {
        let starts = |sub: &&str| sub.starts_with(&word.to_uppercase());
        let known = docs.subcommands(&first).filter(starts);
        let describe = |sub: &str| docs.get(&format!("{first} {sub}")).map(|doc| doc.summary.clone());
        return known.map(|sub| suggest(cased(sub, word, &first), describe(sub))).collect();
    }
    let tool = first.trim_start_matches('.');
    let tool_key = (args::TOOLS.contains(&tool) && tool == "peek").then_some(true);
    let Some((doc, named)) = docs.find(&words) else {
        return match tool_key {
            Some(_) => keys(session, word).into_iter().map(|key| suggest(key, None)).collect(),
            None => Vec::new(),
        };
    };
    let typed = &words[named..];
    let mut found: Vec<Suggestion> = doc
        .rest(typed)
        .iter()
        .flat_map(|argument| argument.tokens())
        .filter(|token| !word.is_empty() && token.starts_with(&word.to_uppercase()))
        .map(|token| suggest(cased(token, word, &first), None))
        .collect();
    if doc.next_is_key(typed) {
        found.extend(keys(session, word).into_iter().map(|key| suggest(key, None)));
    }
    found
}

fn commands(docs: &Docs, word: &str) -> Vec<(String, String)> {
    let upper = word.to_uppercase();
    let known = docs.all().filter(|doc| !doc.name.contains(' ') && doc.name.starts_with(&upper));
    let mut found: Vec<_> = known.map(|doc| (cased(&doc.name, word, word), doc.summary.clone())).collect();
    let own = OWN.iter().filter(|name| !word.is_empty() && name.starts_with(&word.to_lowercase()));
    found.extend(own.map(|name| (name.to_string(), "the prompt's own".to_string())));
    if let Some(word) = word.strip_prefix('.') {
        let tools = args::TOOLS.iter().filter(|name| name.starts_with(word));
        found.extend(tools.map(|name| (format!(".{name}"), "a tool of kiba-cli".to_string())));
    }
    found
}

fn topics(docs: &Docs, word: &str) -> Vec<String> {
    if let Some(prefix) = word.strip_prefix('@') {
        let mut groups: Vec<_> =
            docs.all().map(|doc| doc.group.clone()).filter(|group| group.starts_with(prefix)).collect();
        groups.sort();
        groups.dedup();
        return groups.into_iter().map(|group| format!("@{group}")).collect();
    }
    commands(docs, word).into_iter().map(|(name, _)| name).collect()
}

/// `name` in the case that the user types in.
fn cased(name: &str, word: &str, first: &str) -> String {
    let sample = if word.is_empty() { first } else { word };
    match sample.chars().any(char::is_uppercase) {
        true => name.to_string(),
        false => name.to_lowercase(),
    }
}

/// Keys that begin with `word`, in order, as they would be typed.
fn keys(session: &mut Session, word: &str) -> Vec<String> {
    // Inside of quotes the word has no certain beginning.
    if word.contains(['"', '\'']) {
        return Vec::new();
    }
    let mut pattern: Vec<u8> = Vec::new();
    for byte in word.bytes() {
        if b"*?[]\\".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    let mut cursor = b"0".to_vec();
    let mut keys = Vec::new();
    let began = Instant::now();
    for _ in 0..STEPS_MAX {
        let request = [&b"SCAN"[..], &cursor, b"MATCH", &pattern, b"COUNT", b"1000"];
        let Some(Reply::Array(parts)) = session.ask(&request) else { break };
        let [next, found] = parts.as_slice() else { break };
        keys.extend(found.items().iter().filter_map(Reply::bytes).map(quote::word));
        cursor = next.text().into_bytes();
        if cursor == b"0" || keys.len() >= KEYS_MAX || began.elapsed() >= PATIENCE {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    keys.truncate(KEYS_MAX);
    keys
}
