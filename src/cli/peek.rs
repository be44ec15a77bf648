//! `peek KEY`: what a key is, what it costs, and how it begins.

use std::io::{self, Write};

use clap::Args;
use nu_ansi_term::{Color, Style};

use crate::args::Connect;
use crate::client::{Connection, Target};
use crate::output;
use crate::resp::Reply;
use crate::view::{self, Rows, cut, plain};

/// Bytes of a string that are fetched; JSON above that is shown as text.
const STRING_BYTES_MAX: usize = 64 << 10;

#[derive(Args, Clone, Debug)]
pub struct Peek {
    /// The keys to look at.
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<std::ffi::OsString>,
    /// Elements, or lines of a text, that are shown.
    #[arg(long, value_name = "n", default_value_t = 10)]
    pub head: usize,
    #[command(flatten)]
    pub connect: Connect,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// Looks at each key. Keys that do not exist are said to.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, options: &Peek, colours: bool, out: &mut dyn Write) -> Result<(), String> {
    let mut connection = Connection::log_in(target)?;
    for key in &options.keys {
        let key = std::os::unix::ffi::OsStrExt::as_bytes(key.as_os_str());
        let text = one(&mut connection, key, options.head, colours)?;
        out.write_all(text.as_bytes()).map_err(output::failed)?;
    }
    Ok(())
}

fn one(connection: &mut Connection, key: &[u8], head: usize, colours: bool) -> Result<String, String> {
    let requests: Vec<Vec<&[u8]>> =
        vec![vec![b"TYPE", key], vec![b"OBJECT", b"ENCODING", key], vec![b"PTTL", key], vec![b"MEMORY", b"USAGE", key]];
    let facts = connection.call_all(&requests).map_err(|fault| format!("Error: {fault}"))?;
    let shown = crate::quote::word(key);
    let kind = match &facts[0] {
        Reply::Error(text) => return Err(format!("ERROR: {}", String::from_utf8_lossy(text))),
        kind => kind.text(),
    };
    let bold = if colours { Style::new().bold() } else { Style::new() };
    if kind == "none" {
        return Ok(format!("{}  no such key\n", bold.paint(shown)));
    }
    let (size, body) = contents(connection, key, &kind, head).map_err(|fault| format!("Error: {fault}"))?;
    let mut parts = vec![match &facts[1] {
        encoding if encoding.is_error() => kind.clone(),
        encoding => format!("{kind} ({})", encoding.text()),
    }];
    parts.push(size);
    parts.push(match facts[2].integer() {
        Some(ms) if ms >= 0 => format!("expires in {}", span(ms as u64)),
        _ => "no expiry".into(),
    });
    if let Some(bytes) = facts[3].integer() {
        parts.push(format!("{} in memory", bytes_text(bytes.max(0) as u64)));
    }
    let grey = if colours { Color::DarkGray.normal() } else { Style::new() };
    let line = parts.join(", ");
    Ok(format!("{}  {}\n{body}", bold.paint(shown), grey.paint(line)))
}

/// The size of a value in words, and its head.
fn contents(
    connection: &mut Connection,
    key: &[u8],
    kind: &str,
    head: usize,
) -> Result<(String, String), crate::resp::Fault> {
    let count = head.to_string();
    let last = head.saturating_sub(1).to_string();
    let (size, unit, look): (&[u8], _, Vec<&[u8]>) = match kind {
        "string" => return string(connection, key, head),
        "list" => (b"LLEN", "elements", vec![b"LRANGE", key, b"0", last.as_bytes()]),
        "set" => (b"SCARD", "members", vec![b"SSCAN", key, b"0", b"COUNT", count.as_bytes()]),
        "hash" => (b"HLEN", "fields", vec![b"HSCAN", key, b"0", b"COUNT", count.as_bytes()]),
        "zset" => (b"ZCARD", "members", vec![b"ZRANGE", key, b"0", last.as_bytes(), b"WITHSCORES"]),
        "stream" => (b"XLEN", "entries", vec![b"XREVRANGE", key, b"+", b"-", b"COUNT", count.as_bytes()]),
        _ => return Ok(("a type of a module".into(), String::new())),
    };
    let total = connection.call(&[size, key])?;
    let total = if total.is_error() { None } else { total.integer().map(|total| total.max(0) as usize) };
    let mut reply = connection.call(&look)?;
    if reply.is_error() {
        // A server without this scan has to give all of it.
        let whole: &[u8] = match kind {
            "set" => b"SMEMBERS",
            "hash" => b"HGETALL",
            _ => return Ok((format!("? {unit}"), format!("{}\n", reply.text()))),
        };
        reply = connection.call(&[whole, key])?;
    }
    // The scans answer with a cursor in front; only the elements matter here.
    let reply = match (kind, reply) {
        ("set" | "hash", Reply::Array(mut parts)) if parts.len() == 2 && !parts[1].items().is_empty() => {
            parts.swap_remove(1)
        }
        (_, reply) => reply,
    };
    let args: Vec<Vec<u8>> = match kind {
        "hash" => vec![b"HGETALL".to_vec()],
        _ => look.iter().map(|word| word.to_vec()).collect(),
    };
    let mut rows = view::rows(&args, &reply).unwrap_or_else(|| list(&reply));
    let total = total.unwrap_or(rows.rows.len());
    rows.rows.truncate(head);
    let more = total.saturating_sub(rows.rows.len());
    let mut body = if head == 0 { String::new() } else { view::table(&rows, width()) };
    if more > 0 {
        let which = if kind == "stream" { "older" } else { "more" };
        body.push_str(&format!("... and {more} {which}\n"));
    }
    Ok((format!("{total} {unit}"), body))
}

fn list(reply: &Reply) -> Rows {
    let row = |(at, item): (usize, &Reply)| vec![at.to_string(), cut(&plain(item.bytes().unwrap_or_default()), 200)];
    Rows { heading: vec!["#".into(), "element".into()], rows: reply.items().iter().enumerate().map(row).collect() }
}

fn string(connection: &mut Connection, key: &[u8], head: usize) -> Result<(String, String), crate::resp::Fault> {
    let size = connection.call(&[b"STRLEN", key])?;
    let end = (STRING_BYTES_MAX - 1).to_string();
    let mut reply = connection.call(&[b"GETRANGE", key, b"0", end.as_bytes()])?;
    if reply.is_error() {
        reply = connection.call(&[b"GET", key])?;
    }
    let bytes = reply.bytes().unwrap_or_default();
    let size = if size.is_error() { bytes.len() } else { size.integer().unwrap_or(0).max(0) as usize };
    let looks_like_json = bytes.trim_ascii_start().starts_with(b"{") || bytes.trim_ascii_start().starts_with(b"[");
    let json =
        serde_json::from_slice::<serde_json::Value>(bytes).ok().filter(|_| looks_like_json && bytes.len() == size);
    let (what, text) = match json.and_then(|json| serde_json::to_string_pretty(&json).ok()) {
        Some(pretty) => (", JSON", pretty),
        None => match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(|char| char.is_control() && !char.is_whitespace()) => ("", text.to_string()),
            _ => (", binary", dump(bytes, head)),
        },
    };
    let lines = text.lines().count();
    let mut body: String = text.lines().take(head).map(|line| format!("{}\n", cut(line, 500))).collect();
    if lines > head {
        body.push_str(&format!("... and {} more lines\n", lines - head));
    }
    Ok((format!("{}{what}", bytes_text(size as u64)), body))
}

/// Sixteen bytes a line: offset, hexadecimal, text.
fn dump(bytes: &[u8], lines: usize) -> String {
    let line = |(at, chunk): (usize, &[u8])| {
        let hex: String = chunk.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text: String = chunk
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
            .collect();
        format!("{:08x}  {hex:<48} {text}\n", at * 16)
    };
    bytes.chunks(16).enumerate().take(lines + 1).map(line).collect()
}

/// The terminal's width, or 80 where there is none.
pub fn width() -> u16 {
    crossterm::terminal::size().map_or(80, |(width, _)| width.max(20))
}

/// Milliseconds as people say them.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

pub fn bytes_text(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// Whether output to standard output may be coloured.
pub fn colours() -> bool {
    use std::io::IsTerminal;
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
