//! A sorted set whose scores are whole numbers.

use std::collections::BTreeMap;

use super::{Model, Words, words};
use crate::reply::Reply;

/// Members and their scores. Members have one digit, so that their order as numbers is that as strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zset(pub BTreeMap<u32, i64>);

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Add(u32, i64),
    Incr(u32, i64),
    Score(u32),
    Rank(u32),
    Remove(u32),
    PopMin,
    Card,
    /// ZRANGE of everything, with scores.
    Range,
}

impl Op {
    pub fn words(&self, key: &str) -> Words {
        match self {
            Self::Add(member, score) => words(["ZADD", key, &score.to_string(), &member.to_string()]),
            Self::Incr(member, by) => words(["ZINCRBY", key, &by.to_string(), &member.to_string()]),
            Self::Score(member) => words(["ZSCORE", key, &member.to_string()]),
            Self::Rank(member) => words(["ZRANK", key, &member.to_string()]),
            Self::Remove(member) => words(["ZREM", key, &member.to_string()]),
            Self::PopMin => words(["ZPOPMIN", key]),
            Self::Card => words(["ZCARD", key]),
            Self::Range => words(["ZRANGE", key, "0", "-1", "WITHSCORES"]),
        }
    }
}

impl Model for Zset {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> Reply {
        match op {
            Op::Add(member, score) => Reply::yes(self.0.insert(*member, *score).is_none()),
            Op::Incr(member, by) => {
                let score = self.0.entry(*member).or_default();
                *score += by;
                Reply::Number(*score)
            }
            Op::Score(member) => self.0.get(member).map_or(Reply::Nil, |&score| Reply::Number(score)),
            Op::Rank(member) => {
                let rank = self.ranked().iter().position(|(_, ranked)| ranked == member);
                rank.map_or(Reply::Nil, |rank| Reply::Int(rank as i64))
            }
            Op::Remove(member) => Reply::yes(self.0.remove(member).is_some()),
            Op::PopMin => match self.ranked().first() {
                Some(&(score, member)) => {
                    self.0.remove(&member);
                    Reply::numbers([member.into(), score])
                }
                None => Reply::Array(Vec::new()),
            },
            Op::Card => Reply::Int(self.0.len() as i64),
            Op::Range => Reply::numbers(self.ranked().into_iter().flat_map(|(score, member)| [member.into(), score])),
        }
    }

    fn is_read(op: &Op, reply: Option<&Reply>) -> bool {
        match op {
            Op::Score(_) | Op::Rank(_) | Op::Card | Op::Range => true,
            Op::Remove(_) => reply == Some(&Reply::Int(0)),
            Op::PopMin => reply.and_then(Reply::items).is_some_and(<[Reply]>::is_empty),
            // A member that is there gets another score, and 0 is answered.
            Op::Add(..) | Op::Incr(..) => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Zset {
    fn ranked(&self) -> Vec<(i64, u32)> {
        let mut ranked: Vec<_> = self.0.iter().map(|(&member, &score)| (score, member)).collect();
        ranked.sort_unstable();
        ranked
    }
}
