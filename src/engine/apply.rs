//! What follows from a change, in one place, while the key is still held.

use crate::command::{Effect, Key};
use crate::store::Part;

/// Applies a command's effect on a key of `part`.
#[inline]
pub fn apply(part: &mut Part<'_>, key: Key, effect: Effect) {
    match effect {
        Effect::None | Effect::Quiet => {}
        Effect::Changed(_) => part.side.touch(key.hash),
    }
}
