//! MONITOR: clients that are shown every command. While there are none, it costs a look at one number.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::clients::Client;
use super::outbox::Message;
use crate::command::{Flags, hidden_of_migrate};
use crate::config::Config;
use crate::fault;
use crate::parser::{Batch, Request, Verdict};
use crate::store::SharedBytes;
use crate::sync::{Arc, AtomicUsize, HashState, Ordering, RwLock, read, write};

/// Those who watch.
#[derive(Debug, Default)]
pub struct Monitors {
    clients: RwLock<HashMap<u64, Arc<Client>, HashState>>,
    count: AtomicUsize,
}

impl Monitors {
    #[inline]
    pub fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether it was not one before.
    pub fn add(&self, client: &Arc<Client>) -> bool {
        let mut clients = write(&self.clients);
        clients.insert(client.id, Arc::clone(client));
        self.count.store(clients.len(), Ordering::Relaxed);
        !client.is_monitor.swap(true, Ordering::Relaxed)
    }

    pub fn remove(&self, client: &Client) {
        if client.is_monitor.swap(false, Ordering::Relaxed) {
            let mut clients = write(&self.clients);
            clients.remove(&client.id);
            self.count.store(clients.len(), Ordering::Relaxed);
        }
    }

    /// Shows a request that has run in database `db`. Operators' commands stay hidden, and secrets.
    pub fn feed(&self, batch: &Batch, request: &Request, db: u16, client: &Client, config: &Config) {
        let Verdict::Run(command) = request.verdict else { return };
        if command.flags.has(Flags::ADMIN) || command.flags.has(Flags::SKIP_MONITOR) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let peer = client.addr.strip_suffix(":0").map_or_else(|| client.addr.clone(), |path| format!("unix:{path}"));
        let mut line = format!("+{}.{:06} [{db} {peer}]", now.as_secs(), now.subsec_micros()).into_bytes();
        let mut hidden = match command.full_name {
            "auth" => 1..usize::MAX,
            "migrate" => hidden_of_migrate(batch.arguments(request)),
            _ => 0..0,
        };
        for (i, argument) in batch.arguments(request).enumerate() {
            line.push(b' ');
            if hidden.contains(&i) {
                line.extend_from_slice(b"\"(redacted)\"");
            } else {
                quote(argument, &mut line);
            }
            if command.full_name == "hello" && i > 1 && hidden.is_empty() && argument.eq_ignore_ascii_case(b"auth") {
                hidden = i + 1..i + 3;
            }
        }
        line.extend_from_slice(b"\r\n");
        let line = Message::Line(SharedBytes::new(line));
        let clients = read(&self.clients);
        for monitor in clients.values() {
            fault::point("monitor.push");
            monitor.push(line.clone(), config);
        }
    }
}

/// Writes bytes in double quotes; what is not printable is escaped.
fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(&[b'\\', b'x', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
    out.push(b'"');
}
