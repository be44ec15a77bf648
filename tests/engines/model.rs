//! A plain model of the server: values in ordered maps, one client after the other.
//!
//! It knows the data commands that the property test uses, and their errors. Its clock stands still: a deadline is
//! either far away, and stays, or has passed, and the key is gone at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::support::Value;

/// A value of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    String(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Hash(BTreeMap<String, String>),
}

#[derive(Clone, Debug)]
struct Entry {
    data: Data,
    /// Seconds to live, from the moment that the clock stands at.
    ttl: Option<i64>,
}

/// The keys of one database.
#[derive(Clone, Debug, Default)]
pub struct Model {
    entries: BTreeMap<String, Entry>,
    /// Counts the changes of each key.
    versions: BTreeMap<String, u64>,
}

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

fn error(text: &str) -> Value {
    Value::Error(text.into())
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().into())
}

fn nil_or_bulk(text: Option<&String>) -> Value {
    text.map_or(Value::Nil, |text| bulk(text))
}

fn integer(count: usize) -> Value {
    Value::Int(count as i64)
}

fn array<'a>(items: impl IntoIterator<Item = &'a String>) -> Value {
    Value::Array(items.into_iter().map(|item| bulk(item)).collect())
}

/// Defines a getter of one type: the value, nothing, or the error for another type.
macro_rules! typed {
    ($($name:ident, $variant:ident, $type:ty;)+) => {
        $(
            fn $name(&mut self, key: &str) -> Result<Option<&mut $type>, Value> {
                match self.entries.get_mut(key).map(|entry| &mut entry.data) {
                    None => Ok(None),
                    Some(Data::$variant(inner)) => Ok(Some(inner)),
                    Some(_) => Err(error(WRONG_TYPE)),
                }
            }
        )+
    };
}

impl Model {
    /// Runs a command; errors are replies.
    pub fn run(&mut self, words: &[String]) -> Value {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.try_run(&words).unwrap_or_else(|error| error)
    }

    /// How often a key has changed.
    pub fn version(&self, key: &str) -> u64 {
        self.versions.get(key).copied().unwrap_or_default()
    }

    typed! {
        string, String, String;
        list, List, VecDeque<String>;
        set, Set, BTreeSet<String>;
        hash, Hash, BTreeMap<String, String>;
    }

    fn try_run(&mut self, words: &[&str]) -> Result<Value, Value> {
        Ok(match words {
            ["GET", key] => nil_or_bulk(self.string(key)?.as_deref()),
            ["SET", key, value, options @ ..] => self.set_string(key, value, options)?,
            ["INCR", key] => self.add(key, 1)?,
            ["DECR", key] => self.add(key, -1)?,
            ["INCRBY", key, amount] => self.add(key, parse(amount)?)?,
            ["DECRBY", key, amount] => {
                let amount = parse(amount)?.checked_neg().ok_or_else(|| error("ERR decrement would overflow"))?;
                self.add(key, amount)?
            }
            ["MGET", keys @ ..] => {
                let get = |key: &&str| nil_or_bulk(self.string(key).ok().flatten().as_deref());
                Value::Array(keys.iter().map(get).collect())
            }
            ["MSET", pairs @ ..] => {
                for pair in pairs.chunks(2) {
                    self.put(pair[0], Data::String(pair[1].into()), None);
                }
                ok()
            }
            ["DEL" | "UNLINK", keys @ ..] => integer(keys.iter().filter(|key| self.remove(key)).count()),
            ["EXISTS", keys @ ..] => integer(keys.iter().filter(|key| self.entries.contains_key(**key)).count()),
            ["TYPE", key] => Value::Simple(self.type_name(key).into()),
            ["EXPIRE", key, seconds] => self.expire(key, parse(seconds)?),
            ["PEXPIRE", key, millis] => self.expire(key, parse(millis)? / 1000),
            ["EXPIREAT", key, _past] => self.expire(key, -1),
            ["TTL", key] => Value::Int(self.entries.get(*key).map_or(-2, |entry| entry.ttl.unwrap_or(-1))),
            ["PERSIST", key] => {
                let had = self.entries.get_mut(*key).and_then(|entry| entry.ttl.take()).is_some();
                if had {
                    self.touch(key);
                }
                Value::Int(i64::from(had))
            }
            ["RENAME", from, to] => self.rename(from, to)?,
            ["DBSIZE"] => integer(self.entries.len()),
            ["KEYS", "*"] => array(self.entries.keys()),
            ["FLUSHDB"] => {
                for key in std::mem::take(&mut self.entries).into_keys() {
                    self.touch(&key);
                }
                ok()
            }
            ["LPUSH" | "RPUSH", key, values @ ..] => self.push(words[0], key, values)?,
            ["LPOP" | "RPOP", key] => self.pop(words[0], key, 1)?.map_or(Value::Nil, |popped| bulk(&popped[0])),
            ["LPOP" | "RPOP", key, count] => {
                let count = count.parse().map_err(|_| error("ERR value is out of range, must be positive"))?;
                self.pop(words[0], key, count)?.map_or(Value::Nil, |popped| array(&popped))
            }
            ["LLEN", key] => integer(self.list(key)?.map_or(0, |list| list.len())),
            ["LRANGE", key, from, to] => {
                let (from, to) = (parse(from)?, parse(to)?);
                let Some(list) = self.list(key)? else { return Ok(Value::Array(Vec::new())) };
                let len = list.len() as i64;
                let from = if from < 0 { (from + len).max(0) } else { from };
                let to = if to < 0 { to + len } else { to };
                array(list.iter().enumerate().filter(|(i, _)| (from..=to).contains(&(*i as i64))).map(|(_, item)| item))
            }
            ["SADD", key, members @ ..] => {
                let set = self.set(key)?;
                let mut new: BTreeSet<String> = set.as_deref().cloned().unwrap_or_default();
                let before = new.len();
                new.extend(members.iter().map(ToString::to_string));
                let added = new.len() - before;
                if added > 0 {
                    self.change(key, Data::Set(new));
                }
                integer(added)
            }
            ["SREM", key, members @ ..] => {
                let Some(set) = self.set(key)? else { return Ok(integer(0)) };
                let removed = members.iter().filter(|member| set.remove(**member)).count();
                let is_empty = set.is_empty();
                self.shrunk(key, removed, is_empty)
            }
            ["SISMEMBER", key, member] => {
                Value::Int(i64::from(self.set(key)?.is_some_and(|set| set.contains(*member))))
            }
            ["SMEMBERS", key] => self.set(key)?.map_or(Value::Array(Vec::new()), |set| array(set.iter())),
            ["SCARD", key] => integer(self.set(key)?.map_or(0, |set| set.len())),
            ["HSET", key, pairs @ ..] => {
                let mut new = self.hash(key)?.cloned().unwrap_or_default();
                let before = new.len();
                new.extend(pairs.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
                let added = new.len() - before;
                self.change(key, Data::Hash(new));
                integer(added)
            }
            ["HGET", key, field] => nil_or_bulk(self.hash(key)?.and_then(|hash| hash.get(*field))),
            ["HDEL", key, fields @ ..] => {
                let Some(hash) = self.hash(key)? else { return Ok(integer(0)) };
                let removed = fields.iter().filter(|field| hash.remove(**field).is_some()).count();
                let is_empty = hash.is_empty();
                self.shrunk(key, removed, is_empty)
            }
            ["HGETALL", key] => match self.hash(key)? {
                None => Value::Array(Vec::new()),
                Some(hash) => array(hash.iter().flat_map(|(field, value)| [field, value])),
            },
            other => unreachable!("the model does not know {other:?}"),
        })
    }

    fn set_string(&mut self, key: &str, value: &str, options: &[&str]) -> Result<Value, Value> {
        let old = if options.contains(&"GET") { Some(self.string(key)?.cloned()) } else { None };
        let exists = self.entries.contains_key(key);
        let done = match old {
            Some(old) => nil_or_bulk(old.as_ref()),
            None => ok(),
        };
        if options.contains(&"NX") && exists || options.contains(&"XX") && !exists {
            return Ok(if options.contains(&"GET") { done } else { Value::Nil });
        }
        let ttl = match options.iter().position(|option| *option == "EX") {
            Some(at) => Some(parse(options[at + 1])?),
            None if options.contains(&"KEEPTTL") => self.entries.get(key).and_then(|entry| entry.ttl),
            None => None,
        };
        self.put(key, Data::String(value.into()), ttl);
        Ok(done)
    }

    fn add(&mut self, key: &str, amount: i64) -> Result<Value, Value> {
        let old = self.string(key)?.map_or(Ok(0), |text| parse(text))?;
        let new = old.checked_add(amount).ok_or_else(|| error("ERR increment or decrement would overflow"))?;
        self.change(key, Data::String(new.to_string()));
        Ok(Value::Int(new))
    }

    fn expire(&mut self, key: &str, seconds: i64) -> Value {
        let Some(entry) = self.entries.get_mut(key) else { return Value::Int(0) };
        entry.ttl = Some(seconds);
        if seconds <= 0 {
            self.remove(key);
        } else {
            self.touch(key);
        }
        Value::Int(1)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<Value, Value> {
        if !self.entries.contains_key(from) {
            return Err(error("ERR no such key"));
        }
        if from != to {
            let entry = self.entries.remove(from).expect("looked up above");
            self.entries.insert(to.into(), entry);
            self.touch(from);
            self.touch(to);
        }
        Ok(ok())
    }

    fn push(&mut self, command: &str, key: &str, values: &[&str]) -> Result<Value, Value> {
        let mut list = self.list(key)?.cloned().unwrap_or_default();
        for value in values.iter().map(ToString::to_string) {
            if command == "LPUSH" { list.push_front(value) } else { list.push_back(value) }
        }
        let len = list.len();
        self.change(key, Data::List(list));
        Ok(integer(len))
    }

    /// The popped elements; `None` when there is no list.
    fn pop(&mut self, command: &str, key: &str, count: usize) -> Result<Option<Vec<String>>, Value> {
        let Some(list) = self.list(key)? else { return Ok(None) };
        let pop = || if command == "LPOP" { list.pop_front() } else { list.pop_back() };
        let popped: Vec<String> = std::iter::from_fn(pop).take(count).collect();
        let is_empty = list.is_empty();
        self.shrunk(key, popped.len(), is_empty);
        Ok(Some(popped))
    }

    fn type_name(&self, key: &str) -> &'static str {
        match self.entries.get(key).map(|entry| &entry.data) {
            None => "none",
            Some(Data::String(_)) => "string",
            Some(Data::List(_)) => "list",
            Some(Data::Set(_)) => "set",
            Some(Data::Hash(_)) => "hash",
        }
    }

    /// A collection from which elements were removed; an empty one goes.
    fn shrunk(&mut self, key: &str, removed: usize, is_empty: bool) -> Value {
        if is_empty {
            self.remove(key);
        } else if removed > 0 {
            self.touch(key);
        }
        integer(removed)
    }

    /// Replaces a key's value and its deadline.
    fn put(&mut self, key: &str, data: Data, ttl: Option<i64>) {
        self.entries.insert(key.into(), Entry { data, ttl });
        self.touch(key);
    }

    /// Replaces a key's value; its deadline stays.
    fn change(&mut self, key: &str, data: Data) {
        let ttl = self.entries.get(key).and_then(|entry| entry.ttl);
        self.put(key, data, ttl);
    }

    fn remove(&mut self, key: &str) -> bool {
        let existed = self.entries.remove(key).is_some();
        if existed {
            self.touch(key);
        }
        existed
    }

    fn touch(&mut self, key: &str) {
        *self.versions.entry(key.into()).or_default() += 1;
    }
}

fn parse(text: &str) -> Result<i64, Value> {
    let number = text.parse::<i64>().map_err(|_| error(NOT_AN_INTEGER))?;
    // Only the one way of writing a number counts: `+1` and `01` are words.
    if number.to_string() == text { Ok(number) } else { Err(error(NOT_AN_INTEGER)) }
}
