//! INCREX: a number with bounds and a time to live, in one step.

use super::counter::put;
use super::expiry::Unit;
use super::typed::view;
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::number::{Extended, parse_i64};
use crate::reply::Reply;
use crate::store::string::{Str, text_content};
use crate::store::{Deadline, Slot};

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "increx",
    arity: Arity::at_least(2),
    keys: Keys::ONE,
    run: Run::Write(increx),
    flags: Flags::DENYOOM.and(Flags::FAST),
    since: "8.8.0",
    complexity: "O(1)",
    summary: "Increments the number in a key within bounds, and sets its time to live. Uses 0 as initial value if the key \
              doesn't exist.",
}];

/// `INCREX key [NX | XX] [BYINT n | BYFLOAT n] [LBOUND n] [UBOUND n] [SATURATE] [EX s | PX ms | EXAT s | PXAT ms | PERSIST]
/// [ENX]` -> the number, and what was added to it.
///
/// A sum beyond a bound, or beyond what the kind of number can hold, changes nothing: the reply is the old number and 0.
/// SATURATE takes the bound instead. The deadline stays where nothing is said of it, and with ENX where there is one.
fn increx(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let options = Options::parse(call)?;
    if options.is_float {
        add::<Extended>(slot, &options, call, reply)
    } else {
        add::<i64>(slot, &options, call, reply)
    }
}

fn add<N: Number>(slot: &mut Slot<'_>, options: &Options, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let read = |i: Option<usize>, default, error| i.map_or(Ok(default), |i| N::parse(call.arg(i)).ok_or(error));
    let amount = read(options.amount, N::ONE, N::NO_AMOUNT)?.checked()?;
    let least = read(options.least, N::LEAST, N::NO_LEAST)?;
    let most = read(options.most, N::MOST, N::NO_MOST)?;
    if least > most {
        return Err(Error::Other("ERR LBOUND can't be greater than UBOUND"));
    }
    let deadline = options.time.map(|(unit, at)| unit.positive_deadline(at, call)).transpose()?;
    let old = view(slot.entry(), Str::of)?.map_or(Ok(N::ZERO), N::of)?;
    let is_met = options.if_exists.is_none_or(|if_exists| if_exists == slot.exists());
    // What is too large to be held is beyond every bound.
    let (sum, is_within) =
        old.plus(amount).map_or_else(|limit| (limit, false), |sum| (sum, least <= sum && sum <= most));
    if !is_met || !is_within && !options.saturates {
        reply.array(2);
        old.write(reply);
        N::ZERO.write(reply);
        return Ok(Effect::None);
    }
    let (new, added) = if is_within {
        (sum, amount)
    } else {
        let new = sum.clamp(least, most);
        (new, new.minus(old)?)
    };
    reply.array(2);
    new.write(reply);
    added.write(reply);
    let had_deadline = slot.deadline().is_some();
    match deadline {
        Some(at) if !(options.only_new_time && had_deadline) => {
            if at <= call.now {
                return Ok(if slot.remove() { Effect::Changed(Event("del")) } else { Effect::None });
            }
            new.store(slot, Deadline::At(at));
            Ok(Effect::Both(N::EVENT, Event("expire")))
        }
        None if options.persists && had_deadline => {
            new.store(slot, Deadline::Clear);
            Ok(Effect::Both(N::EVENT, Event("persist")))
        }
        _ => {
            new.store(slot, Deadline::Keep);
            Ok(Effect::Changed(N::EVENT))
        }
    }
}

/// What INCREX counts in.
trait Number: Copy + Ord {
    const ZERO: Self;
    const ONE: Self;
    const LEAST: Self;
    const MOST: Self;
    const NO_AMOUNT: Error;
    const NO_LEAST: Error;
    const NO_MOST: Error;
    const EVENT: Event;

    fn parse(text: &[u8]) -> Option<Self>;

    /// The number itself, if it can be added.
    fn checked(self) -> Result<Self, Error>;

    /// The number that a string holds.
    fn of(value: Str<'_>) -> Result<Self, Error>;

    /// The sum, or the limit beyond which it would be.
    fn plus(self, amount: Self) -> Result<Self, Self>;

    fn minus(self, other: Self) -> Result<Self, Error>;

    fn write(self, reply: &mut Reply);

    fn store(self, slot: &mut Slot<'_>, deadline: Deadline);
}

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
    const NO_AMOUNT: Error = Error::Other("ERR Increment is not an integer or out of range");
    const NO_LEAST: Error = Error::Other("ERR LBOUND is not an integer or out of range");
    const NO_MOST: Error = Error::Other("ERR UBOUND is not an integer or out of range");
    const EVENT: Event = Event("incrby");

    fn parse(text: &[u8]) -> Option<Self> {
        parse_i64(text)
    }

    fn checked(self) -> Result<Self, Error> {
        Ok(self)
    }

    fn of(value: Str<'_>) -> Result<Self, Error> {
        value.as_int().ok_or(Error::NotAnInteger)
    }

    fn plus(self, amount: Self) -> Result<Self, Self> {
        self.checked_add(amount).ok_or(if amount < 0 { Self::MIN } else { Self::MAX })
    }

    fn minus(self, other: Self) -> Result<Self, Error> {
        self.checked_sub(other).ok_or(Error::Other("ERR applied increment would overflow"))
    }

    fn write(self, reply: &mut Reply) {
        reply.integer(self);
    }

    fn store(self, slot: &mut Slot<'_>, deadline: Deadline) {
        put(slot, self, deadline);
    }
}

impl Number for Extended {
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;
    const LEAST: Self = Self::MAX.negated();
    const MOST: Self = Self::MAX;
    const NO_AMOUNT: Error = Error::Other("ERR Increment is not a valid float");
    const NO_LEAST: Error = Error::Other("ERR LBOUND is not a valid float");
    const NO_MOST: Error = Error::Other("ERR UBOUND is not a valid float");
    const EVENT: Event = Event("incrbyfloat");

    fn parse(text: &[u8]) -> Option<Self> {
        Self::parse(text)
    }

    fn checked(self) -> Result<Self, Error> {
        if self.is_infinite() { Err(Error::Other("ERR BYFLOAT increment cannot be Infinity")) } else { Ok(self) }
    }

    fn of(value: Str<'_>) -> Result<Self, Error> {
        let number = match value {
            Str::Int(int) => Some(Self::from_i64(int)),
            Str::Bytes(bytes) => Self::parse(bytes),
            Str::Shared(bytes) => Self::parse(bytes),
        };
        let number = number.ok_or(Error::NotAFloat)?;
        if number.is_infinite() { Err(Error::Other("ERR value cannot be Infinity")) } else { Ok(number) }
    }

    fn plus(self, amount: Self) -> Result<Self, Self> {
        self.plus(amount).ok_or(if amount < Self::ZERO { Self::LEAST } else { Self::MAX })
    }

    fn minus(self, other: Self) -> Result<Self, Error> {
        self.plus(other.negated()).ok_or(Error::Other("ERR applied increment would be Infinity"))
    }

    fn write(self, reply: &mut Reply) {
        reply.double_as(self.format().as_bytes());
    }

    fn store(self, slot: &mut Slot<'_>, deadline: Deadline) {
        // A text, even if it looks like an integer, as INCRBYFLOAT stores it.
        slot.set(text_content(self.format().as_bytes()), deadline);
    }
}

/// The options, most of them as the numbers of their arguments.
#[derive(Debug, Default)]
struct Options {
    /// The key has to exist, or must not.
    if_exists: Option<bool>,
    is_float: bool,
    amount: Option<usize>,
    least: Option<usize>,
    most: Option<usize>,
    saturates: bool,
    time: Option<(Unit, usize)>,
    persists: bool,
    only_new_time: bool,
}

impl Options {
    /// Reads the options, each of which may be given once.
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (mut options, mut i) = (Self::default(), 2);
        let once = |flag: &mut bool| if std::mem::replace(flag, true) { Err(Error::Syntax) } else { Ok(()) };
        while i < call.len() {
            if call.is(i, "saturate") {
                once(&mut options.saturates)?;
            } else if call.is(i, "enx") {
                once(&mut options.only_new_time)?;
            } else if call.is(i, "persist") {
                once(&mut options.persists)?;
            } else if call.is(i, "nx") || call.is(i, "xx") {
                if options.if_exists.replace(call.is(i, "xx")).is_some() {
                    return Err(Error::Syntax);
                }
            } else if i + 1 == call.len() {
                return Err(Error::Syntax);
            } else if let Some(unit) = Unit::from_option(call.arg(i)) {
                i += 1;
                if options.time.replace((unit, i)).is_some() {
                    return Err(Error::Syntax);
                }
            } else {
                let is_float = call.is(i, "byfloat");
                let place = match () {
                    () if is_float || call.is(i, "byint") => &mut options.amount,
                    () if call.is(i, "lbound") => &mut options.least,
                    () if call.is(i, "ubound") => &mut options.most,
                    () => return Err(Error::Syntax),
                };
                i += 1;
                if place.replace(i).is_some() {
                    return Err(Error::Syntax);
                }
                options.is_float |= is_float;
            }
            i += 1;
        }
        if options.persists && (options.time.is_some() || options.only_new_time) {
            return Err(Error::Syntax);
        }
        if options.only_new_time && options.time.is_none() {
            return Err(Error::Other("ERR ENX flag requires an expiration"));
        }
        Ok(options)
    }
}
