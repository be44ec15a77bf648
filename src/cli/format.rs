//! Replies as text, in redis-cli's five forms: for a terminal, raw, CSV, JSON and quoted JSON.
//!
//! Byte for byte redis-cli's output, checked against the real one in `tests/cli.rs`. One difference is deliberate:
//! quoted JSON escapes a quotation mark so that the result stays JSON; redis-cli 7.0 breaks the string there.

use crate::quote::repr;
use crate::resp::Reply;

/// How replies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Numbered, quoted, typed: for people.
    Terminal,
    /// The bytes, one element a line: for pipes.
    Raw,
    Csv,
    Json,
    /// JSON whose strings are quoted as on a terminal, hence plain ASCII.
    QuotedJson,
}

/// What stands between and behind raw replies (`-d` and `-D`).
#[derive(Clone, Debug)]
pub struct Delimiters {
    pub element: Vec<u8>,
    pub reply: Vec<u8>,
}

impl Default for Delimiters {
    fn default() -> Delimiters {
        Delimiters { element: b"\n".to_vec(), reply: b"\n".to_vec() }
    }
}

/// A whole reply with its end of line, ready to be written.
pub fn reply(reply: &Reply, form: Form, delimiters: &Delimiters) -> Vec<u8> {
    let mut out = Vec::new();
    match form {
        Form::Terminal => terminal(reply, "", &mut out),
        Form::Raw => {
            raw(reply, &delimiters.element, &mut out);
            out.extend_from_slice(&delimiters.reply);
        }
        Form::Csv => {
            csv(reply, &mut out);
            out.push(b'\n');
        }
        Form::Json | Form::QuotedJson => {
            json(reply, form, &mut out);
            out.push(b'\n');
        }
    }
    out
}

/// The bytes alone, for replies that are a text already (INFO, CLIENT LIST ...); no delimiter is added.
pub fn verbatim(reply: &Reply, delimiters: &Delimiters) -> Vec<u8> {
    let mut out = Vec::new();
    raw(reply, &delimiters.element, &mut out);
    out
}

/// A push that arrived outside of subscribe mode; `None` when it has no text form of its own.
pub fn invalidation(push: &Reply) -> Option<String> {
    let [kind, keys] = push.items() else { return None };
    if kind.bytes() != Some(b"invalidate") {
        return None;
    }
    let mut shown = Vec::new();
    match keys {
        Reply::Nil => return Some("-> invalidate: all keys\n".into()),
        keys => shown.extend(keys.items().iter().map(|key| format!("'{}'", key.text()))),
    }
    Some(format!("-> invalidate: {}\n", shown.join(", ")))
}

fn terminal(reply: &Reply, prefix: &str, out: &mut Vec<u8>) {
    match reply {
        Reply::Status(text) => line(out, &[text]),
        Reply::Error(text) => line(out, &[b"(error) ", text]),
        Reply::Integer(n) => line(out, &[b"(integer) ", n.to_string().as_bytes()]),
        Reply::Bulk(text) => line(out, &[repr(text).as_bytes()]),
        Reply::Nil => line(out, &[b"(nil)"]),
        Reply::Double(text) => line(out, &[b"(double) ", text]),
        Reply::Bool(true) => line(out, &[b"(true)"]),
        Reply::Bool(false) => line(out, &[b"(false)"]),
        Reply::BigNumber(text) | Reply::Verbatim(_, text) => line(out, &[text]),
        Reply::Array(items) => list(items, ')', "(empty array)", prefix, out),
        Reply::Set(items) => list(items, '~', "(empty set)", prefix, out),
        Reply::Push(items) => list(items, ')', "(empty push)", prefix, out),
        Reply::Map(pairs) => map(pairs, prefix, out),
    }
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
}

/// Elements one below the other. The caller has already written what stands before the first.
fn list(items: &[Reply], mark: char, empty: &str, prefix: &str, out: &mut Vec<u8>) {
    if items.is_empty() {
        return line(out, &[empty.as_bytes()]);
    }
    let width = digits(items.len());
    let deeper = format!("{prefix}{:1$}", "", width + 2);
    for (at, item) in items.iter().enumerate() {
        let before = if at == 0 { "" } else { prefix };
        out.extend_from_slice(format!("{before}{:>width$}{mark} ", at + 1).as_bytes());
        terminal(item, &deeper, out);
    }
}

fn map(pairs: &[(Reply, Reply)], prefix: &str, out: &mut Vec<u8>) {
    if pairs.is_empty() {
        return line(out, &[b"(empty hash)"]);
    }
    let width = digits(pairs.len());
    let deeper = format!("{prefix}{:1$}", "", width + 2);
    for (at, (key, value)) in pairs.iter().enumerate() {
        let before = if at == 0 { "" } else { prefix };
        out.extend_from_slice(format!("{before}{:>width$}# ", at + 1).as_bytes());
        terminal(key, &deeper, out);
        out.pop();
        out.extend_from_slice(b" => ");
        let mut shown = Vec::new();
        terminal(value, &deeper, &mut shown);
        let has_parts = matches!(value, Reply::Map(_)) || !value.items().is_empty();
        if has_parts && shown.iter().filter(|byte| **byte == b'\n').count() > 1 {
            line(out, &[]);
            out.extend_from_slice(deeper.as_bytes());
        }
        out.extend_from_slice(&shown);
    }
}

fn digits(count: usize) -> usize {
    count.to_string().len()
}

fn raw(reply: &Reply, between: &[u8], out: &mut Vec<u8>) {
    match reply {
        Reply::Nil => {}
        Reply::Error(text) => line(out, &[text]),
        Reply::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Reply::Bool(true) => out.extend_from_slice(b"(true)"),
        Reply::Bool(false) => out.extend_from_slice(b"(false)"),
        Reply::Map(pairs) => joined(pairs.iter(), between, out, |(key, value), out| {
            raw(key, between, out);
            out.push(b' ');
            raw(value, between, out);
        }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            joined(items.iter(), between, out, |item, out| raw(item, between, out));
        }
        text => out.extend_from_slice(text.bytes().unwrap_or_default()),
    }
}

fn csv(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Nil => out.extend_from_slice(b"NULL"),
        Reply::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            out.extend_from_slice(repr(text).as_bytes());
        }
        Reply::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Reply::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
        Reply::Double(text) | Reply::BigNumber(text) => out.extend_from_slice(text),
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(_, text) => {
            out.extend_from_slice(repr(text).as_bytes());
        }
        Reply::Map(pairs) => joined(pairs.iter(), b",", out, |(key, value), out| {
            csv(key, out);
            out.push(b',');
            csv(value, out);
        }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => joined(items.iter(), b",", out, csv),
    }
}

fn json(reply: &Reply, form: Form, out: &mut Vec<u8>) {
    match reply {
        Reply::Nil => out.extend_from_slice(b"null"),
        Reply::Error(text) => {
            out.extend_from_slice(b"error:");
            json_string(text, form, out);
        }
        Reply::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Reply::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
        Reply::Double(text) | Reply::BigNumber(text) => out.extend_from_slice(text),
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(_, text) => json_string(text, form, out),
        Reply::Map(pairs) => {
            out.push(b'{');
            joined(pairs.iter(), b",", out, |(key, value), out| {
                json_key(key, form, out);
                out.push(b':');
                json(value, form, out);
            });
            out.push(b'}');
        }
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            out.push(b'[');
            joined(items.iter(), b",", out, |item, out| json(item, form, out));
            out.push(b']');
        }
    }
}

/// A key must be a string in JSON, so whatever else a server uses as a key is put in quotes.
fn json_key(key: &Reply, form: Form, out: &mut Vec<u8>) {
    if matches!(key, Reply::Status(_) | Reply::Bulk(_) | Reply::Verbatim(..) | Reply::Error(_)) {
        return json(key, form, out);
    }
    let mut inner = Vec::new();
    json(key, form, &mut inner);
    json_string(&inner, form, out);
}

fn json_string(text: &[u8], form: Form, out: &mut Vec<u8>) {
    if form == Form::QuotedJson {
        let quoted = repr(text);
        let inner = &quoted[1..quoted.len() - 1];
        out.push(b'"');
        out.extend_from_slice(inner.replace('\\', r"\\").replace('"', "\\\"").as_bytes());
        out.push(b'"');
        return;
    }
    out.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn joined<T>(items: impl Iterator<Item = T>, between: &[u8], out: &mut Vec<u8>, mut each: impl FnMut(T, &mut Vec<u8>)) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.extend_from_slice(between);
        }
        each(item, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], form: Form) -> String {
        let decoded = crate::resp::read(&mut &bytes[..]).expect("good");
        String::from_utf8_lossy(&reply(&decoded, form, &Delimiters::default())).into_owned()
    }

    #[test]
    fn nested_arrays_are_indented_below_their_number() {
        let bytes = b"*2\r\n:1\r\n*2\r\n$1\r\na\r\n*1\r\n$-1\r\n";
        assert_eq!(shown(bytes, Form::Terminal), "1) (integer) 1\n2) 1) \"a\"\n   2) 1) (nil)\n");
        assert_eq!(shown(bytes, Form::Raw), "1\na\n\n");
        assert_eq!(shown(bytes, Form::Csv), "1,\"a\",NULL\n");
        assert_eq!(shown(bytes, Form::Json), "[1,[\"a\",[null]]]\n");
    }

    #[test]
    fn a_map_shows_arrows_and_puts_long_values_on_their_own_lines() {
        let bytes = b"%2\r\n$1\r\na\r\n*1\r\n:1\r\n$1\r\nb\r\n*2\r\n#t\r\n:2\r\n";
        assert_eq!(
            shown(bytes, Form::Terminal),
            "1# \"a\" => 1) (integer) 1\n2# \"b\" => \n   1) (true)\n   2) (integer) 2\n"
        );
        assert_eq!(shown(bytes, Form::Raw), "a 1\nb (true)\n2\n");
        assert_eq!(shown(bytes, Form::Json), "{\"a\":[1],\"b\":[true,2]}\n");
    }

    #[test]
    fn numbers_are_aligned_from_the_tenth_element_on() {
        let bytes = format!("*10\r\n{}", ":7\r\n".repeat(10));
        let text = shown(bytes.as_bytes(), Form::Terminal);
        assert!(text.starts_with(" 1) (integer) 7\n") && text.ends_with("10) (integer) 7\n"), "{text}");
    }

    #[test]
    fn quoted_json_stays_json() {
        assert_eq!(shown(b"$4\r\na\"\n\xff\r\n", Form::QuotedJson), "\"a\\\\\\\"\\\\n\\\\xff\"\n");
    }
}
