//! What is done to an object: its kind, and the next operation by the dice.

use fastrand::Rng;
use smallvec::SmallVec;

use crate::model::{Command, End, Exec, HashOp, KEYS, ListOp, Op, SetOp, Store, TextOp, ZsetOp};

/// What an object is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    List,
    Set,
    Hash,
    Zset,
    /// A hash of many fields, each checked by itself: what concerns one field says nothing about another.
    Fields,
    /// The same of a set's members.
    Members,
    /// One key of every type.
    Mixed,
    Texts,
    Lists,
    Sets,
    /// Four keys, everything.
    Any,
    /// Transactions of appends and reads, for the cycles.
    Append,
    Bank,
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::Text,
        Self::List,
        Self::Set,
        Self::Hash,
        Self::Zset,
        Self::Fields,
        Self::Members,
        Self::Mixed,
        Self::Texts,
        Self::Lists,
        Self::Sets,
        Self::Any,
        Self::Append,
        Self::Bank,
    ];

    /// How many operations an object lives for. A search is slow where a wrong turn is noticed late, at worst in the end.
    pub const DRAWS: u32 = 300;
}

/// Where values come from, and what the server understands.
pub struct Dice {
    pub rng: Rng,
    /// No two clients have the same, so that a value tells who wrote it.
    pub client: u32,
    /// SET with IFEQ.
    pub has_ifeq: bool,
    drawn: u32,
    /// Values that were written lately, for conditions that hold now and then.
    recent: [u32; 4],
}

/// Values of one client are so far apart.
pub const CLIENTS_MAX: u32 = 64;

/// Fields and members of an object that is checked by its parts.
const PARTS: u32 = 12;

impl Dice {
    pub fn new(rng: Rng, client: u32, has_ifeq: bool) -> Self {
        Self { rng, client, has_ifeq, drawn: 0, recent: [0; 4] }
    }

    /// The next operation on an object of this kind, and which part of it this concerns.
    pub fn draw(&mut self, kind: Kind) -> (Op, u32) {
        let whole = |op| (op, 0);
        match kind {
            Kind::Text => whole(self.text(0)),
            Kind::List => whole(self.list(0)),
            Kind::Set => whole(self.set(0)),
            Kind::Hash => whole(self.hash(0)),
            Kind::Zset => whole(self.zset(0)),
            Kind::Fields => {
                let part = self.rng.u32(..PARTS);
                (Op::One(0, Command::Hash(self.field(part))), part)
            }
            Kind::Members => {
                let part = self.rng.u32(..PARTS);
                let op = [SetOp::Add(part), SetOp::Remove(part), SetOp::Has(part)][self.rng.usize(..3)];
                (Op::One(0, Command::Set(op)), part)
            }
            Kind::Mixed => whole(self.any(1)),
            Kind::Texts => whole(self.texts(3)),
            Kind::Lists => whole(self.lists(3)),
            Kind::Sets => whole(self.sets(3)),
            Kind::Any => whole(self.any(KEYS as u8)),
            Kind::Append => whole(self.append()),
            Kind::Bank => whole(self.bank()),
        }
    }

    /// What to do to a key that was watched and then read by this: the reads, and the operations made of their answers.
    pub fn watched_reads(&mut self, kind: Kind) -> Option<Vec<Op>> {
        let get = |key| Op::One(key, Command::Text(TextOp::Get));
        let range = |key| Op::One(key, Command::List(ListOp::Range));
        let [first, second] = self.two(KEYS as u8);
        Some(match kind {
            Kind::Text => vec![get(0)],
            Kind::Texts => vec![get(first % 3), get((first + 1) % 3)],
            Kind::Lists => vec![range(first % 3), range((first + 1) % 3)],
            Kind::Any | Kind::Bank => vec![get(first), get(second)],
            Kind::Append => vec![range(first), range(second)],
            _ => return None,
        })
    }

    /// A new value, never 0.
    pub fn value(&mut self) -> u32 {
        self.drawn += 1;
        let value = self.drawn * CLIENTS_MAX + self.client;
        let at = self.rng.usize(..self.recent.len());
        self.recent[at] = value;
        value
    }

    pub fn push(&mut self, key: u8, end: End) -> Op {
        let mut values: SmallVec<[u32; 2]> = SmallVec::new();
        for _ in 0..self.rng.u32(1..3) {
            values.push(self.value());
        }
        Op::One(key, Command::List(ListOp::Push(end, values)))
    }

    fn text(&mut self, key: u8) -> Op {
        let op = match self.rng.u32(..20) {
            0..6 => TextOp::Get,
            6..9 => TextOp::Set(self.value()),
            9 => TextOp::SetNx(self.value()),
            10 | 11 => TextOp::GetSet(self.value()),
            12 => TextOp::GetDel,
            13 | 14 if self.has_ifeq => {
                let expected = self.recent[self.rng.usize(..self.recent.len())];
                TextOp::SetIf { expected, value: self.value() }
            }
            13..17 => TextOp::Incr(self.rng.i64(-5..100)),
            17 => TextOp::Append(self.rng.u32(..10)),
            18 => TextOp::StrLen,
            _ => return self.gone(key),
        };
        Op::One(key, Command::Text(op))
    }

    fn list(&mut self, key: u8) -> Op {
        let end = self.end();
        let op = match self.rng.u32(..20) {
            0..6 => return self.push(key, end),
            6..13 => ListOp::Pop(end),
            13 | 14 => ListOp::Len,
            15 | 16 => ListOp::Range,
            17 => ListOp::Index(self.rng.i64(-2..3)),
            18 => ListOp::Remove(self.recent[self.rng.usize(..self.recent.len())]),
            _ => return self.gone(key),
        };
        Op::One(key, Command::List(op))
    }

    fn set(&mut self, key: u8) -> Op {
        let member = self.rng.u32(..8);
        let op = match self.rng.u32(..20) {
            0..6 => SetOp::Add(member),
            6..9 => SetOp::Remove(member),
            9..12 => SetOp::Has(member),
            12 => SetOp::Card,
            13..15 => SetOp::Members,
            15..18 => SetOp::Pop,
            18 => SetOp::Any,
            _ => return self.gone(key),
        };
        Op::One(key, Command::Set(op))
    }

    fn hash(&mut self, key: u8) -> Op {
        let field = self.rng.u32(..6);
        let op = match self.rng.u32(..20) {
            0..13 => self.field(field),
            13 | 14 => HashOp::Len,
            15..19 => HashOp::All,
            _ => return self.gone(key),
        };
        Op::One(key, Command::Hash(op))
    }

    fn field(&mut self, field: u32) -> HashOp {
        match self.rng.u32(..12) {
            0..3 => HashOp::Set(field, self.value().into()),
            3 => HashOp::SetNx(field, self.value().into()),
            4..7 => HashOp::Get(field),
            7..9 => HashOp::Remove(field),
            _ => HashOp::Incr(field, self.rng.i64(1..100)),
        }
    }

    fn zset(&mut self, key: u8) -> Op {
        let member = self.rng.u32(..8);
        let score = self.rng.i64(-50..50);
        let op = match self.rng.u32(..20) {
            0..4 => ZsetOp::Add(member, score),
            4..7 => ZsetOp::Incr(member, score),
            7..9 => ZsetOp::Score(member),
            9 => ZsetOp::Rank(member),
            10 | 11 => ZsetOp::Remove(member),
            12 | 13 => ZsetOp::PopMin,
            14 => ZsetOp::Card,
            15..19 => ZsetOp::Range,
            _ => return self.gone(key),
        };
        Op::One(key, Command::Zset(op))
    }

    fn gone(&mut self, key: u8) -> Op {
        match self.rng.u32(..3) {
            0 => Op::Del(vec![key]),
            1 => Op::One(key, Command::Expire),
            _ => Op::One(key, Command::Exists),
        }
    }

    /// Keys that hold strings.
    fn texts(&mut self, keys: u8) -> Op {
        let [first, second] = self.two(keys);
        match self.rng.u32(..20) {
            0..4 => Op::MSet(vec![(first, self.value()), (second, self.value())]),
            4..9 => Op::MGet((0..keys).collect()),
            9 => Op::MSetNx(vec![(first, self.value()), (second, self.value())]),
            10 => Op::MSet((0..keys).map(|key| (key, self.value())).collect()),
            11 => Op::Del(vec![first, second]),
            12 | 13 => self.moved(first, second),
            14 | 15 => self.multi(keys, Self::text),
            _ => self.text(first),
        }
    }

    /// Keys that hold lists.
    fn lists(&mut self, keys: u8) -> Op {
        let [first, second] = self.two(keys);
        match self.rng.u32(..20) {
            0..6 => Op::Move(first, second, self.end(), self.end()),
            6 => Op::Move(first, first, self.end(), self.end()),
            7 | 8 => self.moved(first, second),
            9..13 => self.multi(keys, Self::list),
            13 | 14 => Op::Multi((0..keys).map(|key| Op::One(key, Command::List(ListOp::Range))).collect(), Exec::Exec),
            _ => self.list(first),
        }
    }

    /// Keys that hold sets.
    fn sets(&mut self, keys: u8) -> Op {
        let [first, second] = self.two(keys);
        match self.rng.u32(..20) {
            0..5 => Op::SMove(first, second, self.rng.u32(..8)),
            5..9 => {
                let store = [Store::Inter, Store::Union, Store::Diff][self.rng.usize(..3)];
                Op::Store(store, self.rng.u8(..keys), [first, second])
            }
            9 => Op::Inter([first, second]),
            10 => self.moved(first, second),
            11 | 12 => self.multi(keys, Self::set),
            // What is seen as a whole leaves the search few ways to be wrong for long.
            13..16 => Op::Multi((0..keys).map(|key| Op::One(key, Command::Set(SetOp::Members))).collect(), Exec::Exec),
            _ => self.set(first),
        }
    }

    fn any(&mut self, keys: u8) -> Op {
        let key = self.rng.u8(..keys);
        let single = [Self::text, Self::list, Self::set, Self::hash, Self::zset];
        let several = [Self::texts, Self::lists, Self::sets];
        // Keys change their type by what deletes and overwrites only, which has to happen often enough.
        match self.rng.u32(..10) {
            0 | 1 => self.gone(key),
            2..6 if keys > 1 => several[self.rng.usize(..several.len())](self, keys),
            _ => single[self.rng.usize(..single.len())](self, key),
        }
    }

    fn moved(&mut self, from: u8, to: u8) -> Op {
        match self.rng.u32(..4) {
            0 => Op::Rename(from, to),
            1 => Op::RenameNx(from, to),
            _ => Op::Copy(from, to, self.rng.bool()),
        }
    }

    fn multi(&mut self, keys: u8, draw: fn(&mut Self, u8) -> Op) -> Op {
        let len = self.rng.usize(1..5);
        let ops = (0..len).map(|_| {
            let key = self.rng.u8(..keys);
            draw(self, key)
        });
        let ops = ops.collect();
        Op::Multi(ops, self.exec())
    }

    fn append(&mut self) -> Op {
        let len = self.rng.usize(1..5);
        let ops: Vec<Op> = (0..len).map(|_| self.append_or_read()).collect();
        if let ([op], true) = (&ops[..], self.rng.bool()) {
            return op.clone();
        }
        Op::Multi(ops, self.exec())
    }

    fn append_or_read(&mut self) -> Op {
        let key = self.rng.u8(..KEYS as u8);
        if self.rng.bool() { self.push(key, End::Back) } else { Op::One(key, Command::List(ListOp::Range)) }
    }

    fn bank(&mut self) -> Op {
        let keys = 0..KEYS as u8;
        let [from, to] = self.two(KEYS as u8);
        let amount = self.rng.i64(1..100);
        let give = |key, amount| Op::One(key, Command::Text(TextOp::Incr(amount)));
        match self.rng.u32(..10) {
            0..4 => Op::MGet(keys.collect()),
            4 => Op::Multi(keys.map(|key| Op::One(key, Command::Text(TextOp::Get))).collect(), Exec::Exec),
            _ => Op::Multi(vec![give(from, -amount), give(to, amount)], self.exec()),
        }
    }

    fn exec(&mut self) -> Exec {
        match self.rng.u32(..20) {
            0 => Exec::Discard,
            1 => Exec::Refused,
            _ => Exec::Exec,
        }
    }

    fn end(&mut self) -> End {
        if self.rng.bool() { End::Front } else { End::Back }
    }

    /// Two different keys.
    fn two(&mut self, keys: u8) -> [u8; 2] {
        let first = self.rng.u8(..keys);
        [first, (first + self.rng.u8(1..keys)) % keys]
    }
}
