//! The allocator, and how much of it is in use: true numbers for INFO and maxmemory, at the price of one addition each time.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long};
use std::time::Duration;

use libmimalloc_sys as mi;

#[cfg(not(kiba_model))]
use counted::count;
#[cfg(not(kiba_model))]
pub use counted::{is_within, used};
#[cfg(kiba_model)]
use uncounted::count;
#[cfg(kiba_model)]
pub use uncounted::{is_within, used};

#[cfg(not(kiba_model))]
mod counted;
pub mod pages;
pub mod stripes;

/// Counts the bytes that are allocated.
pub struct Counting;

/// A model's counters live no longer than one of its runs, and its threads share the process.
#[cfg(kiba_model)]
mod uncounted {
    pub fn count(_: isize) {}

    pub fn used() -> u64 {
        0
    }

    pub fn is_within(_: u64, _: impl FnOnce()) -> bool {
        true
    }
}

/// The size of the block that mimalloc gives for a request: four sizes to each doubling, whole pages for large ones.
#[inline]
pub const fn block(size: usize) -> usize {
    const EXACT: usize = 64;
    const LARGE: usize = 512 * 1024;
    const PAGE: usize = 4096;
    // What of the size less one is below the step that it is rounded up to.
    let below = if size <= EXACT {
        8 - 1
    } else if size <= LARGE {
        usize::MAX >> ((size - 1).leading_zeros() + 3)
    } else {
        PAGE - 1
    };
    (size.wrapping_sub(1) | below).wrapping_add(1)
}

/// How long freed memory stays with the process before whoever frees something more gives it back to the system; `None`:
/// until [`pages::give_back`].
pub fn keep_freed_for(time: Option<Duration>) {
    #[cfg(test)]
    tests::default_delay();
    // Longer than a server lives, and short enough to be added to a time.
    const NEVER: c_long = c_long::MAX / 2;
    let time = time.map_or(NEVER, |time| time.as_millis().try_into().unwrap_or(NEVER));
    // SAFETY: it stores a number, atomically, at an index that the library checks.
    unsafe { mi_option_set(PURGE_DELAY, time) }
}

/// `mi_option_purge_delay`, in milliseconds.
const PURGE_DELAY: c_int = 15;

// The crate binds these only beside much else that would have to be compiled.
unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    #[cfg(test)]
    fn mi_option_get(option: c_int) -> c_long;
}

/// Bytes of physical memory that the process occupies, and the most it ever did. 0 where the system does not tell.
pub fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    (field("VmRSS:").unwrap_or(0), field("VmHWM:").unwrap_or(0))
}

/// Bytes of physical memory that the process occupies, asked for often. 0 where the system does not tell.
pub fn resident_now() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Seconds of processor time that the process has used: its own code, and the kernel's for it. `None` where the
/// system does not tell.
pub fn cpu_seconds() -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in parentheses, may contain anything. Linux counts in hundredths towards
    // programs, whatever it uses itself.
    let mut ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(|field| field.parse::<f64>());
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user / 100.0, system / 100.0))
}

/// What plain `mi_malloc` guarantees, however mimalloc was built. Its aligned functions round small sizes up to powers of
/// two, which would cost an entry of 56 bytes another 8.
const NATURAL: usize = 8;

// SAFETY: every call is passed on to mimalloc, with the size and at least the alignment asked for.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(block(layout.size()) as isize);
        // SAFETY: sizes are not zero, alignments powers of two, as the caller promises.
        unsafe {
            if layout.align() <= NATURAL {
                mi::mi_malloc(layout.size()).cast()
            } else {
                mi::mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(block(layout.size()) as isize);
        // SAFETY: as above.
        unsafe {
            if layout.align() <= NATURAL {
                mi::mi_zalloc(layout.size()).cast()
            } else {
                mi::mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(block(layout.size()) as isize));
        // SAFETY: the pointer came from one of the functions here.
        unsafe { mi::mi_free(pointer.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(block(size) as isize - block(layout.size()) as isize);
        // SAFETY: the pointer came from one of the functions here.
        unsafe {
            if layout.align() <= NATURAL {
                mi::mi_realloc(pointer.cast(), size).cast()
            } else {
                mi::mi_realloc_aligned(pointer.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use std::sync::{Mutex, OnceLock};

    use super::*;

    /// What the option was before any server set it.
    pub fn default_delay() -> c_long {
        static DEFAULT: OnceLock<c_long> = OnceLock::new();
        // SAFETY: it reads a number.
        *DEFAULT.get_or_init(|| unsafe { mi_option_get(PURGE_DELAY) })
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        assert_eq!(default_delay(), 1_000, "mimalloc's default");
    }

    /// The test binary does not use the allocator, so the counters move only in tests that take turns.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn resident_memory_is_known_on_linux() {
        let (now, most) = resident();
        assert!(cfg!(not(target_os = "linux")) || (now > 1 << 20 && most >= now));
        let again = resident_now();
        assert!(cfg!(not(target_os = "linux")) || again > now / 2 && again < now * 2, "{again} {now}");
    }

    /// Against what the allocator's own table of sizes says (`src/init.c` of mimalloc 3, in words of eight bytes).
    #[test]
    fn blocks_are_as_large_as_the_allocator_makes_them() {
        for (size, expected) in [
            (1, 8),
            (8, 8),
            (57, 64),
            (64, 64),
            (65, 80),
            (80, 80),
            (81, 96),
            (113, 128),
            (129, 160),
            (1025, 1280),
            (16_385, 20_480),
            (65_537, 81_920),
            (458_753, 524_288),
            (524_288, 524_288),
            (524_289, 528_384),
            (1 << 20, 1 << 20),
        ] {
            assert_eq!(block(size), expected, "{size}");
        }
        // No request is given less than it asks for, or a quarter more, small ones aside.
        for size in 64..100_000 {
            assert!(block(size) >= size && block(size) <= size + size / 4, "{size}");
        }
    }

    #[test]
    fn a_thread_has_leave_for_a_part_of_what_is_free() {
        let _turn = TURN.lock();
        std::thread::spawn(|| {
            let limit = used() + 1_000_000;
            assert!(is_within(limit, || ()));
            count(200_000);
            assert!(is_within(limit, || ()), "within its leave");
            count(900_000);
            assert!(!is_within(limit, || ()), "used up, and nothing is left");
            assert!(is_within(limit + 200_000, || ()), "another limit is another question");
            count(-900_000);
            assert!(is_within(limit, || ()));
            count(-200_000);
            assert!(is_within(limit, || ()));
            // Freed before the last look, so that it is not this thread's alone.
            count(900_000);
            std::thread::spawn(|| count(200_000)).join().expect("joins");
            assert!(!is_within(limit, || ()));
            std::thread::spawn(|| count(-200_000)).join().expect("joins");
            count(-900_000);
        })
        .join()
        .expect("joins");
    }

    #[test]
    fn counts_what_another_thread_frees() {
        let _turn = TURN.lock();
        count(1000);
        let before = used();
        std::thread::spawn(|| count(-1000)).join().expect("joins");
        assert_eq!(used(), before - 1000);
    }
}
