//! A few keys as one object: what reaches several of them happens at one moment, or has not happened.

use std::fmt;
use std::rc::Rc;

use smallvec::smallvec;

use super::{Hash, HashOp, List, ListOp, Model, Outcomes, Set, SetOp, Text, TextOp, Words, Zset, ZsetOp, list, words};
use crate::reply::{OK, Reply};

/// Keys of one object. Dependencies between more than four add nothing that four do not show.
pub const KEYS: usize = 4;

/// The keys of an object, and what each holds. A search makes very many that differ in one key.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Space([Option<Rc<Value>>; KEYS]);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Text(Text),
    List(List),
    Set(Set),
    Hash(Hash),
    Zset(Zset),
}

/// Something to do to one key.
#[derive(Clone, Debug)]
pub enum Command {
    Text(TextOp),
    List(ListOp),
    Set(SetOp),
    Hash(HashOp),
    Zset(ZsetOp),
    Exists,
    /// EXPIRE with 0 seconds: the key goes at once.
    Expire,
}

#[derive(Clone, Copy, Debug)]
pub enum Store {
    Inter,
    Union,
    Diff,
}

/// How a MULTI ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exec {
    Exec,
    Discard,
    /// EXEC after a command that cannot be queued.
    Refused,
}

/// One operation, which may be a whole transaction. Keys are numbers below [`KEYS`].
#[derive(Clone, Debug)]
pub enum Op {
    One(u8, Command),
    Del(Vec<u8>),
    MSet(Vec<(u8, u32)>),
    MSetNx(Vec<(u8, u32)>),
    MGet(Vec<u8>),
    Rename(u8, u8),
    RenameNx(u8, u8),
    /// COPY, which replaces if it says so.
    Copy(u8, u8, bool),
    Move(u8, u8, list::End, list::End),
    SMove(u8, u8, u32),
    Store(Store, u8, [u8; 2]),
    Inter([u8; 2]),
    Multi(Vec<Op>, Exec),
    /// MULTI and EXEC after WATCH and these reads: their answers are true at the moment of EXEC, or nothing is done.
    Guarded(Vec<(Op, Reply)>, Vec<Op>),
}

impl Op {
    /// The requests that the operation consists of; the last one's reply is its reply.
    pub fn requests(&self, name: &dyn Fn(u8) -> String) -> Vec<Words> {
        let multi = |ops: &[Self], exec: Exec| {
            let mut requests = vec![words(["MULTI"])];
            requests.extend(ops.iter().flat_map(|op| op.requests(name)));
            if exec == Exec::Refused {
                requests.push(words(["GET"]));
            }
            requests.push(words([if exec == Exec::Discard { "DISCARD" } else { "EXEC" }]));
            requests
        };
        let named = |word: &str, keys: &mut dyn Iterator<Item = u8>| {
            let mut words = words([word]);
            words.extend(keys.map(name));
            words
        };
        let pairs = |word: &str, pairs: &[(u8, u32)]| {
            let mut words = words([word]);
            words.extend(pairs.iter().flat_map(|(key, value)| [name(*key), value.to_string()]));
            words
        };
        let request = match self {
            Self::One(key, command) => {
                let key = &name(*key);
                match command {
                    Command::Text(op) => op.words(key),
                    Command::List(op) => op.words(key),
                    Command::Set(op) => op.words(key),
                    Command::Hash(op) => op.words(key),
                    Command::Zset(op) => op.words(key),
                    Command::Exists => words(["EXISTS", key]),
                    Command::Expire => words(["EXPIRE", key, "0"]),
                }
            }
            Self::Del(keys) => named("DEL", &mut keys.iter().copied()),
            Self::MSet(values) => pairs("MSET", values),
            Self::MSetNx(values) => pairs("MSETNX", values),
            Self::MGet(keys) => named("MGET", &mut keys.iter().copied()),
            Self::Rename(from, to) => words(["RENAME", &name(*from), &name(*to)]),
            Self::RenameNx(from, to) => words(["RENAMENX", &name(*from), &name(*to)]),
            Self::Copy(from, to, false) => words(["COPY", &name(*from), &name(*to)]),
            Self::Copy(from, to, true) => words(["COPY", &name(*from), &name(*to), "REPLACE"]),
            Self::Move(from, to, take, put) => words(["LMOVE", &name(*from), &name(*to), take.word(), put.word()]),
            Self::SMove(from, to, member) => words(["SMOVE", &name(*from), &name(*to), &member.to_string()]),
            Self::Store(store, to, from) => {
                let word = match store {
                    Store::Inter => "SINTERSTORE",
                    Store::Union => "SUNIONSTORE",
                    Store::Diff => "SDIFFSTORE",
                };
                named(word, &mut [*to].iter().chain(from).copied())
            }
            Self::Inter(keys) => named("SINTER", &mut keys.iter().copied()),
            Self::Multi(ops, exec) => return multi(ops, *exec),
            Self::Guarded(_, ops) => return multi(ops, Exec::Exec),
        };
        vec![request]
    }

    /// The key of an operation on one key.
    pub fn key(&self) -> Option<u8> {
        match self {
            Self::One(key, _) => Some(*key),
            _ => None,
        }
    }

    /// Puts into order what a server may answer in any order.
    pub fn arrange(&self, reply: &mut Reply) {
        let Reply::Array(items) = reply else { return };
        match self {
            Self::One(_, Command::Set(SetOp::Members)) | Self::Inter(_) => items.sort_unstable(),
            Self::One(_, Command::Hash(HashOp::All)) => {
                let mut pairs: Vec<_> = items.chunks(2).map(<[Reply]>::to_vec).collect();
                pairs.sort_unstable();
                *items = pairs.concat();
            }
            Self::Multi(ops, _) | Self::Guarded(_, ops) => {
                ops.iter().zip(items).for_each(|(op, item)| op.arrange(item));
            }
            _ => {}
        }
    }
}

impl Model for Space {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> Reply {
        let (next, reply) = self.outcomes(op).remove(0);
        *self = next;
        reply
    }

    fn outcomes(&self, op: &Op) -> Outcomes<Self> {
        match op {
            Op::One(key, command) => self.one(*key, command),
            Op::Multi(ops, Exec::Exec) => self.all(ops),
            Op::Multi(_, Exec::Discard) => smallvec![(self.clone(), OK)],
            Op::Multi(_, Exec::Refused) => smallvec![(self.clone(), Reply::error("EXECABORT"))],
            Op::Guarded(reads, ops) => {
                // A key may have changed and be again what it was: EXEC may always say no.
                let mut outcomes = smallvec![(self.clone(), Reply::Nil)];
                let holds = |(read, seen): &(Op, Reply)| self.outcomes(read).iter().any(|(_, reply)| reply == seen);
                if reads.iter().all(holds) {
                    outcomes.extend(self.all(ops));
                }
                outcomes
            }
            _ => {
                let mut next = self.clone();
                let reply = next.many(op).unwrap_or_else(Reply::error);
                smallvec![(next, reply)]
            }
        }
    }

    fn is_read(op: &Op, reply: Option<&Reply>) -> bool {
        match (op, reply) {
            // An array's errors are inside of it.
            (_, Some(Reply::Error(_))) => true,
            (Op::One(_, command), _) => match command {
                Command::Text(op) => Text::is_read(op, reply),
                Command::List(op) => List::is_read(op, reply),
                Command::Set(op) => Set::is_read(op, reply),
                Command::Hash(op) => Hash::is_read(op, reply),
                Command::Zset(op) => Zset::is_read(op, reply),
                Command::Exists => true,
                Command::Expire => reply == Some(&Reply::Int(0)),
            },
            (Op::MGet(_) | Op::Inter(_), _) => true,
            (Op::Del(_) | Op::MSetNx(_) | Op::RenameNx(..) | Op::Copy(..) | Op::SMove(..), _) => {
                reply == Some(&Reply::Int(0))
            }
            (Op::Move(..), _) => reply == Some(&Reply::Nil),
            (Op::MSet(_) | Op::Rename(..) | Op::Store(..), _) => false,
            (Op::Multi(_, Exec::Discard | Exec::Refused), _) => true,
            (Op::Guarded(..), Some(Reply::Nil)) => true,
            (Op::Multi(ops, _) | Op::Guarded(_, ops), _) => {
                let replies = reply.and_then(Reply::items);
                ops.iter().enumerate().all(|(at, op)| Self::is_read(op, replies.and_then(|items| items.get(at))))
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

const WRONG_TYPE: &str = "WRONGTYPE";

impl Space {
    pub fn get(&self, key: u8) -> Option<&Value> {
        self.0[usize::from(key)].as_deref()
    }

    fn slot(&mut self, key: u8) -> &mut Option<Rc<Value>> {
        &mut self.0[usize::from(key)]
    }

    /// The same with another value of a key; `None` removes it.
    pub fn with(&self, key: u8, value: Option<Value>) -> Self {
        let mut next = self.clone();
        *next.slot(key) = value.map(Rc::new);
        next
    }

    /// All operations of a transaction, one after the other.
    fn all(&self, ops: &[Op]) -> Outcomes<Self> {
        let mut ways = vec![(self.clone(), Vec::new())];
        for op in ops {
            let mut next = Vec::with_capacity(ways.len());
            for (space, replies) in ways {
                for (space, reply) in space.outcomes(op) {
                    let mut replies: Vec<Reply> = replies.clone();
                    replies.push(reply);
                    next.push((space, replies));
                }
            }
            ways = next;
        }
        ways.into_iter().map(|(space, replies)| (space, Reply::Array(replies))).collect()
    }

    fn one(&self, key: u8, command: &Command) -> Outcomes<Self> {
        let value = self.get(key);
        match command {
            // These do not look at the type.
            Command::Text(op @ TextOp::Set(_)) => self.typed::<Text>(key, None, op),
            Command::Text(TextOp::SetNx(_)) if value.is_some() => smallvec![(self.clone(), Reply::Int(0))],
            Command::Text(op) => self.typed::<Text>(key, value, op),
            Command::List(op) => self.typed::<List>(key, value, op),
            Command::Set(op) => self.typed::<Set>(key, value, op),
            Command::Hash(op) => self.typed::<Hash>(key, value, op),
            Command::Zset(op) => self.typed::<Zset>(key, value, op),
            Command::Exists => smallvec![(self.clone(), Reply::yes(value.is_some()))],
            Command::Expire => smallvec![(self.with(key, None), Reply::yes(value.is_some()))],
        }
    }

    fn typed<T: Typed>(&self, key: u8, value: Option<&Value>, op: &T::Op) -> Outcomes<Self> {
        let outcomes = match value.map(T::of) {
            None => T::default().outcomes(op),
            Some(Some(value)) => value.outcomes(op),
            Some(None) => return smallvec![(self.clone(), Reply::error(WRONG_TYPE))],
        };
        let put = |(value, reply): (T, Reply)| {
            // What only reads goes on with the same value.
            if T::is_read(op, Some(&reply)) {
                return (self.clone(), reply);
            }
            (self.with(key, (!value.is_empty()).then(|| value.into())), reply)
        };
        outcomes.into_iter().map(put).collect()
    }

    /// What is done to several keys. An error changes nothing.
    fn many(&mut self, op: &Op) -> Result<Reply, &'static str> {
        Ok(match op {
            Op::Del(keys) => Reply::Int(keys.iter().filter(|key| self.slot(**key).take().is_some()).count() as i64),
            Op::MSet(values) => {
                self.set(values);
                OK
            }
            Op::MSetNx(values) => {
                let is_free = values.iter().all(|(key, _)| self.get(*key).is_none());
                if is_free {
                    self.set(values);
                }
                Reply::yes(is_free)
            }
            Op::MGet(keys) => {
                let text = |key: &u8| self.get(*key).and_then(Text::of).and_then(|text| text.0.as_deref());
                Reply::Array(keys.iter().map(|key| Reply::bulk_or_nil(text(key))).collect())
            }
            Op::Rename(from, to) => {
                let value = self.slot(*from).take().ok_or("ERR")?;
                *self.slot(*to) = Some(value);
                OK
            }
            Op::RenameNx(from, to) => {
                self.get(*from).ok_or("ERR")?;
                let is_free = self.get(*to).is_none();
                if is_free {
                    *self.slot(*to) = self.slot(*from).take();
                }
                Reply::yes(is_free)
            }
            Op::Copy(from, to, replace) => {
                let value = self.slot(*from).clone();
                let is_done = value.is_some() && (*replace || self.get(*to).is_none());
                if is_done {
                    *self.slot(*to) = value;
                }
                Reply::yes(is_done)
            }
            Op::Move(from, to, take, put) => {
                if self.get(*from).is_none() {
                    return Ok(Reply::Nil);
                }
                let mut source = self.read::<List>(*from)?;
                if from != to {
                    self.read::<List>(*to)?;
                }
                let Some(value) = source.pop(*take) else { return Ok(Reply::Nil) };
                self.write(*from, source);
                let mut target = self.read::<List>(*to)?;
                target.push(*put, value);
                self.write(*to, target);
                Reply::Number(value.into())
            }
            Op::SMove(from, to, member) => {
                if self.get(*from).is_none() {
                    return Ok(Reply::Int(0));
                }
                let (mut source, mut target) = (self.read::<Set>(*from)?, self.read::<Set>(*to)?);
                let is_there = source.0.remove(member);
                if is_there && from != to {
                    target.0.insert(*member);
                    self.write(*from, source);
                    self.write(*to, target);
                }
                Reply::yes(is_there)
            }
            Op::Store(store, to, [first, second]) => {
                let (first, second) = (self.read::<Set>(*first)?.0, self.read::<Set>(*second)?.0);
                let result = match store {
                    Store::Inter => &first & &second,
                    Store::Union => &first | &second,
                    Store::Diff => &first - &second,
                };
                let len = result.len();
                self.write(*to, Set(result));
                Reply::Int(len as i64)
            }
            Op::Inter([first, second]) => {
                let both = &self.read::<Set>(*first)?.0 & &self.read::<Set>(*second)?.0;
                Reply::numbers(both.into_iter().map(i64::from))
            }
            Op::One(..) | Op::Multi(..) | Op::Guarded(..) => unreachable!("they may have several outcomes"),
        })
    }

    fn set(&mut self, values: &[(u8, u32)]) {
        for (key, value) in values {
            *self.slot(*key) = Some(Rc::new(Value::Text(Text(Some(value.to_string().into_bytes())))));
        }
    }

    fn read<T: Typed>(&self, key: u8) -> Result<T, &'static str> {
        self.get(key).map_or_else(|| Ok(T::default()), |value| T::of(value).cloned().ok_or(WRONG_TYPE))
    }

    fn write<T: Typed>(&mut self, key: u8, value: T) {
        *self.slot(key) = (!value.is_empty()).then(|| Rc::new(value.into()));
    }
}

/// A model that can be a key's value.
trait Typed: Model + Into<Value> {
    fn of(value: &Value) -> Option<&Self>;
}

macro_rules! typed {
    ($($name:ident)+) => {
        $(
            impl From<$name> for Value {
                fn from(value: $name) -> Self {
                    Self::$name(value)
                }
            }

            impl Typed for $name {
                fn of(value: &Value) -> Option<&Self> {
                    match value {
                        Value::$name(value) => Some(value),
                        _ => None,
                    }
                }
            }
        )+
    };
}

typed!(Text List Set Hash Zset);

/// What each key holds.
impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (letter, value) in ('a'..).zip(&self.0) {
            if let Some(value) = value.as_deref() {
                let show: &dyn fmt::Debug = match value {
                    Value::Text(text) => &Reply::bulk_or_nil(text.0.as_deref()),
                    Value::List(list) => &list.0,
                    Value::Set(set) => &set.0,
                    Value::Hash(hash) => &hash.0,
                    Value::Zset(zset) => &zset.0,
                };
                map.entry(&format_args!("{letter}"), show);
            }
        }
        map.finish()
    }
}

/// The requests in one line, with letters for keys.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |key: u8| char::from(b'a' + key).to_string();
        if let Self::Guarded(reads, _) = self {
            for (read, seen) in reads {
                write!(f, "(watching, {read} -> {seen}) ")?;
            }
        }
        let requests: Vec<String> = self.requests(&letter).iter().map(|words| words.join(" ")).collect();
        f.write_str(&requests.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_gone_when_they_are_empty() {
        let mut space = Space::default();
        assert_eq!(space.apply(&Op::One(0, Command::Set(SetOp::Add(1)))), Reply::Int(1));
        assert_eq!(space.apply(&Op::SMove(0, 1, 1)), Reply::Int(1));
        assert_eq!(space.apply(&Op::One(0, Command::Exists)), Reply::Int(0));
        assert_eq!(space.apply(&Op::One(1, Command::Text(TextOp::Get))), Reply::error("WRONGTYPE"));
        assert_eq!(space.apply(&Op::Store(Store::Diff, 1, [1, 1])), Reply::Int(0));
        assert!(space.is_empty());
    }

    #[test]
    fn a_transaction_has_as_many_outcomes_as_its_operations() {
        let mut space = Space::default();
        for member in 0..3 {
            space.apply(&Op::One(0, Command::Set(SetOp::Add(member))));
        }
        let pop = Op::One(0, Command::Set(SetOp::Pop));
        assert_eq!(space.outcomes(&Op::Multi(vec![pop.clone(), pop], Exec::Exec)).len(), 6);
    }
}
