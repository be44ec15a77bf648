//! WAIT WAITAOF: how many replicas have what this connection wrote. There are none, so nobody waits.

use super::{Arity, Call, Flags, Keys, Next, Run, Spec};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::session::Session;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "wait",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(wait),
        flags: Flags::BLOCKING,
        since: "3.0.0",
        complexity: "O(1)",
        summary: "Answers how many replicas have acknowledged the writes of the connection: none.",
    },
    Spec {
        name: "waitaof",
        arity: Arity::exactly(4),
        keys: Keys::None,
        run: Run::Session(waitaof),
        flags: Flags::BLOCKING,
        since: "7.2.0",
        complexity: "O(1)",
        summary: "Answers how many logs have the writes of the connection: none.",
    },
];

/// WAIT numreplicas timeout -> 0, at once.
fn wait(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    call.integer(1)?;
    check_timeout(call, 2)?;
    reply.integer(0);
    Ok(Next::Continue)
}

/// WAITAOF numlocal numreplicas timeout -> 0 and 0, at once.
fn waitaof(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let local = call.integer(1)?;
    if !(0..=1).contains(&local) {
        return Err(Error::Other("ERR value is out of range, value must between 0 and 1"));
    }
    if !call.integer(2).is_ok_and(|replicas| replicas >= 0) {
        return Err(Error::MustBePositive);
    }
    check_timeout(call, 3)?;
    if local > 0 {
        return Err(Error::Other("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
    }
    reply.array(2);
    reply.integer(0);
    reply.integer(0);
    Ok(Next::Continue)
}

/// Milliseconds; 0 is for ever.
fn check_timeout(call: &Call<'_>, i: usize) -> Result<(), Error> {
    match parse_i64(call.arg(i)).map(u64::try_from) {
        None => Err(Error::Other("ERR timeout is not an integer or out of range")),
        Some(Err(_)) => Err(Error::Other("ERR timeout is negative")),
        Some(Ok(millis)) if millis > i64::MAX as u64 - call.now => Err(Error::Other("ERR timeout is out of range")),
        Some(Ok(_)) => Ok(()),
    }
}
