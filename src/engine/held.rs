//! Running one data command while everything it can reach is held exclusively: what both engines share.

use smallvec::SmallVec;

use super::apply::{Changed, apply, comes_late};
use super::serve::{self, Ready};
use crate::command::{
    Call, Command, Effect, Effects, Entries, Flags, Held, Key, Parts, Progress, ReadManyRun, Run, Slots, Step,
    WholeRun, live, lookup, prune,
};
use crate::error::Error;
use crate::fault;
use crate::reply::{Mark, Reply};
use crate::server::Tally;
use crate::store::table::Table;
use crate::store::{Heard, Part, Slot};

/// A key that is being changed. Dropped by a panic only, it tells those who watch the key.
struct Changing<'a, 'b>(&'a mut Part<'b>, u64);

impl Drop for Changing<'_, '_> {
    fn drop(&mut self) {
        self.0.side.touch(self.1);
    }
}

/// Keys that are being changed. Dropped by a panic, it tells those who watch them.
pub struct ChangingMany<'a, P: Parts + ?Sized> {
    pub parts: &'a mut P,
    pub keys: &'a [Key],
    pub call: &'a Call<'a>,
}

impl<P: Parts + ?Sized> Drop for ChangingMany<'_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for key in self.keys {
                let db = key.elsewhere.unwrap_or(self.call.db);
                if u32::from(db) < self.call.server.config.databases() {
                    self.parts.part(db, key.hash).side.touch(key.hash);
                }
            }
        }
    }
}

/// Runs a command that writes one key.
#[inline]
pub fn write(
    run: fn(&mut Slot<'_>, &Call<'_>, &mut Reply) -> Result<Effect, Error>,
    part: &mut Part<'_>,
    key: Key,
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) {
    let mark = reply.mark();
    remember(std::slice::from_ref(&key), call);
    let guard = Changing(&mut *part, key.hash);
    let mut slot = crate::command::slot(guard.0, key, call);
    let existed = slot.exists();
    let outcome = slot.guarded(|slot| {
        fault::point("write.before");
        let outcome = run(slot, call, reply);
        fault::point("write.after");
        outcome
    });
    match outcome {
        Ok(effect) => apply(guard.0, key.hash, effect, || changed(key, existed, call)),
        Err(error) => {
            reply.rewind(mark);
            reply.fail(error);
        }
    }
    std::mem::forget(guard);
    ready.collect(part);
}

/// Runs a command that writes several keys, which are all held.
pub fn write_many(
    run: fn(&mut Slots<'_>, &Call<'_>, &mut Reply) -> Result<Effects, Error>,
    parts: &mut dyn Parts,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) {
    let mark = reply.mark();
    remember(keys, call);
    let existed = existing(parts, keys, call);
    let changing = ChangingMany { parts, keys, call };
    let parts = &mut *changing.parts;
    fault::point("many.before");
    let outcome = run(&mut Slots::new(parts, keys, call), call, reply);
    fault::point("many.after");
    settle(outcome.map(|effects| apply_all(effects, parts, keys, &existed, call, ready)), mark, reply);
}

/// Runs a command on everything there is and on its keys, which are all held.
pub fn whole_and_keys(
    run: WholeRun,
    held: &mut dyn Held,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) {
    let mark = reply.mark();
    remember(keys, call);
    let existed = existing(held, keys, call);
    let changing = ChangingMany { parts: held, keys, call };
    let held = &mut *changing.parts;
    let outcome = run(held, keys, call, reply);
    settle(outcome.map(|effects| apply_all(effects, held, keys, &existed, call, ready)), mark, reply);
}

/// Runs a command on everything there is, which is held.
pub fn whole(
    run: fn(&mut dyn Held, &Call<'_>, &mut Reply) -> Result<(), Error>,
    held: &mut dyn Held,
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) {
    let mark = reply.mark();
    settle(run(held, call, reply), mark, reply);
    fault::point("whole.after");
    if call.command.flags.has(Flags::WRITE) {
        for db in 0..held.databases() {
            if held.is_used(db) {
                for index in 0..held.parts() {
                    held.write(db, index, &mut |mut part| ready.collect(&mut part));
                }
            }
        }
    }
}

/// Applies what a command did to its keys.
///
/// * `existed`: which of them there were before, as [`existing`] told.
pub fn apply_all(
    effects: Effects,
    parts: &mut dyn Parts,
    keys: &[Key],
    existed: &[bool],
    call: &Call<'_>,
    ready: &mut Ready,
) {
    if let Some(&(i, Effect::Changed(event))) = effects.last()
        && comes_late(event)
        && call.server.env.heard().has(Heard::EVENTS)
    {
        call.server.env.event(keys[i].elsewhere.unwrap_or(call.db), call.arg(keys[i].arg as usize), "new");
    }
    for (i, effect) in effects {
        let key = keys[i];
        // Those that are replaced by another key's value are made anew.
        let is_replaced = matches!(effect, Effect::Changed(event) if event.0 == "copy_to");
        let existed = !is_replaced && existed.get(i).is_none_or(|&existed| existed);
        let mut part = parts.part(key.elsewhere.unwrap_or(call.db), key.hash);
        fault::point("apply.between");
        apply(&mut part, key.hash, effect, || changed(key, existed, call));
        ready.collect(&mut part);
    }
}

fn changed<'a>(key: Key, existed: bool, call: &Call<'a>) -> Changed<'a> {
    Changed { bytes: call.arg(key.arg as usize), existed, by: call.asker.client }
}

/// Which keys exist, where somebody listens to events; nothing otherwise.
pub fn existing<P: Parts + ?Sized>(parts: &P, keys: &[Key], call: &Call<'_>) -> SmallVec<[bool; 4]> {
    if !call.server.env.heard().has(Heard::EVENTS) {
        return SmallVec::new();
    }
    let exists = |key: &Key| {
        let db = key.elsewhere.unwrap_or(call.db);
        u32::from(db) < call.server.config.databases() && {
            let table = parts.table(db, key.hash);
            let found = table.find_key(key.hash, call.arg(key.arg as usize)).map(|at| table.entry(at));
            found.is_some_and(|entry| !entry.is_expired(call.now))
        }
    };
    keys.iter().map(exists).collect()
}

/// Notes that a client which keeps copies of what it reads reads these keys. They are held, so that no change is missed.
#[inline]
pub fn remember(keys: &[Key], call: &Call<'_>) {
    if call.asker.tracks && call.command.flags.has(Flags::READONLY) {
        keys.iter()
            .for_each(|key| call.server.tracking.remember(call.arg(key.arg as usize), call.asker.client, call.server));
    }
}

/// Writes the error reply of a command that failed after `mark`.
pub fn settle(result: Result<(), Error>, mark: Mark, reply: &mut Reply) {
    if let Err(error) = result {
        reply.rewind(mark);
        reply.fail(error);
    }
}

/// Runs a command that reads the keys, which are held exclusively.
pub fn read_many(
    run: ReadManyRun,
    parts: &mut dyn Parts,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    tally: &Tally,
) {
    let mark = reply.mark();
    remember(keys, call);
    Slots::new(parts, keys, call).prune();
    fault::point("read.many");
    settle(run(&Entries::new(&*parts, keys, call, tally), call, reply), mark, reply);
}

/// Runs a command on its declared keys, which are held exclusively.
///
/// # Panics
/// If it runs otherwise.
pub fn declared(
    run: Run,
    parts: &mut dyn Parts,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    tally: &Tally,
    ready: &mut Ready,
) {
    match run {
        Run::Read(run) => {
            let (mark, key) = (reply.mark(), keys[0]);
            remember(keys, call);
            let mut entry = lookup(parts.table(call.db, key.hash), key, call, tally);
            if entry.is_some_and(|entry| entry.must_be_pruned(call.now)) {
                prune(&mut parts.part(call.db, key.hash), key, call);
                entry = live(parts.table(call.db, key.hash), key, call);
            }
            settle(run(entry, call, reply), mark, reply);
        }
        Run::Write(run) => write(run, &mut parts.part(call.db, keys[0].hash), keys[0], call, reply, ready),
        Run::ReadMany(run) => read_many(run, parts, keys, call, reply, tally),
        Run::WriteMany(run) | Run::ManyOrWhole { many: run, .. } => write_many(run, parts, keys, call, reply, ready),
        _ => unreachable!("no command on declared keys"),
    }
}

/// Runs any data command to its end.
pub fn run(
    held: &mut dyn Held,
    command: &'static Command,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    tally: &Tally,
    ready: &mut Ready,
) {
    let mark = reply.mark();
    let run = command.spec.run.plain();
    match run {
        Run::Read(_) | Run::Write(_) | Run::ReadMany(_) | Run::WriteMany(_) => {
            declared(run, held, keys, call, reply, tally, ready);
        }
        Run::Block(block) => match block.read.filter(|_| !block.may_wait(call.arguments())) {
            Some(run) => read_many(run, held, keys, call, reply, tally),
            None => serve::at_once(block, held, keys, call, reply, ready),
        },
        Run::Walk(run) => {
            let mut progress = Progress::start(reply.resp());
            loop {
                match run(held, &mut progress, call, reply) {
                    Ok(Step::More) => {}
                    Ok(Step::Done) => break,
                    Err(error) => break settle(Err(error), mark, reply),
                }
            }
        }
        Run::Whole(run) => whole(run, held, call, reply, ready),
        Run::ManyOrWhole { is_whole, whole, .. } => {
            if is_whole(call.arguments()) {
                whole_and_keys(whole, held, keys, call, reply, ready);
            } else {
                declared(run, held, keys, call, reply, tally, ready);
            }
        }
        Run::Long(_) => unreachable!("looked through above"),
        Run::Session(_) | Run::SessionOr(..) | Run::SessionElse(..) | Run::Control(_) | Run::Container(_) => {
            unreachable!("the executor runs these itself")
        }
    }
}
