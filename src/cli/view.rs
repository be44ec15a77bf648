//! Other ways to look at a reply: as a table (`\T` or `:set tables`), or vertically (`\G`).

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::quote;
use crate::resp::Reply;

/// Longest cell of a table in characters; the whole value is a GET away.
const CELL_MAX: usize = 200;

/// How a line asked for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Table,
    Vertical,
}

/// Takes `\G` or `\T` off the end of a line.
pub fn suffix(line: &str) -> (&str, Option<View>) {
    let line = line.trim_end();
    for (mark, view) in [("\\G", View::Vertical), ("\\T", View::Table)] {
        if let Some(rest) = line.strip_suffix(mark) {
            return (rest, Some(view));
        }
    }
    (line, None)
}

/// A reply as rows with a heading.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    pub heading: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The reply of `args` as rows, where it has such a shape: hashes, sorted sets with scores, stream entries. `None` for
/// everything else.
pub fn rows(args: &[Vec<u8>], reply: &Reply) -> Option<Rows> {
    let name = String::from_utf8_lossy(args.first()?).to_lowercase();
    let has = |word: &str| args.iter().any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let rows = match name.as_str() {
        "hgetall" => pairs(reply, "field", "value"),
        "hrandfield" if has("withvalues") => pairs(reply, "field", "value"),
        "config" if args.get(1)?.eq_ignore_ascii_case(b"get") => pairs(reply, "parameter", "value"),
        "zpopmin" | "zpopmax" => pairs(reply, "member", "score"),
        _ if name.starts_with('z') && has("withscores") => pairs(reply, "member", "score"),
        "xrange" | "xrevrange" | "xclaim" => entries(reply),
        "client" if args.get(1)?.eq_ignore_ascii_case(b"list") => clients(reply),
        "slowlog" if args.get(1)?.eq_ignore_ascii_case(b"get") => slow_log(reply),
        _ if matches!(reply, Reply::Map(_)) => pairs(reply, "field", "value"),
        _ => return None,
    };
    (!rows.rows.is_empty()).then_some(rows)
}

/// Rows drawn as a table of at most `width` columns.
pub fn table(rows: &Rows, width: u16) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    table.set_header(rows.heading.iter().map(String::as_str));
    for row in &rows.rows {
        table.add_row(row.iter().map(|cell| {
            let align = if cell.parse::<f64>().is_ok() { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(cell).set_alignment(align)
        }));
    }
    format!("{table}\n")
}

/// A reply with one value a line, the names aligned.
pub fn vertical(args: &[Vec<u8>], reply: &Reply) -> String {
    let Some(rows) = rows(args, reply) else { return listed(reply) };
    let mut text = String::new();
    if rows.heading.len() == 2 {
        let named: Vec<_> = rows.rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        return aligned(&named);
    }
    for (at, row) in rows.rows.iter().enumerate() {
        text.push_str(&format!("*************************** {}. row ***************************\n", at + 1));
        let named: Vec<_> = rows.heading.iter().cloned().zip(row.iter().cloned()).collect();
        text.push_str(&aligned(&named));
    }
    text
}

/// The bytes of a value as one line: as they are when they are printable text, otherwise quoted.
pub fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_string(),
        _ => {
            let quoted = quote::repr(bytes);
            quoted[1..quoted.len() - 1].to_string()
        }
    }
}

/// At most `max` characters, the cut marked.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

fn value(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "(nil)".into(),
        Reply::Map(pairs) => {
            let parts: Vec<_> = pairs.iter().map(|(key, item)| format!("{}={}", value(key), value(item))).collect();
            cut(&parts.join(" "), CELL_MAX)
        }
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            cut(&items.iter().map(value).collect::<Vec<_>>().join(" "), CELL_MAX)
        }
        other => match other.bytes() {
            Some(bytes) => cut(&plain(bytes), CELL_MAX),
            None => other.text(),
        },
    }
}

/// Two columns; the pairs come as a map, a flat list, or RESP3's list of pairs.
fn pairs(reply: &Reply, left: &str, right: &str) -> Rows {
    let heading = vec![left.to_string(), right.to_string()];
    let nested = reply.items().first().is_some_and(|first| first.items().len() == 2);
    let rows = match nested {
        true => reply
            .items()
            .iter()
            .filter(|pair| pair.items().len() == 2)
            .map(|pair| vec![value(&pair.items()[0]), value(&pair.items()[1])])
            .collect(),
        false => reply.pairs().into_iter().map(|(key, item)| vec![value(key), value(item)]).collect(),
    };
    Rows { heading, rows }
}

/// Stream entries: a column for each field name that occurs, in the order of appearance.
fn entries(reply: &Reply) -> Rows {
    let mut heading = vec!["id".to_string()];
    let mut rows = Vec::new();
    for entry in reply.items() {
        let [id, fields] = entry.items() else { continue };
        let mut row = vec![value(id)];
        for (name, item) in fields.pairs() {
            let name = value(name);
            let at = heading.iter().skip(1).position(|known| *known == name).map_or(heading.len(), |at| at + 1);
            if at == heading.len() {
                heading.push(name);
            }
            row.resize(row.len().max(at + 1), String::new());
            row[at] = value(item);
        }
        rows.push(row);
    }
    rows.iter_mut().for_each(|row| row.resize(heading.len(), String::new()));
    Rows { heading, rows }
}

/// CLIENT LIST: the columns that tell clients apart.
fn clients(reply: &Reply) -> Rows {
    let wanted = ["id", "addr", "name", "age", "idle", "db", "flags", "cmd", "user", "tot-mem"];
    let text = reply.text();
    let row = |line: &str| {
        let fields: Vec<_> = line.split(' ').filter_map(|field| field.split_once('=')).collect();
        let field = |name: &&str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        wanted.iter().map(|name| field(name).to_string()).collect()
    };
    Rows { heading: wanted.map(String::from).into(), rows: text.lines().map(row).collect() }
}

fn slow_log(reply: &Reply) -> Rows {
    let heading = ["id", "time", "microseconds", "command", "client"].map(String::from).into();
    let row = |entry: &Reply| {
        let items = entry.items();
        items.iter().take(5).map(value).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = reply.items().iter().map(row).collect();
    rows.iter_mut().for_each(|row| row.resize(5, String::new()));
    Rows { heading, rows }
}

fn aligned(named: &[(String, String)]) -> String {
    let width = named.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    named.iter().map(|(name, item)| format!("{name:>width$}: {item}\n")).collect()
}

fn listed(reply: &Reply) -> String {
    match reply.items() {
        [] => format!("{}\n", value(reply)),
        items => {
            let named: Vec<_> =
                items.iter().enumerate().map(|(at, item)| ((at + 1).to_string(), value(item))).collect();
            aligned(&named)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        quote::split(line.as_bytes()).expect("good quotes")
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    #[test]
    fn marks_at_the_end_of_a_line_choose_the_view() {
        assert_eq!(suffix("hgetall h\\G "), ("hgetall h", Some(View::Vertical)));
        assert_eq!(suffix("hgetall h \\T"), ("hgetall h ", Some(View::Table)));
        assert_eq!(suffix("set a G"), ("set a G", None));
    }

    #[test]
    fn stream_entries_become_columns() {
        let entry = |id: &str, fields: &[&str]| {
            Reply::Array(vec![bulk(id), Reply::Array(fields.iter().map(|field| bulk(field)).collect())])
        };
        let reply = Reply::Array(vec![entry("1-1", &["a", "1"]), entry("2-1", &["b", "2", "a", "3"])]);
        let rows = rows(&words("xrange s - +"), &reply).expect("rows");
        assert_eq!(rows.heading, ["id", "a", "b"]);
        assert_eq!(rows.rows, [["1-1", "1", ""], ["2-1", "3", "2"]]);
        assert!(vertical(&words("xrange s - +"), &reply).contains("2. row"));
    }

    #[test]
    fn a_table_fits_its_width() {
        let reply = Reply::Array(vec![bulk("field"), bulk(&"long ".repeat(100))]);
        let rows = rows(&words("hgetall h"), &reply).expect("rows");
        assert!(table(&rows, 60).lines().all(|line| line.chars().count() <= 60));
    }

    #[test]
    fn what_is_no_table_is_listed() {
        let reply = Reply::Array(vec![bulk("a"), bulk("b")]);
        assert_eq!(rows(&words("lrange l 0 -1"), &reply), None);
        assert_eq!(vertical(&words("lrange l 0 -1"), &reply), "1: a\n2: b\n");
    }
}
