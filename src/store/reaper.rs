//! Frees large values on a thread of its own, so that no client waits for it.
//!
//! Whoever takes something large out of a table hands it over and goes on. What is handed over is freed once, by the
//! thread or, when too much waits there already, by whoever wanted to get rid of it: clients that make garbage faster
//! than one thread frees it do the rest themselves.

use crate::sync::{Arc, AtomicU64, Ordering, mpsc, planted};
use crate::{background, fault};

/// As many values or tables may wait: those of all parts of some databases that are flushed at once.
const MOST: u64 = 1 << 16;

/// Something that may be slow to free.
pub trait Garbage: Send + 'static {
    fn is_heavy(&self) -> bool;
}

/// Where garbage is handed over.
#[derive(Debug)]
pub struct Reaper {
    queue: mpsc::Sender<Box<dyn Send>>,
    waiting: Arc<Waiting>,
    most: u64,
}

/// What waits to be freed, or is just being freed.
#[derive(Debug, Default)]
struct Waiting {
    /// Things, of whatever size.
    things: AtomicU64,
    /// Bytes of those whose size was told.
    bytes: AtomicU64,
}

/// The other end, for the thread that frees.
#[derive(Debug)]
pub struct Reaping(mpsc::Receiver<Box<dyn Send>>);

/// Takes itself off what waits when it has been freed.
struct Counted<T> {
    /// Gone before the counters say so.
    garbage: Option<T>,
    bytes: u64,
    waiting: Arc<Waiting>,
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        self.garbage = None;
        // Relaxed, here and below: who reads the counters decides how much more to free, and looks again.
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.waiting.things.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reaper {
    /// A reaper with its thread, which lives as long as it does. Models have none, and free where they are.
    pub fn start() -> Self {
        let (reaper, reaping) = Self::new(MOST);
        if cfg!(not(kiba_model)) {
            background::start("kiba-reaper", move || reaping.run()).expect("a thread can be started");
        }
        reaper
    }

    /// * `most`: as many may wait.
    pub fn new(most: u64) -> (Self, Reaping) {
        let (sender, receiver) = mpsc::channel();
        (Self { queue: sender, waiting: Arc::default(), most }, Reaping(receiver))
    }

    /// Frees something: at once when that is cheap.
    pub fn free(&self, garbage: impl Garbage) {
        self.free_sized(garbage, 0);
    }

    /// As [`Reaper::free`]; so many bytes are about to be free.
    pub fn free_sized(&self, garbage: impl Garbage, bytes: u64) {
        if !garbage.is_heavy() {
            return;
        }
        if !self.has_room() {
            if planted("garbage-forgotten-when-many-wait") {
                std::mem::forget(garbage);
            }
            return;
        }
        self.waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        let counted = Counted { garbage: Some(garbage), bytes, waiting: Arc::clone(&self.waiting) };
        // Should the thread be gone, dropping it here is right as well.
        let _ = self.queue.send(Box::new(counted));
    }

    /// Bytes that are about to be free, of what was given with its size.
    pub fn bytes(&self) -> u64 {
        self.waiting.bytes.load(Ordering::Relaxed)
    }

    /// Things that wait to be freed.
    pub fn things(&self) -> u64 {
        self.waiting.things.load(Ordering::Relaxed)
    }

    /// Takes a place in the queue, if there is one.
    fn has_room(&self) -> bool {
        let things = &self.waiting.things;
        if planted("garbage-counted-after-the-look") {
            let has_room = self.things() < self.most;
            things.fetch_add(u64::from(has_room), Ordering::Relaxed);
            return has_room;
        }
        let taken = things
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| (waiting < self.most).then_some(waiting + 1));
        taken.is_ok()
    }
}

impl Reaping {
    /// Frees what is handed over, until the reaper is gone and nothing is left.
    pub fn run(self) {
        self.0.into_iter().for_each(|garbage| {
            // A panic costs what it was about, and the next is freed.
            fault::shield(|| {
                fault::point("reaper");
                drop(garbage);
            });
        });
    }
}
