//! The allocator, and how much of it is in use: true numbers for INFO, at the price of one addition each time.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use libmimalloc_sys as mi;

use std::sync::atomic::{AtomicI64, Ordering};

/// Counts the bytes that are allocated. Each thread has a counter that only it writes; more threads than counters share.
pub struct Counting;

const COUNTERS: usize = 128;

#[repr(align(128))]
struct Counter(AtomicI64);

static USED: [Counter; COUNTERS] = [const { Counter(AtomicI64::new(0)) }; COUNTERS];

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[inline]
fn count(bytes: isize) {
    let mine = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            static NEXT: AtomicI64 = AtomicI64::new(0);
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) as usize);
        }
        mine.get()
    });
    let mine = mine.unwrap_or(COUNTERS);
    if mine < COUNTERS - 1 {
        // Only this thread writes here, so a load and a store do what an atomic addition would.
        let counter = &USED[mine].0;
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(bytes as i64), Ordering::Relaxed);
    } else {
        // The last counter is for all threads beyond, and for those that are ending.
        USED[COUNTERS - 1].0.fetch_add(bytes as i64, Ordering::Relaxed);
    }
}

/// Bytes that the process has allocated and not freed, as it asked for them (without rounding to size classes).
pub fn used() -> u64 {
    USED.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
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
        count(layout.size() as isize);
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
        count(layout.size() as isize);
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
        count(-(layout.size() as isize));
        // SAFETY: the pointer came from one of the functions here.
        unsafe { mi::mi_free(pointer.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
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
    use super::*;

    #[test]
    fn resident_memory_is_known_on_linux() {
        let (now, most) = resident();
        assert!(cfg!(not(target_os = "linux")) || (now > 1 << 20 && most >= now));
    }

    #[test]
    fn counts_what_another_thread_frees() {
        // The test binary does not use the allocator, so the counters move only here.
        count(1000);
        let before = used();
        std::thread::spawn(|| count(-1000)).join().expect("joins");
        assert_eq!(used(), before - 1000);
    }
}
