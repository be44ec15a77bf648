//! What others see of a connection that waits in a blocking command, and how they end its wait.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use crate::sync::{Arc, Weak};

/// Why a wait ends without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    TimedOut,
    /// CLIENT UNBLOCK ... ERROR.
    Unblocked,
    /// The connection has ended, or is about to.
    Gone,
    /// The command panicked when it was tried again.
    Broken,
}

/// A wait that others can end.
pub trait Wait: Debug + Send + Sync {
    /// Ends the wait. False when it is over already; otherwise it ends by this or, when it is just being served, perhaps
    /// by what was waited for.
    fn end(&self, how: End) -> bool;
}

/// The wait of a connection, while there is one. A wait owns its client, so it is not owned here: however a wait comes to
/// its end, the two do not keep each other.
#[derive(Debug, Default)]
pub struct Blocked(Mutex<Option<Weak<dyn Wait>>>);

impl Blocked {
    pub fn set(&self, wait: Option<Weak<dyn Wait>>) {
        *self.lock() = wait;
    }

    pub fn is_blocked(&self) -> bool {
        self.wait().is_some()
    }

    /// Ends the wait, if there is one; see [`Wait::end`].
    pub fn end(&self, how: End) -> bool {
        // Not while the mutex is held, which is a leaf.
        self.wait().is_some_and(|wait| wait.end(how))
    }

    fn wait(&self) -> Option<Arc<dyn Wait>> {
        self.lock().as_ref().and_then(Weak::upgrade)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Weak<dyn Wait>>> {
        // Replaced whole, so a panic cannot leave it half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
