//! What follows from a change, in one place, while the key is still held.

use crate::command::{Effect, Event};
use crate::fault;
use crate::store::table::Table;
use crate::store::{Heard, Part};

/// A key that a command may have changed.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    pub bytes: &'a [u8],
    /// Whether it was there before; of no matter unless somebody listens for new keys.
    pub existed: bool,
    /// The client that asked for it.
    pub by: u64,
}

/// Applies a command's effect on the key of `part` with this hash. `key` is asked where somebody listens.
#[inline]
pub fn apply<'a>(part: &mut Part<'_>, hash: u64, effect: Effect, key: impl FnOnce() -> Changed<'a>) {
    if matches!(effect, Effect::None | Effect::Quiet) {
        return;
    }
    fault::point("apply.before");
    part.side.touch(hash);
    if part.env.heard().is_any() {
        announce(part, hash, effect, key());
    }
}

/// Tells those who listen to keyspace events, and those who keep copies of the key.
#[cold]
fn announce(part: &mut Part<'_>, hash: u64, effect: Effect, key: Changed<'_>) {
    let (event, then) = match effect {
        Effect::None | Effect::Quiet => return,
        Effect::Changed(event) => (event, None),
        Effect::Both(event, then) => (event, Some(then)),
    };
    fault::point("announce");
    let (env, db) = (part.env, part.id.db);
    if env.heard().has(Heard::COPIES) {
        env.changed(key.bytes, key.by);
    }
    if !env.heard().has(Heard::EVENTS) {
        return;
    }
    let exists = part.table.find_key(hash, key.bytes).is_some();
    if exists && !key.existed && !comes_late(event) {
        env.event(db, key.bytes, "new");
    }
    env.event(db, key.bytes, event.0);
    if let Some(then) = then {
        env.event(db, key.bytes, then.0);
    }
    // What a command emptied is gone. Others say so themselves.
    if !exists && !matches!(event.0, "del" | "rename_from" | "move_from" | "evicted") {
        env.event(db, key.bytes, "del");
    }
}

/// Whether the key was made before the event of another key: it is announced there.
pub fn comes_late(event: Event) -> bool {
    matches!(event.0, "rename_to" | "move_to")
}
