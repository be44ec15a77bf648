//! Cells: where the running configuration keeps its values, and how a getter reads them.
//!
//! A number is one relaxed atomic, so a thread that reads `maxclients` for every connection pays a plain load. Texts
//! are behind a lock and cost a reference count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::types::{Class, Limit, Limits};
use super::value::Value;

/// The current value of one option. Written by `Config::set` under its writer lock, read by anyone at any time.
pub(crate) enum Cell {
    // Relaxed everywhere: each number stands for itself, nothing else is published through it.
    Word(AtomicU64),
    Text(RwLock<Arc<str>>),
    /// By [`Class`]: hard bytes, soft bytes, soft seconds.
    Limits([[AtomicU64; 3]; 3]),
}

impl Cell {
    pub(crate) fn new(value: &Value) -> Cell {
        match value {
            Value::Word(word) => Cell::Word(AtomicU64::new(*word)),
            Value::Text(text) => Cell::Text(RwLock::new(text.clone())),
            Value::Limits(limits) => Cell::Limits(
                limits.0.map(|limit| [limit.hard_bytes, limit.soft_bytes, limit.soft_seconds].map(AtomicU64::new)),
            ),
        }
    }

    /// Replaces the value, which must be of the same kind.
    pub(crate) fn store(&self, value: &Value) {
        match (self, value) {
            (Cell::Word(cell), Value::Word(word)) => cell.store(*word, Relaxed),
            (Cell::Text(cell), Value::Text(text)) => {
                // Poison is harmless: the only thing done under the lock is to replace or to clone the pointer.
                *cell.write().unwrap_or_else(PoisonError::into_inner) = text.clone();
            }
            (Cell::Limits(cells), Value::Limits(limits)) => {
                for (cells, limit) in cells.iter().zip(&limits.0) {
                    cells[0].store(limit.hard_bytes, Relaxed);
                    cells[1].store(limit.soft_bytes, Relaxed);
                    cells[2].store(limit.soft_seconds, Relaxed);
                }
            }
            _ => unreachable!("an option never changes its kind"),
        }
    }

    pub(crate) fn load(&self) -> Value {
        match self {
            Cell::Word(word) => Value::Word(word.load(Relaxed)),
            Cell::Text(_) => Value::Text(self.text()),
            Cell::Limits(_) => {
                let limits = [Class::Normal, Class::Replica, Class::Pubsub].map(|class| self.limit(class));
                Value::Limits(Limits(limits))
            }
        }
    }

    #[inline]
    pub(crate) fn word(&self) -> u64 {
        match self {
            Cell::Word(word) => word.load(Relaxed),
            _ => unreachable!("a test reads every option through its getter"),
        }
    }

    pub(crate) fn text(&self) -> Arc<str> {
        match self {
            Cell::Text(text) => text.read().unwrap_or_else(PoisonError::into_inner).clone(),
            _ => unreachable!("a test reads every option through its getter"),
        }
    }

    /// The limit of one class. While it is being changed, a reader may see the old number of bytes with the new number
    /// of seconds; the next look is right.
    #[inline]
    pub(crate) fn limit(&self, class: Class) -> Limit {
        match self {
            Cell::Limits(cells) => {
                let [hard, soft, seconds] = &cells[class as usize];
                Limit {
                    hard_bytes: hard.load(Relaxed),
                    soft_bytes: soft.load(Relaxed),
                    soft_seconds: seconds.load(Relaxed),
                }
            }
            _ => unreachable!("a test reads every option through its getter"),
        }
    }
}

/// A type that a getter of the configuration can return.
pub(crate) trait Read {
    fn read(cell: &Cell) -> Self;

    /// The value as a number, for the test that no option's range is wider than its getter's type.
    #[cfg(test)]
    fn number(&self) -> Option<i128> {
        None
    }
}

macro_rules! numbers {
    ($($type:ty),+) => { $(impl Read for $type {
        #[inline]
        fn read(cell: &Cell) -> $type {
            // Lossless: the option's range is inside the type's, which a test of the table asserts.
            cell.word() as $type
        }

        #[cfg(test)]
        fn number(&self) -> Option<i128> {
            Some(*self as i128)
        }
    })+ };
}
numbers!(u16, u32, u64, usize, i32, i64);

impl Read for bool {
    #[inline]
    fn read(cell: &Cell) -> bool {
        cell.word() != 0
    }
}

impl Read for Arc<str> {
    fn read(cell: &Cell) -> Arc<str> {
        cell.text()
    }
}

impl Read for Limits {
    fn read(cell: &Cell) -> Limits {
        match cell.load() {
            Value::Limits(limits) => limits,
            _ => unreachable!("a test reads every option through its getter"),
        }
    }
}
