//! The allocator's pages: which it takes next, and how they come and go.
#![allow(unsafe_code)]

use std::ptr::{NonNull, null_mut};

use libmimalloc_sys as mi;

/// What the allocator takes at once for small blocks.
const PAGE: usize = 64 << 10;

/// A huge page.
pub const HUGE: usize = 2 << 20;

/// A small block, of which a few fill a page.
const BLOCK: usize = 8 << 10;

#[derive(Debug)]
struct Block(NonNull<u8>);

impl Block {
    fn new() -> Option<Self> {
        // SAFETY: a request like any other.
        NonNull::new(unsafe { mi::mi_malloc(BLOCK) }.cast()).map(Self)
    }

    fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it came from there, and nobody else has it.
        unsafe { mi::mi_free(self.0.as_ptr().cast()) }
    }
}

/// Where the allocator goes on with pages for small blocks: it takes the lowest that are free, at least while memory only
/// grows. Afterwards threads may begin their search in different places, and larger blocks have pages elsewhere.
///
/// Holds a block of the page that it saw last, so that the next one is known by being another.
#[derive(Debug, Default)]
pub struct Frontier(Option<Block>);

impl Frontier {
    /// The address of a page that the allocator has just taken; `None` without memory.
    pub fn look(&mut self) -> Option<usize> {
        let last = self.0.as_ref().map_or(0, |block| block.address() / PAGE);
        let mut full = Vec::new();
        // The rest of the last page comes first.
        let block = loop {
            let block = Block::new()?;
            if block.address() / PAGE != last || full.len() > PAGE / BLOCK {
                break block;
            }
            full.push(block);
        };
        let address = block.address();
        self.0 = Some(block);
        Some(address)
    }
}

/// Has the huge page at an address resident and writable, whoever owns it. What it contains stays. Nothing happens where
/// nothing is mapped, or no system can do it.
pub fn populate(address: usize) {
    let start = null_mut::<u8>().with_addr(address / HUGE * HUGE);
    #[cfg(target_os = "linux")]
    // SAFETY: it is as if each page were read and written back at once. Pages that may not be written are refused.
    let _ = unsafe { rustix::mm::madvise(start.cast(), HUGE, rustix::mm::Advice::LinuxPopulateWrite) };
    #[cfg(not(target_os = "linux"))]
    let _ = start;
}

/// Gives the system back what is free.
pub fn give_back() {
    // SAFETY: it concerns nothing that is in use.
    unsafe { mi_collect(true) }
}

// The crate binds it only beside much else that would have to be compiled.
unsafe extern "C" {
    fn mi_collect(force: bool);
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_frontier_moves_on_and_what_is_there_stays() {
        let mut frontier = Frontier::default();
        let first = frontier.look().expect("memory");
        let second = frontier.look().expect("memory");
        assert_ne!(first / PAGE, second / PAGE);
        let block = Block::new().expect("memory");
        // SAFETY: it is that large, and nobody else has it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.0.as_ptr(), BLOCK) };
        bytes.fill(7);
        for address in [block.address(), first, second] {
            populate(address);
            populate(address + HUGE);
        }
        give_back();
        assert!(bytes.iter().all(|&byte| byte == 7));
    }
}
