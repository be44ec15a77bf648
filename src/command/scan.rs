//! What SCAN, SSCAN, HSCAN and ZSCAN have in common: cursor, options and the form of the reply.

use super::Call;
use crate::error::Error;
use crate::glob;
use crate::number::parse_u64;
use crate::reply::Reply;
use crate::store::{Entry, Type};

/// What is scanned. It decides which options there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The key space: TYPE.
    Keys,
    /// The fields of a hash: NOVALUES.
    Fields,
    /// The members of a set or of a sorted set.
    Members,
}

/// The options.
pub(super) struct Options<'a> {
    /// None for a pattern that everything matches.
    pattern: Option<&'a [u8]>,
    /// How many elements are to be looked at, about; at least 1.
    pub count: usize,
    of_type: Option<WantedType>,
    pub no_values: bool,
}

impl<'a> Options<'a> {
    /// Reads the options from argument `first` on.
    ///
    /// SSCAN and its like look at their key before they call this, as Redis does.
    pub fn parse(target: Target, call: &Call<'a>, first: usize) -> Result<Self, Error> {
        let mut options = Self { pattern: None, count: 10, of_type: None, no_values: false };
        let mut i = first;
        while i < call.len() {
            let has_value = i + 1 < call.len();
            if call.is(i, "count") && has_value {
                let count = call.integer(i + 1)?;
                options.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(Error::Syntax)?;
            } else if call.is(i, "match") && has_value {
                options.pattern = Some(call.arg(i + 1)).filter(|pattern| *pattern != b"*");
            } else if target == Target::Keys && call.is(i, "type") && has_value {
                options.of_type = Some(WantedType(Type::from_name(call.arg(i + 1))));
            } else if call.is(i, "novalues") {
                if target != Target::Fields {
                    return Err(Error::Other("ERR NOVALUES option can only be used in HSCAN"));
                }
                options.no_values = true;
                // This one has no value.
                i += 1;
                continue;
            } else {
                return Err(Error::Syntax);
            }
            i += 2;
        }
        Ok(options)
    }

    /// Whether a key, field or member matches the pattern.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }

    /// Whether a key's value is of the type that is asked for.
    pub fn is_of_type(&self, entry: &Entry) -> bool {
        self.of_type.is_none_or(|WantedType(wanted)| wanted == Some(Type::of(entry)))
    }
}

/// A type that TYPE asks for; a name that no type has matches nothing.
#[derive(Clone, Copy)]
struct WantedType(Option<Type>);

/// The cursor in argument `i`.
pub(super) fn cursor(call: &Call<'_>, i: usize) -> Result<u64, Error> {
    parse_u64(call.arg(i)).ok_or(Error::InvalidCursor)
}

/// Writes the reply of a scan: the next cursor, and `count` strings that `found` holds already encoded.
pub(super) fn write(cursor: u64, count: usize, found: &Reply, reply: &mut Reply) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(count);
    reply.append(found);
}

/// Writes the reply of a scan of a key that does not exist.
pub(super) fn write_empty(reply: &mut Reply) {
    write(0, 0, &reply.part(), reply);
}
