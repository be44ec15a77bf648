//! The allocator's pages: which it takes next, and how they come and go.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libmimalloc_sys as mi;
#[cfg(target_os = "linux")]
use rustix::mm::Advice;

/// What the allocator takes at once for small blocks.
const PAGE: usize = 64 << 10;

/// A huge page.
pub const HUGE: usize = 2 << 20;

/// A small block, of which a few fill a page.
const BLOCK: usize = 8 << 10;

#[derive(Debug)]
struct Block(NonNull<u8>);

impl Block {
    fn new(len: usize) -> Option<Self> {
        // SAFETY: a request like any other.
        NonNull::new(unsafe { mi::mi_malloc(len) }.cast()).map(Self)
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
            let block = Block::new(BLOCK)?;
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
    #[cfg(target_os = "linux")]
    // SAFETY: it is as if each page were read and written back at once. Pages that may not be written are refused.
    let _ = unsafe { rustix::mm::madvise(pointer(address / HUGE * HUGE), HUGE, Advice::LinuxPopulateWrite) };
    #[cfg(not(target_os = "linux"))]
    let _ = address;
}

/// How far memory goes on in small pages before huge ones are tried again.
const STRETCH: usize = 256 << 20;

/// Has pages that come into use be small ones, from the next huge page on, for a stretch or to the end of what is mapped;
/// returns where they end. Huge pages that are there stay.
pub fn go_on_small(address: usize) -> usize {
    let start = (address + 1).next_multiple_of(HUGE);
    let end = start + STRETCH;
    #[cfg(target_os = "linux")]
    {
        // SAFETY: it is about pages to come, and leaves what there is.
        let advise = |at, len| unsafe { rustix::mm::madvise(pointer(at), len, Advice::LinuxNoHugepage) };
        // The allocator's arenas have gaps between them, and the next may not be there yet.
        if advise(start, STRETCH) == Err(rustix::io::Errno::NOMEM) {
            let mut pages = (start..end).step_by(HUGE);
            return pages.find(|&at| advise(at, HUGE) == Err(rustix::io::Errno::NOMEM)).unwrap_or(end);
        }
    }
    end
}

#[cfg(target_os = "linux")]
fn pointer(address: usize) -> *mut std::ffi::c_void {
    std::ptr::null_mut::<u8>().with_addr(address).cast()
}

/// Gives the system back what is free, apart from what other threads have in their pages.
pub fn give_back() {
    // SAFETY: it concerns nothing that is in use.
    unsafe { mi_collect(true) }
}

/// How often threads were asked to tidy up.
static ASKED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static TIDIED: Cell<u32> = const { Cell::new(0) };
}

/// Asks threads that serve clients to let others have what is free in their pages, before they sleep the next time. A thread
/// does not see what others have freed there until it looks, and it need not look for as long as it allocates nothing of
/// that size.
pub fn ask_to_tidy() {
    ASKED.fetch_add(1, Ordering::Relaxed);
}

/// How often threads were asked to.
pub fn asked_to_tidy() -> u32 {
    ASKED.load(Ordering::Relaxed)
}

/// Tidies up this thread's pages if it was asked to since the last time. It looks at each page that is not full, and at each
/// block that others have freed there.
#[inline]
pub fn tidy_if_asked() {
    let asked = asked_to_tidy();
    if TIDIED.replace(asked) != asked {
        // SAFETY: it concerns nothing that is in use.
        unsafe { mi_collect(false) }
    }
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
        let block = Block::new(BLOCK).expect("memory");
        // SAFETY: it is that large, and nobody else has it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.0.as_ptr(), BLOCK) };
        bytes.fill(7);
        for address in [block.address(), first, second] {
            populate(address);
            populate(address + HUGE);
            go_on_small(address);
            populate(address + HUGE);
        }
        give_back();
        assert!(bytes.iter().all(|&byte| byte == 7));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn small_pages_end_where_nothing_is_mapped() {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
        const LEN: usize = 16 * HUGE;
        const MAPPED: usize = 10 * HUGE;
        // SAFETY: nobody else has what is mapped here.
        let start = unsafe {
            let start = mmap_anonymous(std::ptr::null_mut(), LEN, ProtFlags::READ, MapFlags::PRIVATE).expect("room");
            munmap(start.byte_add(MAPPED), LEN - MAPPED).expect("it was mapped");
            start.addr()
        };
        let end = go_on_small(start);
        assert!(end > start + MAPPED - 2 * HUGE && end < start + MAPPED + HUGE, "{}", end - start);
        // SAFETY: as above.
        unsafe { munmap(pointer(start), MAPPED).expect("it is mapped") };
    }

    // SAFETY: whoever has it may free it.
    unsafe impl Send for Block {}

    #[test]
    fn what_others_freed_in_a_threads_pages_is_there_for_all_once_it_has_tidied_up() {
        const BLOCKS: usize = 4000;
        let blocks = |len: usize| (0..BLOCKS).map(move |_| Block::new(len).expect("memory"));
        let (to_main, from_owner) = std::sync::mpsc::channel();
        let (to_owner, from_main) = std::sync::mpsc::channel();
        let owner = std::thread::spawn(move || {
            // Every other block is freed, so that its pages are neither full nor free.
            let kept: Vec<Block> = blocks(BLOCK).collect::<Vec<_>>().into_iter().step_by(2).collect();
            to_main.send(kept).expect("main waits");
            from_main.recv().expect("a word");
            ask_to_tidy();
            tidy_if_asked();
            to_main.send(Vec::new()).expect("main waits");
            // Its pages are not given back because it ends.
            from_main.recv().expect("a word");
        });
        let kept = from_owner.recv().expect("blocks");
        let page = |block: &Block| block.address() / PAGE;
        let pages: std::collections::HashSet<usize> = kept.iter().map(page).collect();
        drop(kept);
        let found =
            || blocks(BLOCK / 2).collect::<Vec<_>>().iter().filter(|block| pages.contains(&page(block))).count();
        let before = found();
        to_owner.send(()).expect("it waits");
        from_owner.recv().expect("it has tidied up");
        let after = found();
        to_owner.send(()).expect("it waits");
        owner.join().expect("no panic");
        assert!(after > 4 * before, "{before} blocks before, {after} after");
    }
}
