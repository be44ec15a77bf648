//! Whether transactions of appends and reads are strictly serializable, after Adya's anomalies and Elle's idea.
//!
//! Every element is appended once, so a list tells who wrote it, and in which order. From the longest read of each key
//! follows what depends on what: the next element on the one before (ww), a read on its last element (wr), whoever appends
//! the next element on those who did not see it (rw), and whatever was called after another had ended on that (time). In
//! a serial order all of these point forward, so a cycle is a proof that there is none. The kinds of edges tell what went
//! wrong: G0 is a cycle of ww, G1c has wr too, G-single has one rw and G2 more; with "realtime" it needs the clock.
//!
//! Time is not an edge for each two transactions: moments are nodes, each leads to the next, and a transaction leads to
//! the moment of its end and comes from the last moment before its call.

use std::collections::VecDeque;
use std::fmt::{self, Display, Write};

use ahash::AHashMap;

use crate::history::{Entry, OPEN};
use crate::model::{Command, Exec, ListOp, Op};
use crate::reply::Reply;

/// Why a history is not strictly serializable.
#[derive(Debug)]
pub struct Anomaly {
    pub name: String,
    pub text: String,
}

/// What a transaction did to one list.
enum Deed {
    Append { key: u8, value: i64, len: Option<i64> },
    Read { key: u8, list: Vec<i64> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Unknown,
}

struct Transaction<'a> {
    entry: &'a Entry<Op>,
    deeds: Vec<Deed>,
    fate: Fate,
}

/// Checks transactions of RPUSH and LRANGE of everything on the keys of one object, whose lists were empty in the
/// beginning.
///
/// * `entries`: those of a connection in the order in which it sent them; connections in any order.
pub fn check(entries: &[&Entry<Op>]) -> Vec<Anomaly> {
    let mut check = Check { transactions: transactions(entries), ..Check::default() };
    check.writers();
    check.orders();
    check.reads();
    if check.anomalies.is_empty() {
        check.edges();
        check.cycles();
    }
    check.anomalies
}

#[derive(Default)]
struct Check<'a> {
    transactions: Vec<Transaction<'a>>,
    /// Who appended an element to a key.
    writers: AHashMap<(u8, i64), usize>,
    /// The elements of a key that anybody saw.
    orders: AHashMap<u8, Vec<i64>>,
    /// From each node to others. Nodes are transactions, and moments behind them.
    edges: Vec<Vec<(usize, Edge)>>,
    anomalies: Vec<Anomaly>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Ww(u8),
    Wr(u8),
    Rw(u8),
    Time,
    Session,
}

/// A transaction's operations, what it had read while it watched, and the answers if it was done.
type Parts<'a> = (&'a [Op], &'a [(Op, Reply)], Option<&'a [Reply]>);

fn transactions<'a>(entries: &[&'a Entry<Op>]) -> Vec<Transaction<'a>> {
    entries
        .iter()
        .map(|&entry| {
            let (ops, seen, replies): Parts<'_> = match &entry.op {
                Op::Multi(ops, Exec::Exec) => (ops, &[], entry.reply.as_ref().and_then(Reply::items)),
                Op::Multi(ops, Exec::Discard | Exec::Refused) => (ops, &[], None),
                Op::Guarded(seen, ops) => (ops, seen, entry.reply.as_ref().and_then(Reply::items)),
                op => (std::slice::from_ref(op), &[], entry.reply.as_ref().map(std::slice::from_ref)),
            };
            let is_aborted = matches!(entry.op, Op::Multi(_, Exec::Discard | Exec::Refused));
            let fate = match entry.reply {
                _ if is_aborted => Fate::Aborted,
                None => Fate::Unknown,
                Some(_) if replies.is_some() => Fate::Committed,
                Some(_) => Fate::Aborted,
            };
            let seen = seen.iter().map(|(op, reply)| (op, (fate == Fate::Committed).then_some(reply)));
            let done = ops.iter().enumerate().map(|(at, op)| (op, replies.and_then(|replies| replies.get(at))));
            let deeds = seen.chain(done).flat_map(|(op, reply)| deeds(op, reply)).collect();
            Transaction { entry, deeds, fate }
        })
        .collect()
}

fn deeds(op: &Op, reply: Option<&Reply>) -> Vec<Deed> {
    match op {
        Op::One(key, Command::List(ListOp::Push(_, values))) => {
            let end = match reply {
                Some(Reply::Int(len)) => Some(*len),
                _ => None,
            };
            let place = |at: usize| end.map(|end| end - (values.len() - 1 - at) as i64);
            let append = |(at, &value): (usize, &u32)| Deed::Append { key: *key, value: value.into(), len: place(at) };
            values.iter().enumerate().map(append).collect()
        }
        Op::One(key, Command::List(ListOp::Range)) => {
            let number = |item: &Reply| match item {
                Reply::Number(number) => *number,
                _ => -1,
            };
            let list = reply.and_then(Reply::items).map(|items| items.iter().map(number).collect());
            list.map(|list| Deed::Read { key: *key, list }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

impl Check<'_> {
    fn writers(&mut self) {
        for (at, transaction) in self.transactions.iter().enumerate() {
            for deed in &transaction.deeds {
                if let Deed::Append { key, value, .. } = deed {
                    self.writers.insert((*key, *value), at);
                }
            }
        }
    }

    /// The longest read of a key is its order; all others have to be its beginnings.
    fn orders(&mut self) {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        let mut longest: AHashMap<u8, (usize, &[i64])> = AHashMap::new();
        for (at, transaction) in self.transactions.iter().enumerate() {
            for (key, list) in transaction.reads() {
                let order = longest.entry(key).or_insert((at, list));
                if list.len() > order.1.len() {
                    *order = (at, list);
                }
            }
        }
        for (at, transaction) in self.transactions.iter().enumerate() {
            for (key, list) in transaction.reads() {
                let (other, order) = longest[&key];
                if !order.starts_with(list) {
                    found.push(("incompatible order", format!("  {}\n  {}\n", self.show(at), self.show(other))));
                }
            }
        }
        for (key, (at, order)) in &longest {
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                let name = letter(*key);
                found.push(("duplicate", format!("  {} is twice in {name}:\n  {}\n", pair[0], self.show(*at))));
            }
        }
        self.orders = longest.into_iter().map(|(key, (_, order))| (key, order.to_vec())).collect();
        found.into_iter().for_each(|(name, text)| self.found(name, text));
    }

    /// What a read may not see, whatever the order: what was never there (G1a), what was not yet finished (G1b).
    fn reads(&mut self) {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for (at, transaction) in self.transactions.iter().enumerate() {
            for (key, list) in transaction.reads() {
                for &value in list {
                    let writer = self.writers.get(&(key, value)).copied();
                    match writer.map(|writer| (writer, self.transactions[writer].fate)) {
                        None => found.push(("garbage", format!("  nobody appended {value}\n  {}\n", self.show(at)))),
                        Some((writer, Fate::Aborted)) => {
                            found.push(("G1a", format!("  aborted: {}\n  {}\n", self.show(writer), self.show(at))));
                        }
                        Some(_) => {}
                    }
                }
                let Some(last) = list.last() else { continue };
                let Some(&writer) = self.writers.get(&(key, *last)) else { continue };
                let final_value = self.transactions[writer].appends(key).last();
                if writer != at && final_value != Some(*last) {
                    found.push(("G1b", format!("  unfinished: {}\n  {}\n", self.show(writer), self.show(at))));
                }
            }
            if let Some(text) = transaction.contradiction() {
                found.push(("internal", format!("  {text}: {}\n", self.show(at))));
            }
            for deed in &transaction.deeds {
                let Deed::Append { key, value, len: Some(len) } = deed else { continue };
                let Some(order) = self.orders.get(key) else { continue };
                let place = order.iter().position(|other| other == value).map(|at| at as i64 + 1);
                if place.is_some_and(|place| place != *len) {
                    let text = format!("  {value} is not at {len} but at {place:?}: {}\n", self.show(at));
                    found.push(("wrong length", text));
                }
            }
        }
        found.into_iter().for_each(|(name, text)| self.found(name, text));
    }

    fn edges(&mut self) {
        let count = self.transactions.len();
        self.edges = vec![Vec::new(); count];
        let mut edges: Vec<(usize, usize, Edge)> = Vec::new();
        for (&key, order) in &self.orders {
            for pair in order.windows(2) {
                edges.push((self.writers[&(key, pair[0])], self.writers[&(key, pair[1])], Edge::Ww(key)));
            }
        }
        // What has happened and was never seen comes after everything that was.
        let is_unseen = |key: u8, value: i64| !self.orders.get(&key).is_some_and(|order| order.contains(&value));
        let mut unseen: AHashMap<u8, Vec<usize>> = AHashMap::new();
        for (at, transaction) in self.transactions.iter().enumerate() {
            for deed in transaction.deeds.iter().filter(|_| self.has_happened(at)) {
                if let Deed::Append { key, value, .. } = deed
                    && is_unseen(*key, *value)
                {
                    unseen.entry(*key).or_default().push(at);
                    if let Some(last) = self.orders.get(key).and_then(|order| order.last()) {
                        edges.push((self.writers[&(*key, *last)], at, Edge::Ww(*key)));
                    }
                }
            }
        }
        for (at, transaction) in self.transactions.iter().enumerate() {
            for (key, list) in transaction.reads() {
                // What it appended itself before it read is not what it depends on.
                let own = list.iter().rev().take_while(|value| self.writers[&(key, **value)] == at).count();
                let before = &list[..list.len() - own];
                if let Some(last) = before.last() {
                    edges.push((self.writers[&(key, *last)], at, Edge::Wr(key)));
                }
                match self.orders[&key].get(list.len()) {
                    Some(next) => edges.push((at, self.writers[&(key, *next)], Edge::Rw(key))),
                    None => edges.extend(unseen.get(&key).into_iter().flatten().map(|&to| (at, to, Edge::Rw(key)))),
                }
            }
        }
        self.time(&mut edges);
        for (from, to, edge) in edges.into_iter().filter(|(from, to, _)| from != to) {
            self.edges[from].push((to, edge));
        }
    }

    /// Adds what the clock and the order of each connection say.
    fn time(&mut self, edges: &mut Vec<(usize, usize, Edge)>) {
        let count = self.transactions.len();
        let takes_part = |at: usize| self.has_happened(at);
        let mut sessions: AHashMap<u32, usize> = AHashMap::new();
        let mut ends: Vec<(u64, usize)> = Vec::new();
        for at in (0..count).filter(|&at| takes_part(at)) {
            let entry = self.transactions[at].entry;
            if let Some(before) = sessions.insert(entry.session, at) {
                edges.push((before, at, Edge::Session));
            }
            if entry.end != OPEN {
                ends.push((entry.end, at));
            }
        }
        ends.sort_unstable();
        for (moment, (_, at)) in ends.iter().enumerate() {
            edges.push((*at, count + moment, Edge::Time));
            if moment > 0 {
                edges.push((count + moment - 1, count + moment, Edge::Time));
            }
        }
        for at in (0..count).filter(|&at| takes_part(at)) {
            let before = ends.partition_point(|(end, _)| *end < self.transactions[at].entry.call);
            if before > 0 {
                edges.push((count + before - 1, at, Edge::Time));
            }
        }
        self.edges.resize(count + ends.len(), Vec::new());
    }

    /// Whether it was answered, or somebody saw what it did.
    fn has_happened(&self, at: usize) -> bool {
        let transaction = &self.transactions[at];
        let is_seen = |deed: &Deed| match deed {
            Deed::Append { key, value, .. } => self.orders.get(key).is_some_and(|order| order.contains(value)),
            Deed::Read { .. } => false,
        };
        transaction.fate == Fate::Committed || transaction.deeds.iter().any(is_seen)
    }

    /// One anomaly for each set of transactions that depend on each other: the simplest kind, the shortest cycle.
    fn cycles(&mut self) {
        type Kind = (&'static str, fn(Edge) -> bool, usize);
        const KINDS: [Kind; 4] = [
            ("G0", |edge| matches!(edge, Edge::Ww(_)), 0),
            ("G1c", |edge| matches!(edge, Edge::Ww(_) | Edge::Wr(_)), 0),
            ("G-single", |edge| matches!(edge, Edge::Ww(_) | Edge::Wr(_)), 1),
            ("G2", |edge| matches!(edge, Edge::Ww(_) | Edge::Wr(_) | Edge::Rw(_)), usize::MAX),
        ];
        for group in components(&self.edges) {
            let mut inside = vec![false; self.edges.len()];
            group.iter().for_each(|&node| inside[node] = true);
            let found = [false, true].into_iter().find_map(|with_time| {
                KINDS.into_iter().find_map(|(name, kind, rw)| {
                    let allowed = |edge: Edge| kind(edge) || with_time && matches!(edge, Edge::Time | Edge::Session);
                    let cycle = self.shortest(&group, &inside, &allowed, rw == 1)?;
                    Some((if with_time { format!("{name}-realtime") } else { name.into() }, cycle))
                })
            });
            let (name, cycle) = found.expect("a component is a cycle of the most general kind");
            let text = self.show_cycle(&cycle);
            self.found(&name, text);
        }
    }

    /// The shortest cycle of allowed edges, and of exactly one rw besides if so wanted.
    fn shortest(
        &self,
        group: &[usize],
        inside: &[bool],
        allowed: &dyn Fn(Edge) -> bool,
        one_rw: bool,
    ) -> Option<Vec<(usize, Edge)>> {
        let mut best: Option<Vec<(usize, Edge)>> = None;
        let is_first = |edge: Edge| if one_rw { matches!(edge, Edge::Rw(_)) } else { allowed(edge) };
        for &from in group {
            for &(to, edge) in self.edges[from].iter().filter(|(to, edge)| inside[*to] && is_first(*edge)) {
                let Some(path) = self.path(to, from, inside, allowed) else { continue };
                if best.as_ref().is_none_or(|best| path.len() + 1 < best.len()) {
                    best = Some(std::iter::once((from, edge)).chain(path).collect());
                }
            }
        }
        best
    }

    /// The shortest path, as nodes and the edges that leave them.
    fn path(
        &self,
        from: usize,
        to: usize,
        inside: &[bool],
        allowed: &dyn Fn(Edge) -> bool,
    ) -> Option<Vec<(usize, Edge)>> {
        let mut came: AHashMap<usize, (usize, Edge)> = AHashMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            if node == to {
                let mut path = Vec::new();
                let mut at = to;
                while at != from {
                    let (before, edge) = came[&at];
                    path.push((before, edge));
                    at = before;
                }
                path.reverse();
                return Some(path);
            }
            for &(next, edge) in self.edges[node].iter().filter(|(next, edge)| inside[*next] && allowed(*edge)) {
                if next != from && !came.contains_key(&next) {
                    came.insert(next, (node, edge));
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn show_cycle(&self, cycle: &[(usize, Edge)]) -> String {
        let mut text = String::new();
        for (at, (node, edge)) in cycle.iter().enumerate() {
            // Moments are only there to connect transactions.
            if *node < self.transactions.len() {
                let _ = writeln!(text, "  {}\n      {edge}", self.show(*node));
            } else if at == 0 {
                let _ = writeln!(text, "      {edge}");
            }
        }
        let _ = writeln!(text, "  the first of these again");
        text
    }

    fn show(&self, at: usize) -> String {
        format!("T{at} {}", self.transactions[at].entry)
    }

    fn found(&mut self, name: &str, text: String) {
        self.anomalies.push(Anomaly { name: name.into(), text });
    }
}

impl Transaction<'_> {
    fn reads(&self) -> impl Iterator<Item = (u8, &[i64])> {
        self.deeds.iter().filter_map(|deed| match deed {
            Deed::Read { key, list } => Some((*key, &list[..])),
            Deed::Append { .. } => None,
        })
    }

    fn appends(&self, wanted: u8) -> impl Iterator<Item = i64> {
        self.deeds.iter().filter_map(move |deed| match deed {
            Deed::Append { key, value, .. } if *key == wanted => Some(*value),
            _ => None,
        })
    }

    /// A read inside of a transaction sees what the transaction did before, at the end, and nothing of others in between.
    fn contradiction(&self) -> Option<&'static str> {
        if self.fate != Fate::Committed {
            return None;
        }
        let mut expected: AHashMap<u8, Vec<i64>> = AHashMap::new();
        let mut own: AHashMap<u8, Vec<i64>> = AHashMap::new();
        for deed in &self.deeds {
            match deed {
                Deed::Append { key, value, .. } => {
                    own.entry(*key).or_default().push(*value);
                    expected.entry(*key).and_modify(|list| list.push(*value));
                }
                Deed::Read { key, list } => {
                    if expected.get(key).is_some_and(|expected| expected != list) {
                        return Some("another list than it read before");
                    }
                    if own.get(key).is_some_and(|own| !list.ends_with(own)) {
                        return Some("it does not see what it appended");
                    }
                    expected.insert(*key, list.clone());
                }
            }
        }
        None
    }
}

impl Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ww(key) => write!(f, "before, in {}, (ww) in", letter(*key)),
            Self::Wr(key) => write!(f, "was seen, in {}, (wr) by", letter(*key)),
            Self::Rw(key) => write!(f, "did not see, in {}, (rw)", letter(*key)),
            Self::Time => f.write_str("had ended (time) before"),
            Self::Session => f.write_str("was sent before, by the same connection,"),
        }
    }
}

fn letter(key: u8) -> char {
    char::from(b'a' + key)
}

/// Nodes that reach each other, in groups of two and more: Tarjan's algorithm, without recursion.
fn components(edges: &[Vec<(usize, Edge)>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let (mut index, mut low) = (vec![NEW; edges.len()], vec![0; edges.len()]);
    let mut is_open = vec![false; edges.len()];
    let (mut open, mut groups, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..edges.len() {
        if index[root] != NEW {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((node, edge)) = path.last_mut() {
            let node = *node;
            if *edge == 0 {
                (index[node], low[node]) = (next, next);
                next += 1;
                open.push(node);
                is_open[node] = true;
            }
            if let Some(&(to, _)) = edges[node].get(*edge) {
                *edge += 1;
                if index[to] == NEW {
                    path.push((to, 0));
                } else if is_open[to] {
                    low[node] = low[node].min(index[to]);
                }
                continue;
            }
            path.pop();
            if let Some((above, _)) = path.last() {
                low[*above] = low[*above].min(low[node]);
            }
            if low[node] == index[node] {
                let from = open.iter().rposition(|&member| member == node).expect("it was opened");
                let group: Vec<usize> = open.drain(from..).collect();
                group.iter().for_each(|&member| is_open[member] = false);
                if group.len() > 1 {
                    groups.push(group);
                }
            }
        }
    }
    groups
}
