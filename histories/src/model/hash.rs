//! A hash of numbers.

use std::collections::BTreeMap;

use super::{Model, Words, words};
use crate::reply::Reply;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hash(pub BTreeMap<u32, i64>);

/// The first number is always the field.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Set(u32, i64),
    SetNx(u32, i64),
    Get(u32),
    Remove(u32),
    Incr(u32, i64),
    Len,
    /// HGETALL.
    All,
}

impl Op {
    pub fn words(&self, key: &str) -> Words {
        match self {
            Self::Set(field, value) => words(["HSET", key, &field.to_string(), &value.to_string()]),
            Self::SetNx(field, value) => words(["HSETNX", key, &field.to_string(), &value.to_string()]),
            Self::Get(field) => words(["HGET", key, &field.to_string()]),
            Self::Remove(field) => words(["HDEL", key, &field.to_string()]),
            Self::Incr(field, by) => words(["HINCRBY", key, &field.to_string(), &by.to_string()]),
            Self::Len => words(["HLEN", key]),
            Self::All => words(["HGETALL", key]),
        }
    }
}

impl Model for Hash {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> Reply {
        match op {
            Op::Set(field, value) => Reply::yes(self.0.insert(*field, *value).is_none()),
            Op::SetNx(field, value) => {
                let is_new = !self.0.contains_key(field);
                self.0.entry(*field).or_insert(*value);
                Reply::yes(is_new)
            }
            Op::Get(field) => self.0.get(field).map_or(Reply::Nil, |&value| Reply::Number(value)),
            Op::Remove(field) => Reply::yes(self.0.remove(field).is_some()),
            Op::Incr(field, by) => {
                let value = self.0.entry(*field).or_default();
                // Values are 32 bits wide, and there are not enough operations to leave 64.
                *value += by;
                Reply::Int(*value)
            }
            Op::Len => Reply::Int(self.0.len() as i64),
            Op::All => Reply::numbers(self.0.iter().flat_map(|(&field, &value)| [field.into(), value])),
        }
    }

    fn is_read(op: &Op, reply: Option<&Reply>) -> bool {
        match op {
            Op::Get(_) | Op::Len | Op::All => true,
            Op::SetNx(..) | Op::Remove(_) => reply == Some(&Reply::Int(0)),
            Op::Set(..) | Op::Incr(..) => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
