//! What blocking commands share.

use std::ops::Range;
use std::time::Duration;

use super::{Call, Turn};
use crate::error::Error;
use crate::number::Extended;

/// The timeout in argument `i`, in seconds, rounded up to milliseconds; `None` for zero, which is for ever.
pub(super) fn timeout(call: &Call<'_>, i: usize) -> Result<Option<Duration>, Error> {
    let seconds = Extended::parse(call.arg(i));
    let seconds = seconds.ok_or(Error::Other("ERR timeout is not a float or out of range"))?;
    let millis = (seconds.to_f64() * 1000.0).ceil();
    // What lies behind the end of time is refused as well.
    if millis >= (i64::MAX as u64 - call.now) as f64 {
        return Err(Error::Other("ERR timeout is out of range"));
    }
    if millis < 0.0 {
        return Err(Error::Other("ERR timeout is negative"));
    }
    Ok((millis > 0.0).then(|| Duration::from_millis(millis as u64)))
}

/// The timeout in argument `i`, in milliseconds; `None` for zero, which is for ever.
pub(super) fn timeout_millis(call: &Call<'_>, i: usize) -> Result<Option<Duration>, Error> {
    let millis = call.integer(i).map_err(|_| Error::Other("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| Error::Other("ERR timeout is negative"))?;
    if millis > i64::MAX as u64 - call.now {
        return Err(Error::Other("ERR timeout is out of range"));
    }
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

impl Turn {
    pub(super) fn is_first(self) -> bool {
        self == Self::First
    }

    /// The keys to look at, of so many: all at first, then the one that changed.
    pub(super) fn keys(self, count: usize) -> Range<usize> {
        match self {
            Self::First => 0..count,
            Self::Again(i) => i..i + 1,
        }
    }
}
