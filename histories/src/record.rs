//! Many clients at once, and a record of what each asked and was told.
//!
//! There are a few objects at a time, one of them hot, and every client uses all of them, several requests in one write.
//! An object is used for some hundred operations; then another, with new keys, takes its place. Clients hang up, or are
//! killed by others, with requests in flight: what they were not told stays open.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ahash::AHashMap;
use fastrand::Rng;

use crate::history::{Entry, Nanos, OPEN};
use crate::kinds::{CLIENTS_MAX, Dice, Kind};
use crate::model::{Command, Exec, KEYS, ListOp, Op, TextOp, Words};
use crate::reply::Reply;
use crate::wire::{Link, encode, request};

/// Objects in use at a time. Half of all operations go to the first one.
const SLOTS: usize = 6;

/// Requests in one write, at most.
const BURST: usize = 8;

/// Requests for one object in one write, at most: with eight clients the search has 4^8 ways through what is in flight at
/// the worst moment, when the server stands still and all wait.
const BURST_SAME: usize = 3;

/// One burst of so many ends its connection, or another one.
const DEATHS: u32 = 150;

/// What one round of recording does.
#[derive(Clone)]
pub struct Plan {
    pub address: SocketAddr,
    /// Decides who does what, though not when. Also part of the keys' names.
    pub seed: u64,
    pub clients: u32,
    pub operations: u64,
    pub kinds: Vec<Kind>,
    /// Whether connections end in the middle.
    pub is_deadly: bool,
}

/// The history of one object, or of a part of it that nothing else depends on.
pub struct Object {
    pub name: String,
    pub kind: Kind,
    /// Those of a connection in the order in which it sent them.
    pub entries: Vec<Entry<Op>>,
}

/// Which object, and which part of it.
type Place = (u32, u32);

/// What one client was told.
type Log = Vec<(Place, Entry<Op>)>;

/// What all clients of a round share.
struct Shared<'a> {
    plan: &'a Plan,
    since: Instant,
    operations: AtomicU64,
    /// How many operations each slot has seen. Its object is the next one after [`Kind::DRAWS`].
    slots: [AtomicU32; SLOTS],
    /// CLIENT ID of each client, for others to kill.
    ids: Vec<AtomicI64>,
    has_ifeq: bool,
}

/// Records one round.
///
/// # Errors
/// The server cannot be reached, hangs, or says what is no reply.
pub fn record(plan: &Plan) -> Result<Vec<Object>, String> {
    let mut link = Link::connect(plan.address)?;
    let probe = format!("h:{:x}:probe", plan.seed);
    let has_ifeq = link.call(&["SET", &probe, "1", "IFEQ", "2"])? == Reply::Nil;
    let shared = Shared {
        plan,
        since: Instant::now(),
        operations: AtomicU64::new(0),
        slots: Default::default(),
        ids: (0..plan.clients.min(CLIENTS_MAX)).map(|_| AtomicI64::new(0)).collect(),
        has_ifeq,
    };
    let logs: Vec<Result<Log, String>> = std::thread::scope(|scope| {
        let run = |number| {
            let shared = &shared;
            scope.spawn(move || Client::new(shared, number).run())
        };
        let threads: Vec<_> = (0..shared.ids.len() as u32).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into()))).collect()
    });
    let mut objects: AHashMap<Place, Vec<Entry<Op>>> = AHashMap::new();
    for log in logs {
        for (place, entry) in log? {
            objects.entry(place).or_default().push(entry);
        }
    }
    let mut objects: Vec<(Place, Vec<Entry<Op>>)> = objects.into_iter().collect();
    objects.sort_by_key(|(place, _)| *place);
    for ((object, _), entries) in &mut objects {
        entries.extend(shared.last_reads(&mut link, *object)?);
        shared.remove(&mut link, *object)?;
    }
    let named = |((object, part), entries): (Place, _)| Object {
        name: format!("{}* part {part}", shared.name(object, "")),
        kind: shared.kind(object),
        entries,
    };
    Ok(objects.into_iter().map(named).collect())
}

impl Shared<'_> {
    /// The object of a slot when so many operations of it have been drawn.
    fn object(slot: usize, drawn: u32) -> u32 {
        ((slot as u32) << 24) | (drawn / Kind::DRAWS)
    }

    fn kind(&self, object: u32) -> Kind {
        let mut rng = Rng::with_seed(self.plan.seed ^ u64::from(object).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.plan.kinds[rng.usize(..self.plan.kinds.len())]
    }

    fn name(&self, object: u32, key: &str) -> String {
        format!("h:{:x}:{}.{}:{key}", self.plan.seed, object >> 24, object & 0xff_ffff)
    }

    fn now(&self) -> Nanos {
        self.since.elapsed().as_nanos() as Nanos
    }

    /// What an object holds in the end, if its checker wants to know: an append that nobody saw is missed by this.
    fn last_reads(&self, link: &mut Link, object: u32) -> Result<Option<Entry<Op>>, String> {
        let read = match self.kind(object) {
            Kind::Append => Command::List(ListOp::Range),
            Kind::Bank => Command::Text(TextOp::Get),
            _ => return Ok(None),
        };
        let op = Op::Multi((0..KEYS as u8).map(|key| Op::One(key, read.clone())).collect(), Exec::Exec);
        let call = self.now();
        let mut reply = Reply::Nil;
        for words in op.requests(&|key| self.name(object, &key.to_string())) {
            reply = link.call(&words)?;
        }
        Ok(Some(Entry { session: u32::MAX, op, call, end: self.now(), reply: Some(reply) }))
    }

    fn remove(&self, link: &mut Link, object: u32) -> Result<(), String> {
        let mut words = request("DEL");
        words.extend((0..KEYS).map(|key| self.name(object, &key.to_string())));
        link.call(&words).map(drop)
    }
}

/// One client: one connection after the other.
struct Client<'a> {
    shared: &'a Shared<'a>,
    number: u32,
    dice: Dice,
    connections: u32,
    log: Log,
}

/// What a request was for.
enum Purpose {
    /// The last request of this entry of the log.
    Recorded(usize),
    /// Nothing that is recorded.
    Other,
}

/// How a connection goes on after a burst.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stays,
    /// Hangs up after so many replies.
    After(usize),
    /// Says that it has finished, and reads to the end.
    Half,
}

impl<'a> Client<'a> {
    fn new(shared: &'a Shared<'a>, number: u32) -> Self {
        let rng = Rng::with_seed(shared.plan.seed.wrapping_mul(31).wrapping_add(number.into()));
        Self { shared, number, dice: Dice::new(rng, number, shared.has_ifeq), connections: 0, log: Vec::new() }
    }

    fn run(mut self) -> Result<Log, String> {
        let mut link = None;
        while self.shared.operations.load(Relaxed) < self.shared.plan.operations {
            let mut open = match link.take() {
                Some(open) => open,
                None => match self.connect()? {
                    Some(open) => open,
                    // Killed by another client before it could say who it is.
                    None => continue,
                },
            };
            let before = self.log.len();
            let is_alive = if self.dice.rng.u32(..6) == 0 { self.watch(&mut open)? } else { self.burst(&mut open)? };
            self.shared.operations.fetch_add((self.log.len() - before) as u64, Relaxed);
            if is_alive {
                link = Some(open);
            }
        }
        Ok(self.log)
    }

    fn connect(&mut self) -> Result<Option<Link>, String> {
        self.connections += 1;
        let mut link = Link::connect(self.shared.plan.address)?;
        if !self.shared.plan.is_deadly {
            return Ok(Some(link));
        }
        let mut bytes = Vec::new();
        encode(&["CLIENT", "ID"], &mut bytes);
        if !link.send(&bytes) {
            return Ok(None);
        }
        Ok(match link.read()? {
            Some(Reply::Int(id)) => {
                // Relaxed: who reads an old one kills nobody.
                self.shared.ids[self.number as usize].store(id, Relaxed);
                Some(link)
            }
            Some(other) => return Err(format!("CLIENT ID: {other}")),
            None => None,
        })
    }

    /// Some operations in one write. Returns whether the connection lives on.
    fn burst(&mut self, link: &mut Link) -> Result<bool, String> {
        let len = self.dice.rng.usize(1..=BURST);
        let mut ops: Vec<(Place, Op)> = Vec::new();
        let mut slot = 0;
        let mut asked = [0; SLOTS];
        for at in 0..len {
            if at == 0 || self.dice.rng.u32(..3) == 0 {
                slot = self.slot();
            }
            while asked[slot] == BURST_SAME {
                slot = (slot + 1) % SLOTS;
            }
            asked[slot] += 1;
            let object = self.draw(slot);
            let (op, part) = self.dice.draw(self.shared.kind(object));
            ops.push(((object, part), op));
        }
        let is_deadly = self.shared.plan.is_deadly;
        let mut end = End::Stays;
        let mut victim = None;
        if is_deadly && self.dice.rng.u32(..DEATHS) == 0 {
            match self.dice.rng.u32(..3) {
                0 => end = End::After(self.dice.rng.usize(..len)),
                1 => end = End::Half,
                _ => victim = Some(self.dice.rng.usize(..self.shared.ids.len())),
            }
        }
        self.exchange(link, ops, victim.filter(|&victim| victim != self.number as usize), end)
    }

    /// A transaction that depends on what it has read: WATCH, the reads, and then EXEC if nothing has changed.
    fn watch(&mut self, link: &mut Link) -> Result<bool, String> {
        let slot = self.slot();
        let object = self.draw(slot);
        let kind = self.shared.kind(object);
        let Some(reads) = self.dice.watched_reads(kind) else { return self.burst(link) };
        let name = |key: u8| self.shared.name(object, &key.to_string());
        let mut watch = request("WATCH");
        watch.extend(reads.iter().filter_map(Op::key).map(name));
        let mut bytes = Vec::new();
        encode(&watch, &mut bytes);
        if !link.send(&bytes) || link.read()?.is_none() {
            return Ok(false);
        }
        let place = (object, 0);
        let from = self.log.len();
        if !self.exchange(link, reads.iter().map(|op| (place, op.clone())).collect(), None, End::Stays)? {
            return Ok(false);
        }
        let replies = self.log[from..].iter().filter_map(|(_, entry)| entry.reply.clone());
        let seen: Vec<(Op, Reply)> = reads.into_iter().zip(replies).collect();
        let ops = self.follow(kind, &seen);
        self.exchange(link, vec![(place, Op::Guarded(seen, ops))], None, End::Stays)
    }

    /// What to do when these are the answers to the reads.
    fn follow(&mut self, kind: Kind, seen: &[(Op, Reply)]) -> Vec<Op> {
        let keys: Vec<u8> = seen.iter().filter_map(|(op, _)| op.key()).collect();
        let number = |at: usize| match seen[at].1 {
            Reply::Number(number) => u32::try_from(number).ok(),
            _ => None,
        };
        let set = |key, value| Op::One(key, Command::Text(TextOp::Set(value)));
        let incr = |key, amount| Op::One(key, Command::Text(TextOp::Incr(amount)));
        let last = keys[keys.len() - 1];
        match (kind, number(0)) {
            // From a positive balance what is left is written as it is; the other side may be anything.
            (Kind::Bank, Some(balance)) => {
                let amount = self.dice.rng.u32(..=balance);
                vec![set(keys[0], balance - amount), incr(last, amount.into())]
            }
            (Kind::Bank, None) => vec![incr(keys[0], -1), incr(last, 1)],
            (Kind::Append | Kind::Lists, _) => {
                keys.iter().map(|&key| self.dice.push(key, crate::model::End::Back)).collect()
            }
            // A counter that loses nothing only if WATCH works.
            (_, Some(number)) if number < u32::MAX => vec![set(last, number + 1)],
            _ => vec![set(last, self.dice.value())],
        }
    }

    /// Sends operations in one write and notes what comes back. Returns whether the connection lives on.
    fn exchange(
        &mut self,
        link: &mut Link,
        ops: Vec<(Place, Op)>,
        victim: Option<usize>,
        end: End,
    ) -> Result<bool, String> {
        let mut bytes = Vec::new();
        let mut expected: Vec<Purpose> = Vec::new();
        let mut ask = |words: &Words, purpose| {
            encode(words, &mut bytes);
            expected.push(purpose);
        };
        // Clients' numbers and connections make a session's number; nobody connects a million times.
        let session = self.number * 1_000_000 + self.connections;
        let from = self.log.len();
        if let Some(victim) = victim {
            let id = self.shared.ids[victim].load(Relaxed);
            ask(&request(&format!("CLIENT KILL ID {id}")), Purpose::Other);
        }
        for (place, op) in ops {
            let requests = op.requests(&|key| self.shared.name(place.0, &key.to_string()));
            let (last, others) = requests.split_last().expect("an operation has a request");
            others.iter().for_each(|words| ask(words, Purpose::Other));
            ask(last, Purpose::Recorded(self.log.len()));
            self.log.push((place, Entry { session, op, call: 0, end: OPEN, reply: None }));
        }
        let call = self.shared.now();
        self.log[from..].iter_mut().for_each(|(_, entry)| entry.call = call);
        // Whoever cannot send may have sent a part, and the server may have answered that.
        let is_sent = link.send(&bytes);
        if end == End::Half {
            link.finish_sending();
        }
        let limit = if let End::After(replies) = end { replies } else { usize::MAX };
        for purpose in expected.into_iter().take(limit) {
            let Some(mut reply) = link.read()? else { return Ok(false) };
            if let Purpose::Recorded(at) = purpose {
                let entry = &mut self.log[at].1;
                entry.end = self.shared.since.elapsed().as_nanos() as Nanos;
                entry.op.arrange(&mut reply);
                entry.reply = Some(reply);
            }
        }
        Ok(is_sent && end == End::Stays)
    }

    fn slot(&mut self) -> usize {
        if self.dice.rng.bool() { 0 } else { self.dice.rng.usize(1..SLOTS) }
    }

    fn draw(&mut self, slot: usize) -> u32 {
        Shared::object(slot, self.shared.slots[slot].fetch_add(1, Relaxed))
    }
}
