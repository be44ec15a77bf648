//! A list: a queue, or a log that is appended to.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::{Model, Words, words};
use crate::reply::Reply;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct List(pub VecDeque<u32>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

#[derive(Clone, Debug)]
pub enum Op {
    Push(End, SmallVec<[u32; 2]>),
    Pop(End),
    /// LREM of every such element.
    Remove(u32),
    Len,
    Index(i64),
    /// LRANGE of everything.
    Range,
}

impl End {
    pub fn word(self) -> &'static str {
        match self {
            Self::Front => "LEFT",
            Self::Back => "RIGHT",
        }
    }
}

impl Op {
    pub fn words(&self, key: &str) -> Words {
        match self {
            Self::Push(end, values) => {
                let mut words = words([if *end == End::Front { "LPUSH" } else { "RPUSH" }, key]);
                words.extend(values.iter().map(u32::to_string));
                words
            }
            Self::Pop(End::Front) => words(["LPOP", key]),
            Self::Pop(End::Back) => words(["RPOP", key]),
            Self::Remove(value) => words(["LREM", key, "0", &value.to_string()]),
            Self::Len => words(["LLEN", key]),
            Self::Index(at) => words(["LINDEX", key, &at.to_string()]),
            Self::Range => words(["LRANGE", key, "0", "-1"]),
        }
    }
}

impl List {
    pub fn push(&mut self, end: End, value: u32) {
        match end {
            End::Front => self.0.push_front(value),
            End::Back => self.0.push_back(value),
        }
    }

    pub fn pop(&mut self, end: End) -> Option<u32> {
        match end {
            End::Front => self.0.pop_front(),
            End::Back => self.0.pop_back(),
        }
    }
}

impl Model for List {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> Reply {
        let element = |value: Option<u32>| value.map_or(Reply::Nil, |value| Reply::Number(value.into()));
        match op {
            Op::Push(end, values) => {
                values.iter().for_each(|&value| self.push(*end, value));
                Reply::Int(self.0.len() as i64)
            }
            Op::Pop(end) => element(self.pop(*end)),
            Op::Remove(value) => {
                let before = self.0.len();
                self.0.retain(|element| element != value);
                Reply::Int((before - self.0.len()) as i64)
            }
            Op::Len => Reply::Int(self.0.len() as i64),
            Op::Index(at) => {
                let at = if *at < 0 { self.0.len() as i64 + at } else { *at };
                element(usize::try_from(at).ok().and_then(|at| self.0.get(at).copied()))
            }
            Op::Range => Reply::numbers(self.0.iter().map(|&value| value.into())),
        }
    }

    fn is_read(op: &Op, reply: Option<&Reply>) -> bool {
        match op {
            Op::Len | Op::Index(_) | Op::Range => true,
            Op::Pop(_) => reply == Some(&Reply::Nil),
            Op::Remove(_) => reply == Some(&Reply::Int(0)),
            Op::Push(..) => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
