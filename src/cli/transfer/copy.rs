//! Copying: batches of keys, read from one server and written to the other.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::value::Value;
use super::{Copy, Peer, bar, request, walk};
use crate::output::say;
use crate::quote;
use crate::resp::Reply;

/// Failed keys that are named; the others are only counted.
const NAMED_MAX: usize = 10;

/// What became of the keys.
#[derive(Default)]
struct Counts {
    copied: u64,
    skipped: u64,
    vanished: u64,
    failed: u64,
}

/// A key's payload by DUMP, or the value by type, with its remaining time to live in milliseconds (0: for ever).
enum Payload {
    Dump(Vec<u8>),
    Value(Value),
}

pub fn run(options: &Copy) -> Result<ExitCode, String> {
    let ends = &options.ends;
    let (mut source, mut destination) = (Peer::open(&ends.source)?, Peer::open(&ends.destination)?);
    if source.target == destination.target {
        return Err("--copy: SRC and DST are the same database".into());
    }
    let mut scan = walk(ends);
    let identity = format!("{} {} {}", ends.source, ends.destination, ends.pattern.as_deref().unwrap_or("*"));
    let mut counts = Counts::default();
    if let Some((cursor, copied)) = options.resume.as_deref().map(|path| load(path, &identity)).transpose()?.flatten() {
        eprintln!("continuing after {copied} keys");
        scan.resume(&cursor);
        counts.copied = copied;
    }
    let bar = bar(source.size()?, "copy");
    let began = Instant::now();
    let mut by_type = options.by_type;
    let mut named = 0;
    while !scan.is_done() {
        let keys = source.scan(&mut scan)?;
        let mut read = read(&mut source, &keys, by_type)?;
        let mut failures = write(&mut destination, &read, options.replace, &mut counts)?;
        if !by_type && failures.iter().any(|(_, error)| is_format(error)) {
            // The destination does not understand the source's payload: from here on by type, beginning with these.
            by_type = true;
            eprintln!("the servers' dump formats differ; copying by type");
            let again: Vec<Vec<u8>> =
                failures.extract_if(.., |(_, error)| is_format(error)).map(|(key, _)| key).collect();
            read = self::read(&mut source, &again, true)?;
            failures.extend(write(&mut destination, &read, options.replace, &mut counts)?);
        }
        for (key, error) in failures {
            counts.failed += 1;
            named += 1;
            if named <= NAMED_MAX {
                bar.suspend(|| eprintln!("{}: {error}", quote::word(&key)));
            }
        }
        bar.inc(keys.len() as u64);
        if let Some(path) = &options.resume {
            store(path, &identity, &scan.cursor(), counts.copied)?;
        }
    }
    bar.finish_and_clear();
    if let (Some(path), 0) = (&options.resume, counts.failed) {
        let _ = fs::remove_file(path);
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = counts.copied as f64 / seconds.max(1e-3);
    say(format_args!(
        "copied {}, skipped {} that exist, {} vanished meanwhile, {} failed; {seconds:.1} s, {rate:.0} keys/s",
        counts.copied, counts.skipped, counts.vanished, counts.failed
    ));
    Ok(if counts.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reads a batch; keys that vanished come as [`Value::Missing`].
fn read(source: &mut Peer, keys: &[Vec<u8>], by_type: bool) -> Result<Vec<(Vec<u8>, Payload, u64)>, String> {
    let mut requests = Vec::with_capacity(keys.len() * 2);
    for key in keys {
        requests.push(request([b"PTTL", key]));
        if !by_type {
            requests.push(request([b"DUMP", key]));
        }
    }
    let mut replies = source.call_all(&requests)?.into_iter();
    let mut read = Vec::with_capacity(keys.len());
    for key in keys {
        let ttl = replies.next().and_then(|reply| reply.integer()).unwrap_or(-2);
        let dump = if by_type { None } else { replies.next() };
        let payload = match dump {
            Some(Reply::Bulk(bytes)) => Payload::Dump(bytes),
            Some(Reply::Nil) => Payload::Value(Value::Missing),
            // No DUMP here, or not for this key.
            _ => Payload::Value(source.run(|connection| Value::read(connection, key))?),
        };
        // A key in its last millisecond answers 0, which RESTORE would take for "for ever".
        let ttl = if ttl < 0 { 0 } else { ttl.max(1) as u64 };
        read.push((key.clone(), payload, ttl));
    }
    Ok(read)
}

/// Writes a batch. Returns the keys that failed with the server's error.
fn write(
    destination: &mut Peer,
    batch: &[(Vec<u8>, Payload, u64)],
    replace: bool,
    counts: &mut Counts,
) -> Result<Vec<(Vec<u8>, String)>, String> {
    let mut failures = Vec::new();
    let restores: Vec<_> =
        batch.iter().filter_map(|(key, payload, ttl)| restore(key, payload, *ttl, replace)).collect();
    let mut replies = destination.call_all(&restores)?.into_iter();
    for (key, payload, ttl) in batch {
        let reply = match payload {
            Payload::Dump(_) => replies.next().unwrap_or(Reply::Nil),
            Payload::Value(Value::Missing) => {
                counts.vanished += 1;
                continue;
            }
            Payload::Value(value) => build(destination, key, value, *ttl, replace)?,
        };
        match reply {
            Reply::Error(text) if text.starts_with(b"BUSYKEY") => counts.skipped += 1,
            Reply::Error(text) => failures.push((key.clone(), String::from_utf8_lossy(&text).into_owned())),
            _ => counts.copied += 1,
        }
    }
    Ok(failures)
}

fn restore(key: &[u8], payload: &Payload, ttl: u64, replace: bool) -> Option<Vec<Vec<u8>>> {
    let Payload::Dump(bytes) = payload else { return None };
    let mut restore = request([b"RESTORE", key, ttl.to_string().as_bytes(), bytes]);
    if replace {
        restore.push(b"REPLACE".to_vec());
    }
    Some(restore)
}

/// Builds a value by type inside of a transaction, so that nobody sees half of it. Returns the first error, or OK.
fn build(destination: &mut Peer, key: &[u8], value: &Value, ttl: u64, replace: bool) -> Result<Reply, String> {
    let requests = value.requests(key);
    if requests.is_empty() {
        return Ok(Reply::Error(format!("ERR a value of type {} needs DUMP and RESTORE", value.kind()).into_bytes()));
    }
    if !replace {
        let exists = destination.call_all(&[request([b"EXISTS", key])])?;
        if exists.first().and_then(Reply::integer) == Some(1) {
            return Ok(Reply::Error(b"BUSYKEY".to_vec()));
        }
    }
    let mut all = vec![request([b"MULTI"]), request([b"DEL", key])];
    all.extend(requests);
    if ttl > 0 {
        all.push(request([b"PEXPIRE", key, ttl.to_string().as_bytes()]));
    }
    all.push(request([b"EXEC"]));
    let replies = destination.call_all(&all)?;
    let inner = replies.last().map(Reply::items).unwrap_or_default();
    let error = replies.iter().chain(inner).find(|reply| reply.is_error());
    Ok(error.cloned().unwrap_or(Reply::Status(b"OK".to_vec())))
}

/// Whether RESTORE refused the payload itself, or is not known at all.
fn is_format(error: &str) -> bool {
    error.contains("DUMP payload version or checksum")
        || error.contains("Bad data format")
        || error.contains("unknown command")
}

/// The cursor and the number of copied keys, if the file is of the same copy.
fn load(path: &Path, identity: &str) -> Result<Option<(String, u64)>, String> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next() != Some(identity) {
        return Err(format!("--resume: {} is of another copy", path.display()));
    }
    let (cursor, copied) = (lines.next(), lines.next().and_then(|copied| copied.parse().ok()));
    // A cursor of 0 is the end of a finished walk; starting over then copies nothing twice that matters.
    Ok(cursor.zip(copied).map(|(cursor, copied)| (cursor.to_string(), copied)))
}

fn store(path: &Path, identity: &str, cursor: &str, copied: u64) -> Result<(), String> {
    let text = format!("{identity}\n{cursor}\n{copied}\n");
    // Written beside and renamed, so that an interrupted run leaves the old state or the new.
    let beside = path.with_extension("new");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| format!("--resume: {}: {error}", path.display()))
}
