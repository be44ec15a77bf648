//! `--stat`: the server's figures, one line an interval.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::client::{Connection, Target};
use crate::output;

/// Lines between two headings; redis-cli's number.
const HEADING_EVERY: u64 = 20;

/// INFO as a map. Sections are not kept apart: field names are unique.
pub struct Info(HashMap<String, String>);

impl Info {
    pub fn parse(text: &str) -> Info {
        let fields = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'));
        Info(fields.map(|(name, value)| (name.to_string(), value.trim_end().to_string())).collect())
    }

    /// # Errors
    /// The line for people: the connection's fault or the server's error.
    pub fn ask(connection: &mut Connection, sections: &[&str]) -> Result<Info, String> {
        let mut request = vec!["INFO"];
        request.extend(sections);
        match connection.call(&request) {
            Ok(reply) if reply.is_error() => Err(format!("ERROR: {}", reply.text())),
            Ok(reply) => Ok(Info::parse(&reply.text())),
            Err(fault) => Err(format!("Error: {fault}")),
        }
    }

    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A field as a number; 0 when it is missing or none.
    pub fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    pub fn decimal(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or(0.0)
    }

    /// All fields whose name begins with `prefix`, without it.
    pub fn family<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// Keys in all databases.
    pub fn keys(&self) -> u64 {
        self.databases().iter().map(|(_, keys, _)| keys).sum()
    }

    /// Number, keys and keys with an expiry of each database, in order.
    pub fn databases(&self) -> Vec<(u64, u64, u64)> {
        let parse = |(name, value): (&str, &str)| {
            let fields = value.split(',').filter_map(|field| field.split_once('='));
            let field =
                |wanted: &str| fields.clone().find(|(name, _)| *name == wanted).and_then(|(_, n)| n.parse().ok());
            Some((name.parse().ok()?, field("keys")?, field("expires").unwrap_or(0)))
        };
        let mut databases: Vec<_> = self.family("db").filter_map(parse).collect();
        databases.sort_unstable();
        databases
    }
}

/// Prints a line every `interval` for ever; only a lost connection ends it.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, interval: Duration) -> Result<(), String> {
    let interval = if interval.is_zero() { Duration::from_secs(1) } else { interval };
    let mut connection = Connection::log_in(target)?;
    let mut before = None;
    let mut out = io::stdout();
    for line in 0.. {
        let info = Info::ask(&mut connection, &[])?;
        if line % HEADING_EVERY == 0 {
            let heading = "------- data ------ --------------------- load -------------------- - child -\nkeys       mem      \
                           clients blocked requests            connections          \n";
            out.write_all(heading.as_bytes()).map_err(output::failed)?;
        }
        let requests = info.number("total_commands_processed");
        let grown = requests - before.replace(requests).unwrap_or(requests);
        let child = match (info.number("rdb_bgsave_in_progress"), info.number("aof_rewrite_in_progress")) {
            (0, 0) => "",
            (1, 0) => "SAVE",
            (0, 1) => "AOF",
            _ => "SAVE+AOF",
        };
        writeln!(
            out,
            "{:<11}{:<9}{:<8}{:<8}{:<20}{:<12}{child}",
            info.keys(),
            human_bytes(info.number("used_memory")),
            format!(" {}", info.number("connected_clients")).trim_start(),
            info.number("blocked_clients"),
            format!("{requests} (+{grown})"),
            info.number("total_connections_received"),
        )
        .map_err(output::failed)?;
        out.flush().map_err(output::failed)?;
        std::thread::sleep(interval);
    }
    Ok(())
}

/// Bytes as redis-cli writes them: `1.99M`.
pub fn human_bytes(bytes: i64) -> String {
    let bytes = bytes.max(0) as f64;
    let units = ["K", "M", "G", "T"];
    if bytes < 1024.0 {
        return format!("{bytes}B");
    }
    let mut value = bytes / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_field_by_field() {
        let info = Info::parse(
            "# Memory\r\nused_memory:10\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\ndb2:keys=1\r\n",
        );
        assert_eq!(info.number("used_memory"), 10);
        assert_eq!(info.databases(), [(0, 3, 1), (2, 1, 0)]);
        assert_eq!(info.keys(), 4);
        assert_eq!(info.number("nosuch"), 0);
    }

    #[test]
    fn bytes_are_written_with_two_decimals() {
        assert_eq!(human_bytes(5), "5B");
        assert_eq!(human_bytes(1536), "1.50K");
        assert_eq!(human_bytes(2_086_666), "1.99M");
    }
}
