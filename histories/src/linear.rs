//! Whether an object's history could have happened one operation after the other: Wing and Gong's search with Lowe's memory.
//!
//! A configuration is what has been put in order so far and the state that it leads to. An operation may come next if
//! no other that is not yet in order had ended before it was called, and if the model answers as the server did. The
//! search goes deep first, without recursion, and never looks at a configuration twice (Lowe 2017). Operations of one
//! connection have an order of their own, so a configuration need not be a bit an operation: how far each connection has
//! come says the same, in a few bytes.
//!
//! Two things keep the search small. What changes nothing is put in order as soon as it can be: wherever else it could
//! stand, the others may stand in the same order. And what ended first is tried first, so that operations that are
//! still open, which may come at any time or never, are tried when nothing else explains what was seen.
//!
//! A wrong turn that is noticed late costs all ways between the two, so a few searches take a thousand times as long as
//! most. Such a search begins anew, with its choices shuffled a little, and with twice the patience each time.

use std::fmt::{Debug, Display, Write};

use ahash::AHashSet;
use fastrand::Rng;
use smallvec::SmallVec;

use crate::history::{Entry, Nanos, OPEN};
use crate::model::Model;

/// Configurations that the first search may look at. Nearly all need one an operation.
const CONFIGURATIONS_FIRST: usize = 10_000;

/// Configurations that the last search may look at; some hundred bytes each.
const CONFIGURATIONS_MAX: usize = CONFIGURATIONS_FIRST << 8;

/// Operations of a refused history that are shown, at most.
const SHOWN: usize = 40;

/// The operations of one connection.
type Lane<'a, M> = Vec<&'a Entry<<M as Model>::Op>>;

/// How many operations of each connection are in order.
type Frontier = SmallVec<[u32; 12]>;

#[derive(Debug)]
pub enum Verdict {
    /// It could, and so many configurations were looked at.
    Linearizable(usize),
    /// It could not; [`explain`] says why.
    Refused,
    /// The search was too long.
    Undecided,
}

/// Checks the history of one object, whose first state is the model's default.
///
/// * `entries`: those of a connection in the order in which it sent them; connections in any order.
pub fn check<M: Model>(entries: &[&Entry<M::Op>]) -> Verdict {
    match search::<M>(entries) {
        Search::Found(configurations) => Verdict::Linearizable(configurations),
        Search::GaveUp => Verdict::Undecided,
        Search::Failed(_) => Verdict::Refused,
    }
}

enum Search<M> {
    Found(usize),
    Failed(Deepest<M>),
    GaveUp,
}

/// The configuration with the most operations in order.
struct Deepest<M> {
    len: usize,
    frontier: Frontier,
    state: M,
}

/// A configuration, and which ways on have not been gone yet.
struct Frame<M> {
    frontier: Frontier,
    state: M,
    /// Connections whose next operation may come next, the last one first.
    lanes: SmallVec<[u8; 12]>,
    /// Other outcomes of the operation that was tried last, and its connection.
    others: Vec<M>,
    lane: u8,
    /// There is one way on, and it is a read.
    is_forced: bool,
}

fn search<M: Model>(entries: &[&Entry<M::Op>]) -> Search<M> {
    let lanes = lanes::<M>(entries);
    let mut shuffle = None;
    let mut most = CONFIGURATIONS_FIRST;
    loop {
        match attempt(&lanes, most, shuffle.as_mut()) {
            Search::GaveUp if most < CONFIGURATIONS_MAX => most *= 2,
            result => return result,
        }
        // Any seed will do; a fixed one gives the same verdict each time.
        shuffle.get_or_insert_with(|| Rng::with_seed(0));
    }
}

/// One search of so many configurations at most.
///
/// * `shuffle`: which of several operations comes first is nearly, not exactly, which one ended first.
fn attempt<M: Model>(lanes: &[Lane<'_, M>], most: usize, mut shuffle: Option<&mut Rng>) -> Search<M> {
    let start: Frontier = lanes.iter().map(|_| 0).collect();
    let mut seen = AHashSet::new();
    let mut deepest = Deepest { len: 0, frontier: start.clone(), state: M::default() };
    let mut stack = Vec::new();
    match Frame::new(lanes, start, M::default(), shuffle.as_deref_mut()) {
        Some(frame) => stack.push(frame),
        None => return Search::Found(0),
    }
    while let Some(frame) = stack.last_mut() {
        let Some((lane, state)) = frame.next(lanes) else {
            stack.pop();
            continue;
        };
        let mut frontier = frame.frontier.clone();
        frontier[usize::from(lane)] += 1;
        // What a read leads to is as new as what was before it, and not worth a place in memory.
        if !frame.is_forced && !seen.insert((frontier.clone(), state.clone())) {
            continue;
        }
        if seen.len() > most {
            return Search::GaveUp;
        }
        let len = stack.len();
        if len > deepest.len {
            deepest = Deepest { len, frontier: frontier.clone(), state: state.clone() };
        }
        match Frame::new(lanes, frontier, state, shuffle.as_deref_mut()) {
            Some(frame) => stack.push(frame),
            None => return Search::Found(seen.len()),
        }
    }
    Search::Failed(deepest)
}

/// Each connection's operations. Reads without an answer say nothing and are left out.
///
/// # Panics
/// If there are more than 255 connections: an object is used for a short time only.
fn lanes<'a, M: Model>(entries: &[&'a Entry<M::Op>]) -> Vec<Lane<'a, M>> {
    let mut sessions: Vec<u32> = Vec::new();
    let mut lanes: Vec<Lane<'a, M>> = Vec::new();
    for &entry in entries.iter().filter(|entry| !(entry.is_open() && M::is_read(&entry.op, None))) {
        match sessions.iter().position(|&session| session == entry.session) {
            Some(lane) => lanes[lane].push(entry),
            None => {
                sessions.push(entry.session);
                lanes.push(vec![entry]);
            }
        }
    }
    assert!(lanes.len() <= 255, "{} connections used one object", lanes.len());
    lanes
}

impl<M: Model> Frame<M> {
    /// `None` when everything that was answered is in order.
    fn new(lanes: &[Lane<'_, M>], frontier: Frontier, state: M, shuffle: Option<&mut Rng>) -> Option<Self> {
        let next = |lane: usize| lanes[lane].get(frontier[lane] as usize);
        // Nothing may come next that was called after another had ended.
        let limit = (0..lanes.len()).filter_map(next).map(|entry| entry.end).min().filter(|&end| end != OPEN)?;
        let mut ready: SmallVec<[(Nanos, u8); 12]> = SmallVec::new();
        let mut is_forced = false;
        for lane in 0..lanes.len() {
            let Some(entry) = next(lane).filter(|entry| entry.call <= limit) else { continue };
            let reads = entry.reply.as_ref().filter(|reply| M::is_read(&entry.op, Some(reply)));
            if reads.is_some_and(|seen| state.outcomes(&entry.op).iter().any(|(_, reply)| reply == seen)) {
                ready = SmallVec::from_slice(&[(entry.end, lane as u8)]);
                is_forced = true;
                break;
            }
            ready.push((entry.end, lane as u8));
        }
        if let Some(rng) = shuffle {
            let last = ready.iter().map(|(end, _)| *end).filter(|&end| end != OPEN).max().unwrap_or(limit);
            for (end, _) in ready.iter_mut().filter(|(end, _)| *end != OPEN) {
                *end += rng.u64(..=last - limit);
            }
        }
        ready.sort_unstable_by(|left, right| right.cmp(left));
        let lanes = ready.into_iter().map(|(_, lane)| lane).collect();
        Some(Self { frontier, state, lanes, others: Vec::new(), lane: 0, is_forced })
    }

    /// The next configuration to try: which connection goes on, and the state then.
    fn next(&mut self, lanes: &[Lane<'_, M>]) -> Option<(u8, M)> {
        loop {
            if let Some(state) = self.others.pop() {
                return Some((self.lane, state));
            }
            self.lane = self.lanes.pop()?;
            let lane = usize::from(self.lane);
            let entry = lanes[lane][self.frontier[lane] as usize];
            let fits = |reply| entry.reply.as_ref().is_none_or(|seen| *seen == reply);
            let outcomes = self.state.outcomes(&entry.op).into_iter();
            self.others.extend(outcomes.filter_map(|(state, reply)| fits(reply).then_some(state)));
        }
    }
}

/// Shows why a history is refused: the shortest beginning that cannot have happened, without reads that do not matter.
///
/// It searches again for each read. Cost: some hundred times that of [`check`].
pub fn explain<M: Model>(entries: &[&Entry<M::Op>]) -> String
where
    M::Op: Display,
{
    let mut ends: Vec<Nanos> = entries.iter().map(|entry| entry.end).filter(|&end| end != OPEN).collect();
    ends.sort_unstable();
    // What is refused stays refused when more follows, so the shortest refused beginning is found by halves.
    let is_refused = |kept: &[Entry<M::Op>]| matches!(search::<M>(&refs(kept)), Search::Failed(_));
    let first = ends.partition_point(|&end| !is_refused(&until(entries, end)));
    let end = ends.get(first).or(ends.last()).copied().unwrap_or(OPEN);
    let mut kept = until(entries, end);
    // A history that is refused without a read is a simpler story. Writes stay: without them others' answers are wrong.
    for at in (0..kept.len()).rev() {
        let entry = &kept[at];
        if entry.end != end && entry.reply.as_ref().is_some_and(|reply| M::is_read(&entry.op, Some(reply))) {
            let removed = kept.remove(at);
            if !is_refused(&kept) {
                kept.insert(at, removed);
            }
        }
    }
    let mut text = String::new();
    let Search::Failed(deepest) = search::<M>(&refs(&kept)) else {
        return "refused as a whole, but no part of it was".into();
    };
    describe(&mut text, &refs(&kept), &deepest);
    text
}

fn describe<M: Model>(text: &mut String, kept: &[&Entry<M::Op>], deepest: &Deepest<M>)
where
    M::Op: Display,
{
    let mut shown: Vec<&&Entry<M::Op>> = kept.iter().collect();
    // The last to end is the one that does not fit.
    shown.sort_by_key(|entry| (entry.end, entry.call));
    let open = shown.iter().position(|entry| entry.is_open()).unwrap_or(shown.len());
    let from = open.saturating_sub(SHOWN);
    if from > 0 {
        let _ = writeln!(text, "  ({from} operations before)");
    }
    for entry in &shown[from..open] {
        let _ = writeln!(text, "  {entry}");
    }
    for entry in shown[open..].iter().take(SHOWN) {
        let _ = writeln!(text, "  {entry}");
    }
    let _ = writeln!(
        text,
        "  {} of them can be put in order, which leads to {:?}; then none of these can follow:",
        deepest.len, deepest.state
    );
    for (lane, &at) in lanes::<M>(kept).iter().zip(&deepest.frontier) {
        if let Some(entry) = lane.get(at as usize) {
            let wanted: Vec<String> =
                deepest.state.outcomes(&entry.op).iter().map(|(_, reply)| reply.to_string()).collect();
            let _ = writeln!(text, "  {entry}   (would be {})", wanted.join(" or "));
        }
    }
}

/// The history as it was at this moment: what had not ended is open.
fn until<Op: Clone>(entries: &[&Entry<Op>], end: Nanos) -> Vec<Entry<Op>> {
    let cut = |entry: &&&Entry<Op>| {
        let mut entry = (**entry).clone();
        if entry.end > end {
            entry.end = OPEN;
            entry.reply = None;
        }
        entry
    };
    entries.iter().filter(|entry| entry.call <= end).map(|entry| cut(&entry)).collect()
}

fn refs<Op>(entries: &[Entry<Op>]) -> Vec<&Entry<Op>> {
    entries.iter().collect()
}

impl Verdict {
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable(_))
    }
}

impl<M: Debug> Debug for Deepest<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in order: {:?}", self.len, self.state)
    }
}
