//! CLIENT PAUSE: commands wait until a time has come or somebody calls it off.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use crate::sync::{AtomicU64, Ordering};

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
        let _writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let _writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        loop {
            let over = self.over.notified();
            let now = super::now();
            let Some((until, mode)) = decode(self.word.load(Ordering::Relaxed)) else { return };
            if until <= now || (mode == PauseMode::Write && !is_write) {
                return;
            }
            // A day at a time: the timer cannot take every distance that a client may ask for.
            let sleep = Duration::from_millis((until - now).min(86_400_000));
            let _ = tokio::time::timeout(sleep, over).await;
        }
    }
}

fn decode(word: u64) -> Option<(u64, PauseMode)> {
    (word != 0).then_some((word >> 1, if word & 1 == 1 { PauseMode::All } else { PauseMode::Write }))
}
