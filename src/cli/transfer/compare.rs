//! Comparing: every key of both servers, by type, content and time to live.

use std::process::ExitCode;

use super::value::Value;
use super::{Diff, Peer, bar, request, walk};
use crate::output::say;
use crate::quote;
use crate::resp::Reply;

/// Differences that `verify` names.
const NAMED_MAX: u64 = 10;

#[derive(Default)]
struct Counts {
    same: u64,
    different: u64,
    missing: u64,
    extra: u64,
}

pub fn run(options: &Diff, verbose: bool) -> Result<ExitCode, String> {
    let ends = &options.ends;
    let (mut left, mut right) = (Peer::open(&ends.source)?, Peer::open(&ends.destination)?);
    let mut counts = Counts::default();
    let progress = bar(left.size()?, "compare");
    let mut named = 0_u64;
    let mut tell = |line: String| {
        named += 1;
        if verbose || named <= NAMED_MAX {
            progress.suspend(|| say(&line));
        }
    };
    let mut scan = walk(ends);
    while !scan.is_done() {
        let keys = left.scan(&mut scan)?;
        let (a, b) = (dumps(&mut left, &keys)?, dumps(&mut right, &keys)?);
        for (key, (a, b)) in keys.iter().zip(a.iter().zip(&b)) {
            let name = quote::word(key);
            match difference(&mut left, &mut right, key, (a, b), options.ttl_slack)? {
                Some(Kind::Missing) => {
                    counts.missing += 1;
                    tell(format!("- {name}"));
                }
                Some(Kind::Different(why)) => {
                    counts.different += 1;
                    tell(format!("~ {name}: {why}"));
                }
                None => counts.same += 1,
            }
        }
        progress.inc(keys.len() as u64);
    }
    let mut scan = walk(ends);
    progress.reset();
    progress.set_length(right.size()?);
    while !scan.is_done() {
        let keys = right.scan(&mut scan)?;
        let requests: Vec<_> = keys.iter().map(|key| request([b"EXISTS", key])).collect();
        for (key, reply) in keys.iter().zip(left.call_all(&requests)?) {
            if reply.integer() == Some(0) {
                counts.extra += 1;
                tell(format!("+ {}", quote::word(key)));
            }
        }
        progress.inc(keys.len() as u64);
    }
    progress.finish_and_clear();
    let Counts { same, different, missing, extra } = counts;
    say(format_args!("{same} keys are equal, {different} differ, {missing} only in SRC, {extra} only in DST"));
    Ok(if different + missing + extra > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How a key of SRC differs at DST.
enum Kind {
    Missing,
    Different(String),
}

/// The payload, or nil, and the time to live of each key.
fn dumps(peer: &mut Peer, keys: &[Vec<u8>]) -> Result<Vec<(Reply, i64)>, String> {
    let requests: Vec<_> = keys.iter().flat_map(|key| [request([b"DUMP", key]), request([b"PTTL", key])]).collect();
    let replies = peer.call_all(&requests)?;
    Ok(replies.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].integer().unwrap_or(-2))).collect())
}

/// Compares one key: equal payloads are equal values, anything else is looked at by type.
fn difference(
    left: &mut Peer,
    right: &mut Peer,
    key: &[u8],
    (a, b): (&(Reply, i64), &(Reply, i64)),
    ttl_slack: u64,
) -> Result<Option<Kind>, String> {
    let equal = matches!((&a.0, &b.0), (Reply::Bulk(a), Reply::Bulk(b)) if a == b);
    if !equal {
        let a = left.run(|connection| Value::read(connection, key))?;
        let b = right.run(|connection| Value::read(connection, key))?;
        match (&a, &b) {
            // Expired or deleted since SCAN: no difference that would last.
            (Value::Missing, _) => return Ok(None),
            (_, Value::Missing) => return Ok(Some(Kind::Missing)),
            _ if a.kind() != b.kind() => {
                return Ok(Some(Kind::Different(format!("{} against {}", a.kind(), b.kind()))));
            }
            (Value::Foreign(_), _) => return Ok(Some(Kind::Different("values of a module's type".into()))),
            _ if a != b => {
                let text =
                    format!("{} of {} against {} elements or bytes, content differs", a.kind(), a.len(), b.len());
                return Ok(Some(Kind::Different(text)));
            }
            _ => {}
        }
    }
    let (a, b) = (a.1, b.1);
    let apart = match (a, b) {
        (-1, -1) | (-2, _) | (_, -2) => false,
        (-1, _) | (_, -1) => true,
        _ => a.abs_diff(b) > ttl_slack * 1000,
    };
    let text = |ttl: i64| if ttl < 0 { "no expiry".to_string() } else { format!("{} s", ttl / 1000) };
    Ok(apart.then(|| Kind::Different(format!("expires: {} against {}", text(a), text(b)))))
}
