//! Threads that work in the background: whoever wakes up goes first.
#![allow(unsafe_code)]

use std::io;
use std::thread::{Builder, JoinHandle};

/// How long the turn is that the system gives a background thread, in nanoseconds. Linux (6.12 and later) lets whoever
/// wakes up and takes shorter turns run before one whose turn is not over yet: its own default is 0.7 to 2.8 ms, so
/// this is just longer, and where all cores are busy others wait no longer than for one such turn.
#[cfg(target_os = "linux")]
const TURN: u64 = 5_000_000;

/// Starts a background thread.
///
/// # Errors
/// When the system has no thread for it.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(move || {
        #[cfg(target_os = "linux")]
        take_long_turns();
        work();
    })
}

/// Asks for long turns, if this thread is scheduled as usual. Older systems have none, and whoever may not have them
/// goes without.
#[cfg(target_os = "linux")]
fn take_long_turns() {
    if let Ok(before) = scheduling()
        && matches!(i32::try_from(before.sched_policy), Ok(libc::SCHED_OTHER | libc::SCHED_BATCH))
    {
        let wanted = libc::sched_attr { sched_runtime: TURN, ..before };
        // SAFETY: the system reads a structure that is there.
        let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    }
}

/// How this thread is scheduled.
#[cfg(target_os = "linux")]
fn scheduling() -> io::Result<libc::sched_attr> {
    // SAFETY: it consists of numbers.
    let mut found: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of_val(&found);
    // SAFETY: the system writes as many bytes as there are.
    match unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut found, size, 0) } {
        0 => Ok(found),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(all(test, target_os = "linux", not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_background_thread_takes_longer_turns_than_others() {
        let usual = scheduling().expect("it can be asked").sched_runtime;
        if usual == 0 {
            eprintln!("skipped: this system has no turns of a chosen length");
            return;
        }
        let (tell, told) = std::sync::mpsc::channel();
        let thread = start("background", move || tell.send(scheduling()).expect("somebody listens"));
        let found = told.recv().expect("the thread tells").expect("it can be asked");
        assert_eq!(found.sched_runtime, TURN);
        assert!(usual < TURN, "{usual}");
        thread.expect("it was started").join().expect("it ended well");
    }
}
