//! A set.

use std::collections::BTreeSet;

use super::{Model, Outcomes, Words, words};
use crate::reply::Reply;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(pub BTreeSet<u32>);

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Add(u32),
    Remove(u32),
    Has(u32),
    Card,
    Members,
    /// SPOP: any of them.
    Pop,
    /// SRANDMEMBER: any of them.
    Any,
}

impl Op {
    pub fn words(&self, key: &str) -> Words {
        match self {
            Self::Add(member) => words(["SADD", key, &member.to_string()]),
            Self::Remove(member) => words(["SREM", key, &member.to_string()]),
            Self::Has(member) => words(["SISMEMBER", key, &member.to_string()]),
            Self::Card => words(["SCARD", key]),
            Self::Members => words(["SMEMBERS", key]),
            Self::Pop => words(["SPOP", key]),
            Self::Any => words(["SRANDMEMBER", key]),
        }
    }
}

impl Model for Set {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> Reply {
        match op {
            Op::Add(member) => Reply::yes(self.0.insert(*member)),
            Op::Remove(member) => Reply::yes(self.0.remove(member)),
            Op::Has(member) => Reply::yes(self.0.contains(member)),
            Op::Card => Reply::Int(self.0.len() as i64),
            Op::Members => Reply::numbers(self.0.iter().map(|&member| member.into())),
            Op::Pop => self.0.pop_first().map_or(Reply::Nil, |member| Reply::Number(member.into())),
            Op::Any => self.0.first().map_or(Reply::Nil, |&member| Reply::Number(member.into())),
        }
    }

    fn outcomes(&self, op: &Op) -> Outcomes<Self> {
        if !matches!(op, Op::Pop | Op::Any) || self.0.is_empty() {
            let mut next = self.clone();
            let reply = next.apply(op);
            return Outcomes::from_iter([(next, reply)]);
        }
        let taken = |member: &u32| {
            let mut next = self.clone();
            if matches!(op, Op::Pop) {
                next.0.remove(member);
            }
            (next, Reply::Number((*member).into()))
        };
        self.0.iter().map(taken).collect()
    }

    fn is_read(op: &Op, reply: Option<&Reply>) -> bool {
        match op {
            Op::Has(_) | Op::Card | Op::Members | Op::Any => true,
            Op::Add(_) | Op::Remove(_) => reply == Some(&Reply::Int(0)),
            Op::Pop => reply == Some(&Reply::Nil),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
