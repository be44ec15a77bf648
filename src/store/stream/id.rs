//! IDs of entries: milliseconds and a sequence number, ordered by both.

use std::fmt;

/// The ID of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Milliseconds since the Unix epoch, unless a client chose the ID.
    pub ms: u64,
    pub seq: u64,
}

impl Id {
    /// Before all entries: none has it.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The ID behind this one; `None` for the last.
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => self.ms.checked_add(1).map(|ms| Self { ms, seq: 0 }),
        }
    }

    /// The ID before this one; `None` for the first.
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => self.ms.checked_sub(1).map(|ms| Self { ms, seq: u64::MAX }),
        }
    }

    /// Whether it is 0-0, which stands for no ID at all.
    pub fn is_zero(self) -> bool {
        self == Self::MIN
    }

    /// As one number, which Redis keeps it as, the most significant byte first.
    pub fn as_u128(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    pub fn from_u128(value: u128) -> Self {
        Self { ms: (value >> 64) as u64, seq: value as u64 }
    }

    /// `<ms>-<seq>`.
    #[inline]
    pub fn text(self) -> Text {
        let mut text = Text { bytes: [0; 41], len: 0 };
        text.push(itoa::Buffer::new().format(self.ms).as_bytes());
        match self.seq {
            // What nearly all have.
            seq @ 0..10 => text.push(&[b'-', b'0' + seq as u8]),
            seq => {
                text.push(b"-");
                text.push(itoa::Buffer::new().format(seq).as_bytes());
            }
        }
        text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text of an ID, on the stack: twice 20 digits and a dash at most.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; 41],
    len: u8,
}

impl Text {
    #[inline]
    fn push(&mut self, part: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + part.len()].copy_from_slice(part);
        self.len += part.len() as u8;
    }
}

impl std::ops::Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_cross_the_millisecond() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!(Id::new(1, 5).next(), Some(Id::new(1, 6)));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
    }

    #[test]
    fn the_longest_text_fits() {
        assert_eq!(&*Id::MAX.text(), Id::MAX.to_string().as_bytes());
        assert_eq!(&*Id::new(1, 0).text(), b"1-0");
        assert_eq!(Id::from_u128(Id::new(7, 9).as_u128()), Id::new(7, 9));
    }
}
