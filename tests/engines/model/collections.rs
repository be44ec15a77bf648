//! The model's lists and sets beyond their first commands.

use std::collections::{BTreeSet, VecDeque};

use super::{Data, Model, array, bulk, error, integer, nil_or_bulk, ok, parse};
use crate::support::Value;

impl Model {
    pub(super) fn run_collection(&mut self, words: &[&str]) -> Result<Value, Value> {
        Ok(match words {
            ["LPUSHX" | "RPUSHX", key, values @ ..] => match self.list(key)? {
                Some(_) => self.push(words[0].trim_end_matches('X'), key, values)?,
                None => Value::Int(0),
            },
            ["LINDEX", key, index] => match self.list(key)? {
                Some(list) => nil_or_bulk(place(parse(index)?, list).and_then(|at| list.get(at))),
                None => Value::Nil,
            },
            ["LSET", key, index, value] => {
                let list = self.list(key)?.ok_or_else(|| error("ERR no such key"))?;
                let at = place(parse(index)?, list).ok_or_else(|| error("ERR index out of range"))?;
                list[at] = (*value).to_owned();
                self.touch(key);
                ok()
            }
            ["LINSERT", key, side, pivot, value] => {
                let Some(list) = self.list(key)? else { return Ok(Value::Int(0)) };
                let Some(at) = list.iter().position(|item| item == pivot) else { return Ok(Value::Int(-1)) };
                list.insert(at + usize::from(*side == "AFTER"), (*value).to_owned());
                let len = list.len();
                self.touch(key);
                integer(len)
            }
            ["LREM", key, count, value] => {
                let count = parse(count)?;
                let Some(list) = self.list(key)? else { return Ok(Value::Int(0)) };
                let mut at: Vec<usize> = (0..list.len()).filter(|&at| list[at] == *value).collect();
                if count < 0 {
                    at.reverse();
                }
                at.truncate(if count == 0 { usize::MAX } else { count.unsigned_abs() as usize });
                at.sort_unstable();
                for at in at.iter().rev() {
                    list.remove(*at);
                }
                let is_empty = list.is_empty();
                self.shrunk(key, at.len(), is_empty)
            }
            ["LTRIM", key, from, to] => {
                let (from, to) = (parse(from)?, parse(to)?);
                let Some(list) = self.list(key)? else { return Ok(ok()) };
                let len = list.len() as i64;
                let from = if from < 0 { (from + len).max(0) } else { from };
                let to = if to < 0 { to + len } else { to };
                let mut at = -1;
                list.retain(|_| {
                    at += 1;
                    (from..=to).contains(&at)
                });
                let is_empty = list.is_empty();
                self.shrunk(key, 1, is_empty);
                ok()
            }
            ["LPOS", key, value, "RANK", rank, "COUNT", "0"] => {
                let rank = parse(rank)?;
                let Some(list) = self.list(key)? else { return Ok(Value::Array(Vec::new())) };
                let mut at: Vec<usize> = (0..list.len()).filter(|&at| list[at] == *value).collect();
                if rank < 0 {
                    at.reverse();
                }
                Value::Array(at.into_iter().skip(rank.unsigned_abs() as usize - 1).map(integer).collect())
            }
            ["LMOVE", from, to, side, other] => self.move_element(from, to, side, other)?,
            ["RPOPLPUSH", from, to] => self.move_element(from, to, "RIGHT", "LEFT")?,
            ["LMPOP", "2", one, other, side, "COUNT", count] => {
                let pop = if *side == "LEFT" { "LPOP" } else { "RPOP" };
                for key in [one, other] {
                    if let Some(popped) = self.pop(pop, key, parse(count)? as usize)? {
                        return Ok(Value::Array(vec![bulk(key), array(&popped)]));
                    }
                }
                Value::Nil
            }
            ["SMISMEMBER", key, members @ ..] => {
                let set = self.set(key)?.cloned().unwrap_or_default();
                Value::Array(members.iter().map(|member| integer(usize::from(set.contains(*member)))).collect())
            }
            ["SMOVE", from, to, member] => {
                if self.set(from)?.is_none() {
                    return Ok(Value::Int(0));
                }
                let mut target = self.set(to)?.cloned().unwrap_or_default();
                let source = self.set(from)?.expect("seen above");
                if from == to || !source.contains(*member) {
                    return Ok(Value::Int(i64::from(source.contains(*member))));
                }
                source.remove(*member);
                let is_empty = source.is_empty();
                self.shrunk(from, 1, is_empty);
                if target.insert((*member).to_owned()) {
                    self.change(to, Data::Set(target));
                }
                Value::Int(1)
            }
            ["SPOP", key, "100"] => match self.set(key)?.map(std::mem::take) {
                Some(set) => {
                    self.remove(key);
                    array(&set)
                }
                None => Value::Array(Vec::new()),
            },
            ["SRANDMEMBER", key, "100"] => self.set(key)?.map_or(Value::Array(Vec::new()), |set| array(set.iter())),
            ["SINTER" | "SUNION" | "SDIFF", keys @ ..] => array(&self.combine(words[0], keys)?),
            ["SINTERCARD", _, keys @ .., "LIMIT", limit] => {
                let count = self.combine("SINTER", keys)?.len();
                let limit = parse(limit)? as usize;
                integer(if limit == 0 { count } else { count.min(limit) })
            }
            ["SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE", to, keys @ ..] => {
                let result = self.combine(words[0].trim_end_matches("STORE"), keys)?;
                let count = result.len();
                if result.is_empty() {
                    self.remove(to);
                } else {
                    self.put(to, Data::Set(result), None);
                }
                integer(count)
            }
            other => unreachable!("the model does not know {other:?}"),
        })
    }

    fn move_element(&mut self, from: &str, to: &str, side: &str, other: &str) -> Result<Value, Value> {
        if self.list(from)?.is_none() {
            return Ok(Value::Nil);
        }
        self.list(to)?;
        let source = self.list(from)?.expect("seen above");
        let element = if side == "LEFT" { source.pop_front() } else { source.pop_back() }.expect("never empty");
        let push = |list: &mut VecDeque<String>| match other {
            "LEFT" => list.push_front(element.clone()),
            _ => list.push_back(element.clone()),
        };
        if from == to {
            push(source);
            self.touch(from);
            return Ok(bulk(&element));
        }
        let is_empty = source.is_empty();
        self.shrunk(from, 1, is_empty);
        let mut target = self.list(to)?.cloned().unwrap_or_default();
        push(&mut target);
        self.change(to, Data::List(target));
        Ok(bulk(&element))
    }

    fn combine(&mut self, command: &str, keys: &[&str]) -> Result<BTreeSet<String>, Value> {
        let mut sets = Vec::new();
        for key in keys {
            sets.push(self.set(key)?.cloned().unwrap_or_default());
        }
        let combine = |one: BTreeSet<String>, other: BTreeSet<String>| match command {
            "SINTER" => &one & &other,
            "SUNION" => &one | &other,
            _ => &one - &other,
        };
        Ok(sets.into_iter().reduce(combine).unwrap_or_default())
    }
}

/// The place of an index that may count from the end, if there is an element.
fn place(index: i64, list: &VecDeque<String>) -> Option<usize> {
    let at = if index < 0 { index + list.len() as i64 } else { index };
    usize::try_from(at).ok().filter(|&at| at < list.len())
}
