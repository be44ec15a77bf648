//! What follows from a change, in one place, while the key is still held.

use crate::command::Effect;
use crate::store::Slot;

/// Applies a command's effect on the key of `slot`.
#[inline]
pub fn apply(slot: &mut Slot<'_>, effect: Effect) {
    match effect {
        Effect::None => {}
        Effect::Changed(_) => slot.touch(),
    }
}
