//! Long commands, worked off aside: on copies of their keys, with nothing held, so that nobody else waits.
//!
//! The keys are watched as by WATCH and copied a slice at a time, each slice with its key held. When the copies are whole,
//! all keys are held at once and the flag is looked at: while it is down, the copies are what the keys are at this
//! moment. The command's own code then runs on them, on a thread where it holds up nobody. A command that reads is done
//! with that: it came about at the moment of the look. What a command stores goes to its key with all keys held once
//! more, if the flag is still down: it came about at that moment.
//!
//! Whenever the flag is up it all begins anew, with the keys as they are then; and when that does not help either, the
//! command runs as others do, with its keys held. So it ends, however often they change.

mod copies;
#[cfg(all(test, not(kiba_loom)))]
mod tests;

use smallvec::SmallVec;

use self::copies::Copies;
use super::held;
use super::serve::Ready;
use super::wait::Place;
use crate::command::{Asker, Call, Command, Effect, Effects, Key, Long, Parts, Run, Slots, Tables, peek, slot};
use crate::fault;
use crate::parser::{Batch, Verdict};
use crate::reply::Mark;
use crate::server::{Count, Server, Tally, now};
use crate::store::copy::{self, Budget, Copied};
use crate::store::watch::Flag;
use crate::store::{Content, Entry, Raw};
use crate::sync::Arc;

/// Elements that may be copied for each one that the command goes through. A small part of something large is gone
/// through with the keys held: that is over sooner than the copying.
const COPIED_MAX: usize = 16;

/// How often it is begun on copies before the keys are held.
const STARTS_MAX: usize = 3;

/// Slices in which as many elements are copied as make a command long, and most elements of one: some tenths of a
/// millisecond.
const SLICES: usize = 64;
const SLICE_MAX: usize = 2048;

/// Whether a command is to be worked off aside. Its keys are held, at least shared.
pub fn is_called_for(long: &Long, tables: &dyn Tables, keys: &[Key], call: &Call<'_>) -> bool {
    let entries: SmallVec<[Option<&Entry>; 8]> = keys.iter().map(|&key| peek(tables, key, call)).collect();
    is_long(long, &entries, keys, call)
}

/// The same, given the keys' entries.
#[inline]
pub fn is_long(long: &Long, entries: &[Option<&Entry>], keys: &[Key], call: &Call<'_>) -> bool {
    let sources = entries.iter().enumerate().filter(|(i, _)| Some(*i) != long.target);
    let elements = sources.fold(0, |sum: usize, (_, entry)| sum.saturating_add(entry.map_or(0, copy::elements)));
    let limit = call.server.config.long_command_elements();
    (elements > limit || long.repeats) && is_long_of(long, entries, keys, call, elements, limit)
}

#[cold]
fn is_long_of(
    long: &Long,
    entries: &[Option<&Entry>],
    keys: &[Key],
    call: &Call<'_>,
    elements: usize,
    limit: usize,
) -> bool {
    // What looks at keys that it does not name cannot be done on copies.
    let databases = call.server.config.databases();
    let is_whole = matches!(long.run, Run::ManyOrWhole { is_whole, .. } if is_whole(call.arguments()));
    if limit == 0 || is_whole || keys.iter().any(|key| u32::from(key.elsewhere.unwrap_or(call.db)) >= databases) {
        return false;
    }
    let work = (long.work)(entries, call);
    work > limit && elements / COPIED_MAX <= work
}

/// What a long command needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All keys held: watches them and begins the copies, or runs as other commands do.
    Start,
    /// One key held, at least shared: copies a slice.
    Copy,
    /// All keys held: makes sure that the copies are what the keys are.
    Look,
    /// Nothing held, and a thread that may take its time.
    Work,
    /// All keys held: puts what was made where it belongs.
    Store,
    Done,
}

/// A long command on its way.
pub struct Aside {
    batch: Box<Batch>,
    index: usize,
    db: u16,
    command: &'static Command,
    long: &'static Long,
    stage: Stage,
    /// Raised when one of the keys changes.
    flag: Arc<Flag>,
    copies: Copies,
    /// The key that is being copied.
    at: usize,
    starts: usize,
    /// The end of the reply before this command's.
    mark: Mark,
    effects: Effects,
    /// The new values of the keys that it changed; none for one that is to go.
    results: SmallVec<[(usize, Option<Entry>); 1]>,
}

impl Aside {
    /// * `index`: of the request, which is that of a long command.
    pub fn new(batch: Box<Batch>, index: usize, db: u16) -> Self {
        let Verdict::Run(command) = batch.requests[index].verdict else { unreachable!("only what can run is long") };
        let Run::Long(long) = command.spec.run else { unreachable!("checked by the caller") };
        let mark = batch.reply.mark();
        Self {
            batch,
            index,
            db,
            command,
            long,
            stage: Stage::Start,
            flag: Arc::default(),
            copies: Copies::default(),
            at: 0,
            starts: 0,
            mark,
            effects: Effects::new(),
            results: SmallVec::new(),
        }
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    pub fn command(&self) -> &'static Command {
        self.command
    }

    /// Who asked for it.
    pub fn client(&self) -> u64 {
        self.batch.asker.client
    }

    pub fn db(&self) -> u16 {
        self.db
    }

    pub fn keys(&self) -> &[Key] {
        &self.batch.keys[self.batch.requests[self.index].keys()]
    }

    /// The key of which a slice is to be copied next.
    pub fn copied(&self) -> Option<Place> {
        let key = (self.stage == Stage::Copy).then(|| self.keys()[self.at])?;
        Some(Place { db: key.elsewhere.unwrap_or(self.db), hash: key.hash })
    }

    /// Gives the batch back, whether the command is done or not. What was copied is freed elsewhere.
    pub fn into_batch(mut self, server: &Server) -> Box<Batch> {
        self.forget(server);
        self.batch
    }

    /// Takes a step that needs all keys held.
    pub fn step(&mut self, parts: &mut dyn Parts, server: &Server, ready: &mut Ready) {
        match self.stage {
            Stage::Start => self.start(parts, server, ready),
            Stage::Look => self.look(parts, server),
            Stage::Store => self.store(parts, server, ready),
            Stage::Copy | Stage::Work | Stage::Done => debug_assert!(false, "needs something else"),
        }
    }

    /// Copies a slice of [`Aside::copied`], which is held.
    pub fn copy(&mut self, tables: &dyn Tables, server: &Server) {
        fault::point("aside.copy");
        // Whoever changed this key held it, so this sees it.
        if self.flag.is_raised() && !crate::sync::planted("copies-not-looked-at") {
            self.stage = Stage::Start;
            return;
        }
        let (call, keys) = call(&self.batch, self.index, self.db, self.command, server);
        let key = keys[self.at];
        let is_source = Some(self.at) != self.long.target;
        let copied = match (peek(tables, key, &call), self.copies.entry_mut(key, &call)) {
            _ if !is_source => Copied::All,
            (Some(entry), Some(copy)) => copy::go_on(entry, copy, budget(server)),
            (None, None) => Copied::All,
            _ => Copied::Changed,
        };
        self.stage = match copied {
            Copied::Some => Stage::Copy,
            Copied::Changed => Stage::Start,
            Copied::All => {
                self.at += 1;
                if self.at < keys.len() { Stage::Copy } else { Stage::Look }
            }
        };
    }

    /// Runs the command on the copies. Takes long.
    pub fn work(&mut self, server: &Server) {
        debug_assert_eq!(self.stage, Stage::Work);
        fault::point("aside.work");
        let tally = Tally::default();
        let Batch { input, spans, requests, keys, reply, now, asker, .. } = &mut *self.batch;
        let request = &requests[self.index];
        let (keys, spans) = (&keys[request.keys()], &spans[request.spans()]);
        let call = Call {
            input,
            spans,
            command: self.command,
            now: *now,
            db: self.db,
            // What is read was noted at the moment of the look.
            asker: Asker { tracks: false, ..*asker },
            fieldsets: None,
            server,
        };
        let mut parts = self.copies.held(&server.env);
        self.effects.clear();
        match self.long.run {
            Run::WriteMany(run) | Run::ManyOrWhole { many: run, .. } => {
                let outcome = run(&mut Slots::new(&mut parts, keys, &call), &call, reply);
                held::settle(outcome.map(|effects| self.effects = effects), self.mark, reply);
            }
            run => held::declared(run, &mut parts, keys, &call, reply, &tally, &mut Ready::default()),
        }
        self.effects.retain(|(_, effect)| *effect != Effect::None);
        self.results = self.effects.iter().map(|&(i, _)| (i, self.copies.take(keys[i], &call))).collect();
        // Freed here, where there is time.
        self.copies = Copies::default();
        server.stats.add_tally(&tally);
        self.stage = if self.effects.is_empty() { Stage::Done } else { Stage::Store };
    }

    fn start(&mut self, parts: &mut dyn Parts, server: &Server, ready: &mut Ready) {
        self.forget(server);
        self.batch.reply.rewind(self.mark);
        self.batch.now = now();
        self.starts += 1;
        self.stage = Stage::Copy;
        if self.starts > STARTS_MAX || !self.begin(parts, server) {
            self.forget(server);
            self.run_held(parts, server, ready);
        }
    }

    /// Watches the keys and begins their copies; false when the command is better run with its keys held.
    fn begin(&mut self, parts: &mut dyn Parts, server: &Server) -> bool {
        let (call, keys) = call(&self.batch, self.index, self.db, self.command, server);
        if !is_called_for(self.long, parts, keys, &call) {
            return false;
        }
        self.at = 0;
        fault::point("aside.begin");
        self.flag = Arc::default();
        for key in keys {
            let db = key.elsewhere.unwrap_or(self.db);
            parts.part(db, key.hash).watch(call.arg(key.arg as usize), key.hash, call.now, &self.flag);
        }
        let sources = keys.iter().enumerate().filter(|(i, _)| Some(*i) != self.long.target);
        let sources = sources.filter_map(|(_, &key)| Some((key, peek(parts, key, &call)?)));
        if !has_room(sources.clone().map(|(_, entry)| entry), server) {
            return false;
        }
        for (key, entry) in sources {
            if self.copies.entry_mut(key, &call).is_none() {
                let Some(copy) = copy::begin(entry, entry.clock()) else { return false };
                self.copies.adopt(key, copy, &call);
            }
        }
        true
    }

    fn look(&mut self, parts: &mut dyn Parts, server: &Server) {
        fault::point("aside.look");
        self.batch.now = now();
        let (call, keys) = call(&self.batch, self.index, self.db, self.command, server);
        if self.has_changed(parts, keys, &call, "copies-not-looked-at") {
            self.stage = Stage::Start;
            return;
        }
        held::remember(keys, &call);
        // Whether the target exists matters, whatever it is.
        if let Some(&target) = self.long.target.and_then(|target| keys.get(target))
            && let Some(entry) = peek(parts, target, &call)
            && self.copies.entry_mut(target, &call).is_none()
        {
            let stand_in = Entry::new(entry.key(), Content::Int(0), None, entry.clock());
            self.copies.adopt(target, stand_in, &call);
        }
        server.stats.add(Count::worked_aside, 1);
        self.stage = Stage::Work;
    }

    fn store(&mut self, parts: &mut dyn Parts, server: &Server, ready: &mut Ready) {
        self.batch.now = now();
        let (call, keys) = call(&self.batch, self.index, self.db, self.command, server);
        if self.has_changed(parts, keys, &call, "stored-without-looking") {
            self.stage = Stage::Start;
            return;
        }
        let existed = held::existing(parts, keys, &call);
        for (i, value) in self.results.drain(..) {
            let mut part = parts.part(keys[i].elsewhere.unwrap_or(self.db), keys[i].hash);
            slot(&mut part, keys[i], &call).guarded(|slot| {
                slot.remove();
                fault::point("aside.store");
                if let Some(value) = value {
                    slot.insert(value);
                }
            });
        }
        held::apply_all(std::mem::take(&mut self.effects), parts, keys, &existed, &call, ready);
        self.stage = Stage::Done;
    }

    /// Whether a key has changed since the watch began. All are held.
    fn has_changed(&self, parts: &mut dyn Parts, keys: &[Key], call: &Call<'_>, bug: &str) -> bool {
        // Looking a key up removes what is due of it, which is a change.
        for &key in keys {
            slot(&mut parts.part(key.elsewhere.unwrap_or(self.db), key.hash), key, call);
        }
        self.flag.is_raised() && !crate::sync::planted(bug)
    }

    fn run_held(&mut self, parts: &mut dyn Parts, server: &Server, ready: &mut Ready) {
        let tally = Tally::default();
        let Batch { input, spans, requests, keys, reply, now, asker, .. } = &mut *self.batch;
        let request = &requests[self.index];
        let call = Call {
            input,
            spans: &spans[request.spans()],
            command: self.command,
            now: *now,
            db: self.db,
            asker: *asker,
            fieldsets: None,
            server,
        };
        held::declared(self.long.run, parts, &keys[request.keys()], &call, reply, &tally, ready);
        server.stats.add_tally(&tally);
        self.stage = Stage::Done;
    }

    /// Drops what there is so far; large values elsewhere.
    fn forget(&mut self, server: &Server) {
        self.copies.free(&server.env);
        self.results.drain(..).filter_map(|(_, value)| value).for_each(|value| server.env.reaper.free(value));
        self.flag = Arc::default();
    }
}

/// The call of a request, and its keys.
fn call<'a>(
    batch: &'a Batch,
    index: usize,
    db: u16,
    command: &'static Command,
    server: &'a Server,
) -> (Call<'a>, &'a [Key]) {
    let Batch { input, spans, requests, keys, now, asker, .. } = batch;
    let request = &requests[index];
    let call =
        Call { input, spans: &spans[request.spans()], command, now: *now, db, asker: *asker, fieldsets: None, server };
    (call, &keys[request.keys()])
}

fn budget(server: &Server) -> Budget {
    Budget((server.config.long_command_elements() / SLICES).clamp(1, SLICE_MAX))
}

/// Whether there is memory for copies of these.
fn has_room<'a>(entries: impl Iterator<Item = &'a Entry>, server: &Server) -> bool {
    let bytes = |entry: &Entry| match entry.raw() {
        Raw::Boxed(object) => object.heap_bytes(),
        _ => entry.size(),
    };
    server.has_memory(entries.map(bytes).sum())
}
