//! Who is let in, and the end: one word.
//!
//! The word counts the connections that are in, and its highest bit says that nobody is let in any more. Since both are one
//! atomic, whoever finds the gate closed and nobody in knows that it stays so: the process may end, and everything that
//! any connection has read is answered by then.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Notify, Ordering, planted};

const CLOSED: u64 = 1 << 63;

/// The gate. Read once per batch by every connection, written when one comes or goes.
#[derive(Debug, Default)]
pub struct Gate {
    word: CachePadded<AtomicU64>,
    closed: Notify,
    empty: Notify,
}

impl Gate {
    /// Lets a connection in unless `max` are, or the gate is closed.
    pub fn enter(&self, max: u64) -> bool {
        let is_open = |word: u64| word & CLOSED == 0 || planted("gate-entered-after-its-end");
        // SeqCst, here and below: it is seldom, and nobody has to think about it.
        let entered = self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
            (is_open(word) && word & !CLOSED < max).then_some(word + 1)
        });
        entered.is_ok()
    }

    /// A connection that was let in has ended.
    pub fn leave(&self) {
        if planted("gate-left-without-exchange") {
            let word = self.word.load(Ordering::SeqCst) - 1;
            self.word.store(word, Ordering::SeqCst);
            return self.empty.notify_waiters();
        }
        if (self.word.fetch_sub(1, Ordering::SeqCst) & !CLOSED) == 1 {
            self.empty.notify_waiters();
        }
    }

    /// Lets nobody in any more. Those who are in are to look, once they are woken.
    pub fn close(&self) {
        self.word.fetch_or(CLOSED, Ordering::SeqCst);
        self.closed.notify_waiters();
    }

    #[inline]
    pub fn is_closed(&self) -> bool {
        self.word.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        (self.word.load(Ordering::SeqCst) & !CLOSED) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until it is closed.
    pub async fn until_closed(&self) {
        until(&self.closed, || self.is_closed()).await;
    }

    /// Waits until nobody is in.
    pub async fn until_empty(&self) {
        until(&self.empty, || self.is_empty()).await;
    }
}

/// Waits until something is so. Whoever makes it so notifies afterwards.
async fn until(changed: &Notify, is_so: impl Fn() -> bool) {
    loop {
        if planted("gate-looked-at-before-waiting") && is_so() {
            return;
        }
        // Asked for before looking, so that a change in between is not missed.
        let news = changed.notified();
        if !planted("gate-looked-at-before-waiting") && is_so() {
            return;
        }
        news.await;
    }
}
