//! On which threads the tasks that serve clients run: on all of them, or on one.
//!
//! Tasks move themselves: each looks now and then, between two requests, whether it is where it is wanted. Until then
//! it is served where it is, so nothing ever waits for a move.

use tokio::runtime::Handle;

use crate::sync::{AtomicBool, Ordering};

/// A set of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All, which take work from each other.
    All,
    /// One alone.
    One,
}

/// Where tasks are wanted.
#[derive(Debug)]
pub struct Home {
    all: Handle,
    one: Option<Handle>,
    wants_one: AtomicBool,
}

impl Home {
    /// * `one`: none when there is nothing to choose.
    pub fn new(all: Handle, one: Option<Handle>) -> Self {
        Self { all, one, wants_one: AtomicBool::new(false) }
    }

    /// The threads of the present runtime, always.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn here() -> Self {
        Self::new(Handle::current(), None)
    }

    /// Whether there is more than one set of threads.
    pub fn has_choice(&self) -> bool {
        self.one.is_some()
    }

    /// Where tasks are wanted now.
    #[inline]
    pub fn wanted(&self) -> Threads {
        // Nothing but speed depends on who sees it when.
        if self.wants_one.load(Ordering::Relaxed) { Threads::One } else { Threads::All }
    }

    pub fn want(&self, threads: Threads) {
        self.wants_one.store(threads == Threads::One && self.one.is_some(), Ordering::Relaxed);
    }

    /// Wakes one thread of each set, if any sleeps.
    pub fn rouse(&self) {
        for handle in [&self.all].into_iter().chain(&self.one) {
            handle.spawn(async {});
        }
    }

    pub fn handle(&self, threads: Threads) -> &Handle {
        match threads {
            Threads::All => &self.all,
            Threads::One => self.one.as_ref().unwrap_or(&self.all),
        }
    }
}
