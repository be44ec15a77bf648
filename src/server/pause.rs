//! CLIENT PAUSE: commands wait until a time has come or somebody calls it off.

use std::time::Duration;

use crate::sync::{AtomicU64, Mutex, Notified, Notify, Ordering, lock, planted};

/// What is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseMode {
    /// Commands that may change data.
    Write,
    /// Every command but those of operators.
    All,
}

/// The server's pause.
#[derive(Debug, Default)]
pub struct Pause {
    /// Encodes `until` (ms since the Unix epoch) and the mode in the lowest bit; 0 when nothing is paused. Written under
    /// `writer`, read by every connection once per batch.
    word: AtomicU64,
    writer: Mutex<()>,
    over: Notify,
}

impl Pause {
    /// Pauses until `until`. A pause in force is only ever lengthened or widened, as in Redis.
    pub fn start(&self, until: u64, mode: PauseMode, now: u64) {
        let _writer = (!planted("pause-begun-without-its-lock")).then(|| lock(&self.writer));
        let (mut until, mut mode) = (until.min(u64::MAX >> 1), mode);
        if let Some((other, paused)) = decode(self.word.load(Ordering::Relaxed)).filter(|(other, _)| *other > now) {
            until = until.max(other);
            if paused == PauseMode::All {
                mode = PauseMode::All;
            }
        }
        self.word.store(until << 1 | u64::from(mode == PauseMode::All), Ordering::Relaxed);
        // Those who wait look again: the new end may be another.
        self.over.notify_waiters();
    }

    /// Ends the pause.
    pub fn stop(&self) {
        let _writer = lock(&self.writer);
        self.word.store(0, Ordering::Relaxed);
        self.over.notify_waiters();
    }

    /// What is paused at `now`.
    #[inline]
    pub fn mode(&self, now: u64) -> Option<PauseMode> {
        decode(self.word.load(Ordering::Relaxed)).filter(|(until, _)| *until > now).map(|(_, mode)| mode)
    }

    /// Waits while commands of this kind are paused.
    pub async fn wait(&self, is_write: bool) {
        while let Some((wait, changed)) = self.look(is_write, super::now()) {
            // A day at a time: the timer cannot take every distance that a client may ask for.
            let wait = Duration::from_millis(wait.min(86_400_000));
            let _ = tokio::time::timeout(wait, changed).await;
        }
    }

    /// For how many milliseconds more commands of this kind are paused, if they are, and who tells that this changes.
    pub fn look(&self, is_write: bool, now: u64) -> Option<(u64, Notified<'_>)> {
        // Asked for before looking, so that a change in between is not missed.
        let mut changed = (!planted("pause-looked-at-before-waiting")).then(|| self.over.notified());
        let (until, mode) = decode(self.word.load(Ordering::Relaxed))?;
        let is_paused = until > now && (mode == PauseMode::All || is_write);
        is_paused.then(|| (until - now, changed.take().unwrap_or_else(|| self.over.notified())))
    }
}

fn decode(word: u64) -> Option<(u64, PauseMode)> {
    (word != 0).then_some((word >> 1, if word & 1 == 1 { PauseMode::All } else { PauseMode::Write }))
}
