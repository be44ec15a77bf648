//! A value read by type: what servers of any version agree on.

use crate::client::Connection;
use crate::resp::{Fault, Reply};

use super::request;

/// Elements that are read or written by one request.
const CHUNK: usize = 500;

/// A stream's entry: its id, then names and values.
type Entry = (Vec<u8>, Vec<Vec<u8>>);

/// The content of a key, independent of its encoding. Unordered content is sorted, so that values compare.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Missing,
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(Vec<Vec<u8>>),
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    /// Members with their scores as the server writes them.
    Sorted(Vec<(Vec<u8>, Vec<u8>)>),
    /// Consumer groups are not part of it.
    Stream(Vec<Entry>),
    /// A type of a module, or one whose commands the server refuses; only DUMP can move it.
    Foreign(String),
}

impl Value {
    /// Reads a key; not atomic for a key that changes meanwhile.
    ///
    /// # Errors
    /// The connection's.
    pub fn read(connection: &mut Connection, key: &[u8]) -> Result<Value, Fault> {
        let kind = connection.call(&[b"TYPE", key])?.text();
        Ok(match kind.as_str() {
            "none" => Value::Missing,
            "string" => match connection.call(&[b"GET", key])? {
                Reply::Bulk(bytes) => Value::String(bytes),
                Reply::Error(_) => Value::Foreign(kind),
                _ => Value::Missing,
            },
            "list" => list(connection, key)?.map_or(Value::Foreign(kind), Value::List),
            "set" => match scanned(connection, b"SSCAN", b"SMEMBERS", key)? {
                Some(mut members) => {
                    members.sort();
                    members.dedup();
                    Value::Set(members)
                }
                None => Value::Foreign(kind),
            },
            "hash" => scanned(connection, b"HSCAN", b"HGETALL", key)?
                .map_or(Value::Foreign(kind), |flat| Value::Hash(pairs(flat))),
            "zset" => {
                scanned(connection, b"ZSCAN", b"", key)?.map_or(Value::Foreign(kind), |flat| Value::Sorted(pairs(flat)))
            }
            "stream" => entries(connection, key)?.map_or(Value::Foreign(kind), Value::Stream),
            _ => Value::Foreign(kind),
        })
    }

    /// The requests that build this value at `key`, which does not exist. Empty for what cannot be built.
    pub fn requests(&self, key: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let chunked = |name: &[u8], words: Vec<Vec<u8>>| -> Vec<Vec<Vec<u8>>> {
            let one = |chunk: &[Vec<u8>]| [&[name.to_vec(), key.to_vec()], chunk].concat();
            // An even number of words a chunk keeps pairs together.
            words.chunks(CHUNK * 2).map(one).collect()
        };
        match self {
            Value::Missing | Value::Foreign(_) => Vec::new(),
            Value::String(bytes) => vec![request([b"SET", key, bytes])],
            Value::List(items) => chunked(b"RPUSH", items.clone()),
            Value::Set(members) => chunked(b"SADD", members.clone()),
            Value::Hash(fields) => chunked(b"HSET", fields.iter().flat_map(|(f, v)| [f.clone(), v.clone()]).collect()),
            Value::Sorted(members) => {
                chunked(b"ZADD", members.iter().flat_map(|(m, s)| [s.clone(), m.clone()]).collect())
            }
            Value::Stream(entries) => {
                let one = |(id, fields): &Entry| [&request([b"XADD", key, id])[..], fields].concat();
                entries.iter().map(one).collect()
            }
        }
    }

    /// The type's name, as TYPE says it.
    pub fn kind(&self) -> &str {
        match self {
            Value::Missing => "none",
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Hash(_) => "hash",
            Value::Sorted(_) => "zset",
            Value::Stream(_) => "stream",
            Value::Foreign(kind) => kind,
        }
    }

    /// Elements, or bytes of a string.
    pub fn len(&self) -> usize {
        match self {
            Value::Missing | Value::Foreign(_) => 0,
            Value::String(bytes) => bytes.len(),
            Value::List(items) | Value::Set(items) => items.len(),
            Value::Hash(pairs) | Value::Sorted(pairs) => pairs.len(),
            Value::Stream(entries) => entries.len(),
        }
    }
}

/// The elements of a list; `None` when the server refuses.
fn list(connection: &mut Connection, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Fault> {
    let mut items = Vec::new();
    loop {
        let (from, to) = (items.len().to_string(), (items.len() + CHUNK - 1).to_string());
        let reply = connection.call(&[b"LRANGE", key, from.as_bytes(), to.as_bytes()])?;
        if reply.is_error() {
            return Ok(None);
        }
        let part = byte_items(&reply);
        let last = part.len() < CHUNK;
        items.extend(part);
        if last {
            return Ok(Some(items));
        }
    }
}

/// All that a scan gives, or `whole`, a command for all of it at once, where the server has no such scan.
fn scanned(connection: &mut Connection, scan: &[u8], whole: &[u8], key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Fault> {
    let count = CHUNK.to_string();
    let mut cursor = b"0".to_vec();
    let mut items = Vec::new();
    loop {
        let reply = connection.call(&[scan, key, &cursor, b"COUNT", count.as_bytes()])?;
        let [next, part] = reply.items() else { break };
        items.extend(byte_items(part));
        cursor = next.text().into_bytes();
        if cursor == b"0" {
            return Ok(Some(items));
        }
    }
    if whole.is_empty() {
        return Ok(None);
    }
    let reply = connection.call(&[whole, key])?;
    Ok((!reply.is_error()).then(|| byte_items(&reply)))
}

/// The entries of a stream; `None` when the server refuses.
fn entries(connection: &mut Connection, key: &[u8]) -> Result<Option<Vec<Entry>>, Fault> {
    let count = CHUNK.to_string();
    let mut from = b"-".to_vec();
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let reply = connection.call(&[b"XRANGE", key, &from, b"+", b"COUNT", count.as_bytes()])?;
        if reply.is_error() {
            return Ok(None);
        }
        let before = entries.len();
        for entry in reply.items() {
            if let [id, fields] = entry.items() {
                entries.push((id.bytes().unwrap_or_default().to_vec(), byte_items(fields)));
            }
        }
        let Some((last, _)) = entries.last().filter(|_| entries.len() - before == CHUNK) else {
            return Ok(Some(entries));
        };
        // The bracket makes the range exclusive.
        from = [b"(", last.as_slice()].concat();
    }
}

fn byte_items(reply: &Reply) -> Vec<Vec<u8>> {
    reply.items().iter().filter_map(|item| item.bytes().map(<[u8]>::to_vec)).collect()
}

/// Sorted by name; a name that a scan returned twice is kept once.
fn pairs(flat: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    pairs.sort();
    pairs.dedup_by(|a, b| a.0 == b.0);
    pairs
}
