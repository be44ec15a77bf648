//! A plain model of the server: values in ordered maps, one client after the other.
//!
//! It knows the data commands that the property test uses, and their errors. Its clock stands still: a deadline is
//! either far away, and stays, or has passed, and the key is gone at once.

mod collections;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::support::Value;

/// A value of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    String(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Hash(BTreeMap<String, Field>),
}

/// A field of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    value: String,
    /// As for a key.
    ttl: Option<i64>,
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
        hash, Hash, BTreeMap<String, Field>;
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
            ["EXISTS" | "TOUCH", keys @ ..] => {
                integer(keys.iter().filter(|key| self.entries.contains_key(**key)).count())
            }
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
            ["RENAMENX", from, to] if self.entries.contains_key(*to) => match self.entries.contains_key(*from) {
                true => Value::Int(0),
                false => return Err(error("ERR no such key")),
            },
            ["RENAMENX", from, to] => self.rename(from, to).map(|_| Value::Int(1))?,
            ["COPY", from, to, ..] if from == to => {
                return Err(error("ERR source and destination objects are the same"));
            }
            ["COPY", from, to, options @ ..] => match self.entries.get(*from).cloned() {
                Some(entry) if !options.is_empty() || !self.entries.contains_key(*to) => {
                    self.entries.insert((*to).into(), entry);
                    self.touch(to);
                    Value::Int(1)
                }
                _ => Value::Int(0),
            },
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
            ["HGET", key, field] => {
                nil_or_bulk(self.hash(key)?.and_then(|hash| hash.get(*field)).map(|field| &field.value))
            }
            ["HMGET", key, fields @ ..] => {
                let hash = self.hash(key)?;
                let get = |field: &&str| hash.as_ref().and_then(|hash| hash.get(*field)).map(|field| &field.value);
                Value::Array(fields.iter().map(|field| nil_or_bulk(get(field))).collect())
            }
            ["HLEN", key] => integer(self.hash(key)?.map_or(0, |hash| hash.len())),
            ["HEXISTS", key, field] => {
                Value::Int(i64::from(self.hash(key)?.is_some_and(|hash| hash.contains_key(*field))))
            }
            ["HSTRLEN", key, field] => {
                integer(self.hash(key)?.and_then(|hash| hash.get(*field)).map_or(0, |field| field.value.len()))
            }
            ["HKEYS", key] => self.hash(key)?.map_or(Value::Array(Vec::new()), |hash| array(hash.keys())),
            ["HVALS", key] => {
                self.hash(key)?.map_or(Value::Array(Vec::new()), |hash| array(hash.values().map(|field| &field.value)))
            }
            ["HGETALL", key] => match self.hash(key)? {
                None => Value::Array(Vec::new()),
                Some(hash) => array(hash.iter().flat_map(|(field, Field { value, .. })| [field, value])),
            },
            [
                "HSET" | "HSETNX" | "HINCRBY" | "HDEL" | "HEXPIRE" | "HEXPIREAT" | "HPERSIST" | "HTTL" | "HGETDEL"
                | "HGETEX" | "HSETEX",
                key,
                rest @ ..,
            ] => {
                // This one looks at its number before it looks at the key.
                if let ("HINCRBY", [_, amount]) = (words[0], rest) {
                    parse(amount)?;
                }
                let mut hash = self.hash(key)?.cloned().unwrap_or_default();
                let (reply, is_changed) = change_hash(words[0], &mut hash, rest)?;
                match (is_changed, hash.is_empty()) {
                    (false, _) => {}
                    (true, false) => self.change(key, Data::Hash(hash)),
                    (true, true) => {
                        self.remove(key);
                        self.touch(key);
                    }
                }
                reply
            }
            other => return self.run_collection(other),
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

/// Runs a command on a hash, an empty one when the key is missing: the reply, and whether something changed.
fn change_hash(command: &str, hash: &mut BTreeMap<String, Field>, rest: &[&str]) -> Result<(Value, bool), Value> {
    let field = |value: &str, ttl| Field { value: value.to_owned(), ttl };
    // What follows `FIELDS count`.
    let fields = rest.iter().position(|word| *word == "FIELDS").map_or(&[][..], |at| &rest[at + 2..]);
    let before = hash.clone();
    Ok(match (command, rest) {
        ("HSET", pairs) => {
            hash.extend(pairs.chunks(2).map(|pair| (pair[0].to_owned(), field(pair[1], None))));
            (integer(hash.len() - before.len()), true)
        }
        ("HSETNX", [name, value]) => {
            let is_new = !hash.contains_key(*name);
            hash.entry((*name).to_owned()).or_insert_with(|| field(value, None));
            (Value::Int(i64::from(is_new)), is_new)
        }
        ("HINCRBY", [name, amount]) => {
            let amount = parse(amount)?;
            let old = match hash.get(*name) {
                Some(field) => parse(&field.value).map_err(|_| error("ERR hash value is not an integer"))?,
                None => 0,
            };
            let sum = old.checked_add(amount).ok_or_else(|| error("ERR increment or decrement would overflow"))?;
            hash.entry((*name).to_owned()).or_insert_with(|| field("", None)).value = sum.to_string();
            (Value::Int(sum), true)
        }
        ("HDEL", names) => {
            let removed = names.iter().filter(|name| hash.remove(**name).is_some()).count();
            (integer(removed), removed > 0)
        }
        ("HTTL", _) => {
            let ttl = |name: &&str| hash.get(*name).map_or(-2, |field| field.ttl.unwrap_or(-1));
            (Value::Array(fields.iter().map(ttl).map(Value::Int).collect()), false)
        }
        ("HPERSIST", _) => {
            let persist = |name: &&str| match hash.get_mut(*name).map(|field| field.ttl.take()) {
                None => -2,
                Some(None) => -1,
                Some(Some(_)) => 1,
            };
            let codes: Vec<i64> = fields.iter().map(persist).collect();
            let is_changed = codes.contains(&1);
            (Value::Array(codes.into_iter().map(Value::Int).collect()), is_changed)
        }
        ("HEXPIRE" | "HEXPIREAT", [seconds, condition, ..]) => {
            // The moments that HEXPIREAT is given have passed, or are in the distant future.
            let seconds = parse(seconds)?;
            let seconds = if command == "HEXPIREAT" && seconds <= FAR_AWAY { 0 } else { seconds };
            let codes: Vec<i64> = fields.iter().map(|name| expire_field(hash, name, seconds, condition)).collect();
            let is_changed = codes.iter().any(|code| *code > 0);
            (Value::Array(codes.into_iter().map(Value::Int).collect()), is_changed)
        }
        ("HGETDEL", _) => {
            let taken = fields.iter().map(|name| nil_or_bulk(hash.remove(*name).as_ref().map(|field| &field.value)));
            let taken = Value::Array(taken.collect());
            (taken, *hash != before)
        }
        ("HGETEX", [option, seconds, ..]) => {
            let mut is_changed = false;
            let get = |name: &&str| {
                let value = nil_or_bulk(hash.get(*name).map(|field| &field.value));
                match *option {
                    "EX" => is_changed |= expire_field(hash, name, seconds.parse().expect("a number"), "") > 0,
                    "PERSIST" => is_changed |= hash.get_mut(*name).is_some_and(|field| field.ttl.take().is_some()),
                    _ => {}
                }
                value
            };
            let values = Value::Array(fields.iter().map(get).collect());
            (values, is_changed)
        }
        ("HSETEX", options) => {
            let mut names = fields.iter().step_by(2);
            let is_met = match options[0] {
                "FNX" => !names.any(|name| hash.contains_key(*name)),
                "FXX" => names.all(|name| hash.contains_key(*name)),
                _ => true,
            };
            if !is_met {
                return Ok((Value::Int(0), false));
            }
            let at = options.iter().position(|word| *word == "EX");
            let ttl: Option<i64> = at.map(|at| options[at + 1].parse().expect("a number"));
            for pair in fields.chunks(2) {
                let kept = hash.get(pair[0]).and_then(|field| field.ttl).filter(|_| options.contains(&"KEEPTTL"));
                hash.insert(pair[0].to_owned(), field(pair[1], ttl.or(kept)));
            }
            hash.retain(|_, field| field.ttl != Some(0));
            (Value::Int(1), true)
        }
        other => unreachable!("the model does not know {other:?}"),
    })
}

/// More seconds than anything lives that is not given a moment in the distant future.
pub const FAR_AWAY: i64 = 1_000_000_000;

/// Sets the time to live of a field as HEXPIRE does, and gives its code.
fn expire_field(hash: &mut BTreeMap<String, Field>, name: &str, seconds: i64, condition: &str) -> i64 {
    let Some(field) = hash.get_mut(name) else { return -2 };
    let is_met = match (condition, field.ttl) {
        ("NX", old) => old.is_none(),
        ("XX", old) => old.is_some(),
        ("GT", old) => old.is_some_and(|old| seconds > old),
        ("LT", old) => old.is_none_or(|old| seconds < old),
        _ => true,
    };
    if !is_met {
        return 0;
    }
    if seconds == 0 {
        hash.remove(name);
        return 2;
    }
    field.ttl = Some(seconds);
    1
}
