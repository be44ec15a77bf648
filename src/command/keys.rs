//! Which arguments of a request are keys.

use smallvec::SmallVec;

use crate::lexer::Span;
use crate::number::parse_u64;

/// The arguments of a request, the command's name first, before it has become a call.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    pub input: &'a [u8],
    pub spans: &'a [Span],
}

impl<'a> Arguments<'a> {
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// The argument with number `i`, if there are that many.
    pub fn get(self, i: usize) -> Option<&'a [u8]> {
        self.spans.get(i).map(|span| span.of(self.input))
    }

    /// The database that argument `i` names, which need not exist. Anything else is an error that the command words.
    pub fn database(self, i: usize) -> Option<u16> {
        self.get(i).and_then(parse_u64).and_then(|index| u16::try_from(index).ok())
    }

    /// Whether argument `i` is this word, in any case.
    #[inline]
    pub fn is(self, i: usize, word: &str) -> bool {
        self.get(i).is_some_and(|argument| is_word(argument, word))
    }
}

/// Whether an argument is this word, in any case. Most are not, which the length and the first letter tell.
#[inline]
pub fn is_word(argument: &[u8], word: &str) -> bool {
    #[inline(never)]
    fn is_same(argument: &[u8], word: &[u8]) -> bool {
        argument.iter().zip(word).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }
    let first = |text: &[u8]| text.first().map(u8::to_ascii_lowercase);
    argument.len() == word.len() && first(argument) == first(word.as_bytes()) && is_same(argument, word.as_bytes())
}

/// One key of a request: which argument, where, and its hash.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub arg: u32,
    /// The database, when it is not the selected one. It may be one that does not exist: the command says so.
    pub elsewhere: Option<u16>,
    pub hash: u64,
}

/// Which arguments are keys.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    None,
    /// From `first` to `last` (negative: counted from the end) in steps, as COMMAND shows it.
    Range {
        first: u8,
        last: i8,
        step: u8,
    },
    /// As many as argument number `count` says, behind it; before them perhaps argument 1.
    Counted {
        has_target: bool,
        count: u8,
    },
    /// What a function finds.
    Found(&'static Finder),
}

/// Keys whose place depends on the other arguments.
#[derive(Debug)]
pub struct Finder {
    /// First key, last key and step as COMMAND shows them.
    pub codes: [i64; 3],
    /// Whether COMMAND is to say that the codes above are not the whole truth.
    pub is_movable: bool,
    pub find: fn(Arguments<'_>) -> Places,
}

/// Where a key is among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub arg: usize,
    /// As for [`Key::elsewhere`].
    pub elsewhere: Option<u16>,
}

impl Place {
    pub const fn here(arg: usize) -> Self {
        Self { arg, elsewhere: None }
    }
}

pub type Places = SmallVec<[Place; 4]>;

impl Keys {
    pub const ONE: Self = Self::Range { first: 1, last: 1, step: 1 };
    pub const TWO: Self = Self::Range { first: 1, last: 2, step: 1 };
    pub const ALL: Self = Self::Range { first: 1, last: -1, step: 1 };

    pub fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// Visits the places of the keys, in order. A request whose arguments make no sense may have none: the command
    /// words the error.
    #[inline]
    pub fn each(self, arguments: Arguments<'_>, mut visit: impl FnMut(Place)) {
        match self {
            Self::None => {}
            Self::Range { first, last, step } => {
                let len = arguments.len();
                let last = if last < 0 { len.saturating_sub(last.unsigned_abs() as usize) } else { last as usize };
                // Not step_by, which divides.
                let (mut arg, end) = (first as usize, len.min(last + 1));
                while arg < end {
                    visit(Place::here(arg));
                    arg += step as usize;
                }
            }
            Self::Counted { has_target, count } => {
                if has_target {
                    visit(Place::here(1));
                }
                let first = usize::from(count) + 1;
                let count = arguments.get(usize::from(count)).and_then(parse_u64).unwrap_or(0);
                let end = usize::try_from(count).ok().and_then(|count| first.checked_add(count));
                if let Some(end) = end.filter(|&end| end <= arguments.len()) {
                    (first..end).for_each(|arg| visit(Place::here(arg)));
                }
            }
            Self::Found(finder) => (finder.find)(arguments).into_iter().for_each(visit),
        }
    }

    /// First key, last key and step as COMMAND shows them.
    pub fn codes(self) -> [i64; 3] {
        match self {
            Self::None | Self::Counted { has_target: false, .. } => [0, 0, 0],
            Self::Range { first, last, step } => [i64::from(first), i64::from(last), i64::from(step)],
            Self::Counted { has_target: true, .. } => [1, 1, 1],
            Self::Found(finder) => finder.codes,
        }
    }

    /// Whether [`Keys::codes`] is not the whole truth.
    pub fn is_movable(self) -> bool {
        match self {
            Self::None | Self::Range { .. } => false,
            Self::Counted { .. } => true,
            Self::Found(finder) => finder.is_movable,
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    fn places(keys: Keys, line: &str) -> Vec<usize> {
        let mut spans = Vec::new();
        let mut start = 0;
        for word in line.split(' ') {
            spans.push(Span { start, len: word.len() as u32 });
            start += word.len() as u32 + 1;
        }
        let mut found = Vec::new();
        keys.each(Arguments { input: line.as_bytes(), spans: &spans }, |place| found.push(place.arg));
        found
    }

    #[test]
    fn ranges() {
        assert_eq!(places(Keys::ONE, "get a"), [1]);
        assert_eq!(places(Keys::ALL, "del a b c"), [1, 2, 3]);
        assert_eq!(places(Keys::Range { first: 1, last: -1, step: 2 }, "mset a 1 b 2"), [1, 3]);
        assert_eq!(places(Keys::Range { first: 1, last: -2, step: 1 }, "blpop a b 0"), [1, 2]);
        assert_eq!(places(Keys::TWO, "rename a b"), [1, 2]);
    }

    #[test]
    fn counted() {
        let keys = Keys::Counted { has_target: false, count: 1 };
        assert_eq!(places(keys, "zunion 2 a b withscores"), [2, 3]);
        for line in ["zunion 3 a b", "zunion 0 a b", "zunion -1 a b", "zunion x a b", "zunion 18446744073709551615 a"] {
            assert!(places(keys, line).is_empty(), "{line}");
        }
        let keys = Keys::Counted { has_target: true, count: 2 };
        assert_eq!(places(keys, "zunionstore d 1 a weights 2"), [1, 3]);
        assert_eq!(places(keys, "zunionstore d x a"), [1]);
    }
}
