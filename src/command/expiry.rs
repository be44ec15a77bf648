//! Times to live as arguments: EX, PX, EXAT, PXAT and their like.

use super::Call;
use crate::error::Error;

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Millis,
    /// Seconds since the Unix epoch.
    AtSeconds,
    AtMillis,
}

impl Unit {
    /// The option's unit, by its name in any case.
    pub fn from_option(word: &[u8]) -> Option<Self> {
        const OPTIONS: [(&[u8], Unit); 4] =
            [(b"ex", Unit::Seconds), (b"px", Unit::Millis), (b"exat", Unit::AtSeconds), (b"pxat", Unit::AtMillis)];
        OPTIONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, unit)| *unit)
    }

    pub fn is_seconds(self) -> bool {
        matches!(self, Self::Seconds | Self::AtSeconds)
    }

    /// Whether it counts from now on.
    pub fn is_relative(self) -> bool {
        matches!(self, Self::Seconds | Self::Millis)
    }

    /// The moment that `amount` means, in ms since the Unix epoch; it may lie in the past, even before the epoch.
    ///
    /// # Errors
    /// [`Error::InvalidExpire`] when it does not fit into 64 bits.
    pub fn deadline(self, amount: i64, call: &Call<'_>) -> Result<i64, Error> {
        let factor = if self.is_seconds() { 1000 } else { 1 };
        let base = if self.is_relative() { call.now as i64 } else { 0 };
        let deadline = amount.checked_mul(factor).and_then(|millis| millis.checked_add(base));
        deadline.ok_or(Error::InvalidExpire(call.command.full_name))
    }

    /// Reads argument `i` where only a positive amount makes sense.
    ///
    /// # Errors
    /// [`Error::NotAnInteger`], or [`Error::InvalidExpire`] for zero, negative and too large amounts.
    pub fn positive_deadline(self, i: usize, call: &Call<'_>) -> Result<u64, Error> {
        let amount = call.integer(i)?;
        if amount <= 0 {
            return Err(Error::InvalidExpire(call.command.full_name));
        }
        // Positive, so the sum is too.
        self.deadline(amount, call).map(|deadline| deadline as u64)
    }
}
