//! Panics, which are bugs: what each may cost, and the places where tests throw some.
//!
//! Whoever runs something for one client does it in [`contain`], and reports what comes of it with the client's number.
//! Threads that serve nobody in particular catch their panics themselves; the hook reports those. `docs/reliability.md`
//! says what is promised.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::command;
use crate::server::{Count, Server};
use crate::sync::Arc;

/// A place where a test may have the thread panic, by its name in `tests/faults`. Nothing in an ordinary build.
#[cfg(feature = "failpoints")]
pub fn point(name: &'static str) {
    fail::fail_point!(name);
}

#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn point(_: &'static str) {}

thread_local! {
    /// Calls of [`contain`] that this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The panic that is on its way to the innermost of them.
    static LAST: RefCell<Option<Panicked>> = const { RefCell::new(None) };
    /// The index of the command whose reply that panic broke off.
    static COMMAND: Cell<Option<u32>> = const { Cell::new(None) };
}

/// A panic that has been caught.
#[derive(Debug, Default)]
pub struct Panicked {
    message: String,
    place: String,
}

impl Panicked {
    /// Counts it, and says so in the log.
    ///
    /// * `client`: for whom the thread was at work; 0 for nobody.
    pub fn report(self, server: &Server, client: u64) {
        let command = COMMAND.take().and_then(command::by_index).map_or("none", |command| command.full_name);
        let Self { message, place } = self;
        server.stats.add(Count::panics, 1);
        tracing::error!(client, command, place, message, "a panic; the client's connection is closed");
    }
}

/// Runs `f`; its panic is the caller's to report.
///
/// # Errors
/// The panic.
pub fn contain<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|payload| {
        let message = || Panicked { message: text_of(&*payload).to_owned(), place: String::new() };
        LAST.take().unwrap_or_else(message)
    })
}

/// Runs `f` for nobody in particular; `None` when it has panicked, which the hook has reported.
pub fn shield<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}

/// A reply is dropped by a panic: this command wrote it. The first to say so is right, since it is the innermost.
#[cold]
pub fn blame(command: u32) {
    COMMAND.set(COMMAND.get().or(Some(command)));
}

/// Has every panic of the process reported once: by whoever contains it, or else at once.
pub fn install(server: &Arc<Server>) {
    let server = Arc::downgrade(server);
    std::panic::set_hook(Box::new(move |info| {
        COMMAND.set(None);
        let message = text_of(info.payload()).to_owned();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if DEPTH.get() > 0 {
            return LAST.set(Some(Panicked { message, place }));
        }
        if let Some(server) = server.upgrade() {
            server.stats.add(Count::panics, 1);
        }
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("none"), place, message, "a panic; the thread goes on");
    }));
}

fn text_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(all(test, not(kiba_model)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_contained_is_known() {
        assert_eq!(contain(|| 7).ok(), Some(7));
        let panicked = contain(|| panic!("a {}", "bug")).map(|()| 0).unwrap_err();
        assert_eq!(panicked.message, "a bug");
        assert_eq!(shield(|| panic!("another")).map(|()| 0), None);
        assert_eq!(DEPTH.get(), 0);
    }
}
