//! Strings that change or go only while they hold what a client saw: DELEX DELIFEQ DIGEST, and the conditions of SET.

use super::typed::view;
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::string::Str;
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "delex",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(delex),
        flags: Flags::FAST,
        since: "8.4.0",
        complexity: "O(1), but O(N) with IFDEQ and IFDNE, where N is the length of the value.",
        summary: "Deletes a key if its string value, or the digest of it, compares as asked.",
    },
    Spec {
        name: "delifeq",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(delifeq),
        flags: Flags::FAST,
        since: "9.0.0",
        complexity: "O(1)",
        summary: "Deletes a key if it holds this string.",
    },
    Spec {
        name: "digest",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(digest),
        flags: Flags::FAST,
        since: "8.4.0",
        complexity: "O(N) where N is the length of the string.",
        summary: "Returns the XXH3 digest of a string value, in hexadecimal digits.",
    },
];

const DEL: Event = Event("del");

/// `DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]` -> 1, or 0 when the key is missing or differs.
fn delex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_met = match call.len() {
        2 => slot.exists(),
        4 => match slot.entry() {
            None => false,
            // The order of the questions is Redis'.
            Some(entry) => {
                const NO_STRING: Error = Error::Other("ERR Key should be of string type if conditions are specified");
                const UNKNOWN: Error = Error::Other("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE");
                let value = Str::of(entry).ok_or(NO_STRING)?;
                Comparison::from_option(call.arg(2), call.arg(3)).ok_or(UNKNOWN)?.holds(Some(value))?
            }
        },
        _ => return Err(call.arity_error()),
    };
    Ok(remove_if(is_met, slot, reply))
}

/// DELIFEQ key value -> 1, or 0 when the key is missing or holds another string.
fn delifeq(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_met = Comparison::Equal(call.arg(2)).holds(view(slot.entry(), Str::of)?)?;
    Ok(remove_if(is_met, slot, reply))
}

/// DIGEST key -> 16 hexadecimal digits; nil when the key is missing.
fn digest(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match view(entry, Str::of)? {
        Some(value) => reply.bulk(digest_of(value).as_bytes()),
        None => reply.nil(),
    }
    Ok(())
}

fn remove_if(is_met: bool, slot: &mut Slot<'_>, reply: &mut Reply) -> Effect {
    reply.integer(i64::from(is_met));
    if !is_met {
        return Effect::None;
    }
    slot.remove();
    Effect::Changed(DEL)
}

fn digest_of(value: Str<'_>) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(value.text(&mut itoa::Buffer::new())))
}

/// A condition on the value that a key has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison<'a> {
    Equal(&'a [u8]),
    NotEqual(&'a [u8]),
    /// With the digits of a digest.
    DigestEqual(&'a [u8]),
    DigestNotEqual(&'a [u8]),
}

impl<'a> Comparison<'a> {
    /// The comparison that an option asks for, by its name in any case.
    pub fn from_option(word: &[u8], operand: &'a [u8]) -> Option<Self> {
        let options: [(&[u8], Self); 4] = [
            (b"ifeq", Self::Equal(operand)),
            (b"ifne", Self::NotEqual(operand)),
            (b"ifdeq", Self::DigestEqual(operand)),
            (b"ifdne", Self::DigestNotEqual(operand)),
        ];
        options.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, comparison)| comparison)
    }

    /// Whether it holds for a value; a missing one equals nothing.
    ///
    /// # Errors
    /// When the operand is no digest; it is looked at only if there is a value, as in Redis.
    pub fn holds(self, value: Option<Str<'_>>) -> Result<bool, Error> {
        let is_equal = match (self, value) {
            (_, None) => false,
            (Self::Equal(operand) | Self::NotEqual(operand), Some(value)) => {
                value.text(&mut itoa::Buffer::new()) == operand
            }
            (Self::DigestEqual(operand) | Self::DigestNotEqual(operand), Some(value)) => {
                if operand.len() != 16 {
                    return Err(Error::Other("ERR must be exactly 16 hexadecimal characters"));
                }
                digest_of(value).as_bytes().eq_ignore_ascii_case(operand)
            }
        };
        Ok(is_equal == matches!(self, Self::Equal(_) | Self::DigestEqual(_)))
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_redis() {
        let text = b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
        assert_eq!(digest_of(Str::Bytes(text)), "00006c38adf31777");
        assert_eq!(digest_of(Str::Bytes(b"")), "2d06800538d394c2");
        assert_eq!(digest_of(Str::Int(12345)), digest_of(Str::Bytes(b"12345")));
    }

    #[test]
    fn what_is_missing_equals_nothing() {
        let holds = |comparison: Comparison<'_>, value| comparison.holds(value).expect("a digest or none");
        assert!(!holds(Comparison::Equal(b""), None) && holds(Comparison::NotEqual(b""), None));
        assert!(!holds(Comparison::DigestEqual(b"x"), None) && holds(Comparison::DigestNotEqual(b"x"), None));
        assert!(holds(Comparison::Equal(b"-7"), Some(Str::Int(-7))));
        assert!(!holds(Comparison::Equal(b"07"), Some(Str::Int(7))));
        let digest = digest_of(Str::Int(7)).to_ascii_uppercase();
        assert!(holds(Comparison::DigestEqual(digest.as_bytes()), Some(Str::Bytes(b"7"))));
        assert!(Comparison::DigestEqual(b"7").holds(Some(Str::Int(7))).is_err());
    }
}
