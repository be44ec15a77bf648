//! How much memory is in use, and whether that is within a limit: each thread counts for itself.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stripes::Stripes;

/// More threads than this share the last.
static USED: Stripes<128> = Stripes::new();

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// This thread's place among the counters.
#[inline]
fn mine() -> usize {
    let mine = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(USED.place());
        }
        mine.get()
    });
    // A thread that is ending shares the last.
    mine.unwrap_or(usize::MAX)
}

#[inline]
pub fn count(bytes: isize) {
    USED.add(mine(), bytes as i64);
}

/// Bytes that the process has allocated and not freed, with what the allocator rounds them up to.
pub fn used() -> u64 {
    USED.sum().max(0) as u64
}

/// What a thread may still allocate before it has to look at all counters again.
#[derive(Clone, Copy)]
struct Leave {
    limit: u64,
    /// Of [`GENERATION`], when it was given.
    generation: u64,
    /// How much it is.
    bytes: i64,
    /// The value of the thread's own counter at which it is used up.
    until: i64,
}

const NO_LEAVE: Leave = Leave { limit: 0, generation: 0, bytes: 0, until: i64::MIN };

/// Raised when a thread has used up its leave: the others look again, also those that allocate nothing themselves and
/// only ask on behalf of another thread.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Most that a thread may allocate between two looks: so seldom that looking costs nothing, and little enough that all
/// threads of a large machine together stay within some megabytes.
const LEAVE_MAX: u64 = 256 * 1024;

/// The share of what is free that one thread may take: others take theirs meanwhile.
const LEAVE_SHARE: u64 = 4;

/// Whether at most `limit` bytes are in use, or a few more: the threads may go beyond it by what they have leave for.
///
/// Far from the limit this looks at the thread's own counter only. `looking` is called when it looks at all.
#[inline]
pub fn is_within(limit: u64, looking: impl FnOnce()) -> bool {
    thread_local! {
        static LEAVE: Cell<Leave> = const { Cell::new(NO_LEAVE) };
    }
    LEAVE.with(|leave| {
        let Leave { limit: known, generation, bytes, until } = leave.get();
        let own = USED.own(mine());
        // Relaxed: whoever sees it late goes beyond the limit by a little more.
        if known == limit && own <= until && generation == GENERATION.load(Ordering::Relaxed) {
            if until - own > bytes {
                // What the thread has freed meanwhile is for all.
                leave.set(Leave { limit, generation, bytes, until: own + bytes });
            }
            return true;
        }
        if known == limit && own > until {
            GENERATION.fetch_add(1, Ordering::Relaxed);
        }
        looking();
        let renewed = renewed(limit);
        leave.set(renewed.unwrap_or(NO_LEAVE));
        renewed.is_some()
    })
}

#[cold]
fn renewed(limit: u64) -> Option<Leave> {
    let generation = GENERATION.load(Ordering::Relaxed);
    let free = limit.checked_sub(used())?;
    let bytes = (free / LEAVE_SHARE).min(LEAVE_MAX) as i64;
    let own = USED.own(mine());
    Some(Leave { limit, generation, bytes, until: own.saturating_add(bytes) })
}
