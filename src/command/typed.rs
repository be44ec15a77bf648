//! The value of a key as the type that a command is about.

use crate::error::Error;
use crate::store::{Entry, Slot};

/// What `of` sees in the entry; `None` when the key is missing.
///
/// # Errors
/// [`Error::WrongType`] when the key holds something else.
#[inline]
pub fn view<'a, V>(entry: Option<&'a Entry>, of: impl FnOnce(&'a Entry) -> Option<V>) -> Result<Option<V>, Error> {
    entry.map(|entry| of(entry).ok_or(Error::WrongType)).transpose()
}

/// As [`view`], to change it.
///
/// # Errors
/// As for [`view`].
#[inline]
pub fn edit<'a, L, E>(
    slot: &'a mut Slot<'_>,
    limits: &'a L,
    of: impl FnOnce(&'a mut Entry, &'a L) -> Option<E>,
) -> Result<Option<E>, Error> {
    slot.entry_mut().map(|entry| of(entry, limits).ok_or(Error::WrongType)).transpose()
}
