//! A string key: a register, a counter, something that grows.

use super::{Model, Words, words};
use crate::reply::{OK, Reply, number};

/// A string, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(pub Option<Vec<u8>>);

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Get,
    Set(u32),
    SetNx(u32),
    GetSet(u32),
    GetDel,
    /// SET with IFEQ, which not every server has.
    SetIf {
        expected: u32,
        value: u32,
    },
    Incr(i64),
    Append(u32),
    StrLen,
}

impl Op {
    pub fn words(&self, key: &str) -> Words {
        match self {
            Self::Get => words(["GET", key]),
            Self::Set(value) => words(["SET", key, &value.to_string()]),
            Self::SetNx(value) => words(["SETNX", key, &value.to_string()]),
            Self::GetSet(value) => words(["GETSET", key, &value.to_string()]),
            Self::GetDel => words(["GETDEL", key]),
            Self::SetIf { expected, value } => words(["SET", key, &value.to_string(), "IFEQ", &expected.to_string()]),
            Self::Incr(by) => words(["INCRBY", key, &by.to_string()]),
            Self::Append(value) => words(["APPEND", key, &value.to_string()]),
            Self::StrLen => words(["STRLEN", key]),
        }
    }
}

impl Model for Text {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> Reply {
        let old = || Reply::bulk_or_nil(self.0.as_deref());
        match op {
            Op::Get => old(),
            Op::Set(value) => {
                self.0 = Some(bytes(*value));
                OK
            }
            Op::SetNx(value) => {
                let is_new = self.0.is_none();
                self.0.get_or_insert_with(|| bytes(*value));
                Reply::yes(is_new)
            }
            Op::GetSet(value) => {
                let old = old();
                self.0 = Some(bytes(*value));
                old
            }
            Op::GetDel => {
                let old = old();
                self.0 = None;
                old
            }
            Op::SetIf { expected, value } if self.0.as_deref() == Some(&bytes(*expected)) => {
                self.0 = Some(bytes(*value));
                OK
            }
            Op::SetIf { .. } => Reply::Nil,
            Op::Incr(by) => match self.0.as_deref().map_or(Some(0), number).and_then(|old| old.checked_add(*by)) {
                Some(new) => {
                    self.0 = Some(new.to_string().into_bytes());
                    Reply::Int(new)
                }
                None => Reply::error("ERR"),
            },
            Op::Append(value) => {
                let text = self.0.get_or_insert_default();
                text.extend(bytes(*value));
                Reply::Int(text.len() as i64)
            }
            Op::StrLen => Reply::Int(self.0.as_ref().map_or(0, Vec::len) as i64),
        }
    }

    fn is_read(op: &Op, reply: Option<&Reply>) -> bool {
        match op {
            Op::Get | Op::StrLen => true,
            Op::SetNx(_) => reply == Some(&Reply::Int(0)),
            Op::SetIf { .. } | Op::GetDel => reply == Some(&Reply::Nil),
            Op::Set(_) | Op::GetSet(_) | Op::Incr(_) | Op::Append(_) => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

fn bytes(value: u32) -> Vec<u8> {
    value.to_string().into_bytes()
}
