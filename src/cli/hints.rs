//! While one types: the arguments that may still come, in grey, and colours for what is there.

use std::sync::{Arc, Mutex};

use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, Hinter, History, StyledText};

use crate::docs::Docs;
use crate::session::Session;
use crate::{args, quote};

/// What the editor's helpers share with the prompt: the session is locked only while a line is edited or run, and
/// both never happen at once.
pub type Shared = Arc<Mutex<Session>>;

/// Grey text behind the cursor: the rest of a line from the history, or the command's remaining arguments.
pub struct Hints {
    pub session: Shared,
    /// The rest of a remembered line, which a right arrow takes over.
    from_history: String,
}

impl Hints {
    pub fn new(session: Shared) -> Hints {
        Hints { session, from_history: String::new() }
    }
}

impl Hinter for Hints {
    fn handle(&mut self, line: &str, pos: usize, history: &dyn History, colours: bool, _cwd: &str) -> String {
        self.from_history.clear();
        let Ok(mut session) = self.session.lock() else { return String::new() };
        if !session.hints || pos < line.len() || line.trim().is_empty() {
            return String::new();
        }
        let mut text = arguments(&session.docs(), line).unwrap_or_default();
        if text.is_empty() {
            let query = reedline::SearchQuery::last_with_prefix(line.to_string(), history.session());
            let found = history.search(query).ok().and_then(|items| items.into_iter().next());
            if let Some(rest) = found.and_then(|item| item.command_line.strip_prefix(line).map(str::to_string)) {
                self.from_history.clone_from(&rest);
                text = rest;
            }
        }
        match colours && !text.is_empty() {
            true => Color::DarkGray.paint(text).to_string(),
            false => text,
        }
    }

    fn complete_hint(&self) -> String {
        self.from_history.clone()
    }

    fn next_hint_token(&self) -> String {
        let end = self.from_history.trim_start().find(' ').map(|end| {
            let skipped = self.from_history.len() - self.from_history.trim_start().len();
            skipped + end
        });
        self.from_history[..end.unwrap_or(self.from_history.len())].to_string()
    }
}

/// The arguments that may still follow `line`; `None` when it begins with no known command.
fn arguments(docs: &Docs, line: &str) -> Option<String> {
    let line = line.trim_start();
    let mut words = quote::split(line.as_bytes())?;
    if words.len() > 1 && words[0].iter().all(u8::is_ascii_digit) {
        words.remove(0);
    }
    let (doc, named) = docs.find(&words)?;
    let begun = !line.ends_with(' ');
    // A name may still become a longer one (SET, SETEX); its arguments are shown once it stands alone.
    let typed = &words[named..];
    let typed = if begun && !typed.is_empty() { &typed[..typed.len() - 1] } else { typed };
    let mut rest = doc.rest(typed);
    if begun && words.len() > named && !rest.is_empty() {
        // The word at the cursor fills the first of the places that are left.
        rest = doc.rest(&words[named..]);
    }
    let mut text = rest.iter().map(|argument| argument.text.as_str()).collect::<Vec<_>>().join(" ");
    if text.is_empty() && named == 1 && docs.is_container(&doc.name) && words.len() == 1 {
        text = "subcommand".into();
    }
    match (text.is_empty(), begun) {
        (false, true) => Some(format!(" {text}")),
        _ => Some(text),
    }
}

/// Colours: the command, option words, strings, numbers; red for a name that the server does not know.
pub struct Colours {
    pub session: Shared,
}

impl Highlighter for Colours {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        let docs = self.session.lock().ok().map(|mut session| session.docs());
        let own = Docs::default();
        let docs = docs.as_deref().unwrap_or(&own);
        let doc =
            quote::split(line.as_bytes()).and_then(|words| docs.find(&words).map(|(doc, named)| (doc.clone(), named)));
        let mut number = 0;
        for (is_word, text) in pieces(line) {
            if !is_word {
                styled.push((Style::new(), text.into()));
                continue;
            }
            let style = match (number, &doc) {
                (at, Some((_, named))) if at < *named => Color::Cyan.bold(),
                (0, None) => unknown(docs, text),
                _ if text.starts_with(['"', '\'']) => Color::Green.normal(),
                (_, Some((doc, _))) if is_option(doc, text) => Color::Magenta.normal(),
                _ if text.parse::<f64>().is_ok() => Color::Yellow.normal(),
                _ => Style::new(),
            };
            styled.push((style, text.into()));
            number += 1;
        }
        styled
    }
}

/// The style of a first word that is no whole command: red only when it cannot become one.
fn unknown(docs: &Docs, word: &str) -> Style {
    let upper = word.to_uppercase();
    let own = ["QUIT", "EXIT", "HELP", "CLEAR", "CONNECT", "?"];
    let is_own =
        own.iter().any(|name| name.starts_with(&upper)) || args::TOOLS.iter().any(|name| name.starts_with(word));
    let becomes = docs.all().any(|doc| doc.name.starts_with(&upper));
    match is_own || becomes || word.starts_with([':', '.']) || word.parse::<i64>().is_ok() {
        true => Color::Cyan.normal(),
        false => Color::Red.normal(),
    }
}

fn is_option(doc: &crate::docs::Doc, word: &str) -> bool {
    doc.syntax.iter().any(|argument| argument.tokens().any(|token| token.eq_ignore_ascii_case(word)))
}

/// A line cut into words and what is between them; quotes keep their spaces.
fn pieces(line: &str) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let (mut quote, mut escaped) = (None, false);
    let mut in_word = false;
    for (at, char) in line.char_indices() {
        let space = quote.is_none() && char.is_whitespace();
        if at > begin && space == in_word {
            pieces.push((in_word, &line[begin..at]));
            begin = at;
        }
        in_word = !space;
        match (quote, char) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), char) if char == open => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            _ => {}
        }
    }
    if begin < line.len() {
        pieces.push((in_word, &line[begin..]));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_continues_the_line() {
        let docs = Docs::own();
        let hint = |line: &str| arguments(&docs, line);
        assert_eq!(hint("get").as_deref(), Some(" key"));
        assert_eq!(hint("get ").as_deref(), Some("key"));
        assert_eq!(hint("get a").as_deref(), Some(""));
        assert_eq!(hint("getr"), None);
        assert_eq!(hint("lrange list ").as_deref(), Some("start stop"));
        assert_eq!(hint("lrange list 0").as_deref(), Some(" stop"));
        assert_eq!(hint("3 incr ").as_deref(), Some("key"));
        assert_eq!(hint("config set ").as_deref(), Some("parameter value [parameter value ...]"));
        assert_eq!(hint("get \"unbalanced"), None);
    }

    #[test]
    fn pieces_add_up_to_the_line() {
        for line in ["set \"a b\" c", "  x 'it\\'s' y ", "", "grüße \"ü"] {
            assert_eq!(pieces(line).iter().map(|(_, text)| *text).collect::<String>(), line);
        }
        assert_eq!(pieces("a \"b c\" d").len(), 5);
    }
}
