//! The sum of a round: everything that was made against everything that was seen.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::record::{COUNTERS, Fate, Feed, LISTS, Log, Published, QUEUES, STREAMS, Subscription};
use crate::stage::Facts;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Lost,
    Twice,
    OutOfOrder,
    Invented,
    /// A number of the server does not agree with what was seen.
    Miscounted,
    /// A copy that is not what the server has, and nobody said so.
    Stale,
    /// Something is still there when everybody has gone.
    LeftBehind,
    /// A worker could not go on.
    Broken,
}

/// Something that is wrong.
#[derive(Clone)]
pub struct Finding {
    pub kind: Kind,
    pub text: String,
}

impl Finding {
    pub fn new(kind: Kind, text: String) -> Self {
        Self { kind, text }
    }
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// The message of a panic.
pub fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// How many findings there are of each kind, and some of them.
pub fn report(findings: &[Finding]) -> String {
    const SHOWN: usize = 8;
    let mut counts: HashMap<Kind, usize> = HashMap::new();
    let mut text = String::new();
    for finding in findings {
        let count = counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= SHOWN {
            text += &format!("\n{finding:?}");
        }
    }
    format!("{counts:?}{text}")
}

/// All that is wrong.
pub fn check(logs: &[Log], facts: &Facts) -> Vec<Finding> {
    let mut books = Books { logs, facts, findings: Vec::new() };
    books.elements();
    books.first_in_first_out();
    books.entries();
    books.group();
    books.messages();
    books.order_of_messages();
    books.increments();
    books.copies();
    books.nothing_is_left();
    books.findings
}

struct Books<'a> {
    logs: &'a [Log],
    facts: &'a Facts,
    findings: Vec<Finding>,
}

impl Books<'_> {
    fn find(&mut self, kind: Kind, text: String) {
        self.findings.push(Finding::new(kind, text));
    }

    /// Each element was taken once, or is still there. One that is missing was taken by a client that vanished: the
    /// server's events tell how many elements such clients took from each queue, and exactly so many may be missing.
    fn elements(&mut self) {
        let (logs, facts) = (self.logs, self.facts);
        let mut pushed: HashMap<&str, usize> = HashMap::new();
        let certain = logs.iter().flat_map(|log| &log.pushed);
        let markers: HashSet<&str> = facts.markers.iter().map(String::as_str).collect();
        let marked = logs.iter().flat_map(|log| &log.perhaps_pushed);
        let marked = marked.filter(|it| markers.contains(it.marker.as_str())).flat_map(|it| &it.elements);
        for (queue, element) in certain.chain(marked) {
            assert!(pushed.insert(element, *queue).is_none(), "{element} was made twice");
        }
        let mut found: HashMap<&str, Vec<String>> = HashMap::new();
        for log in logs {
            for (queue, element) in &log.taken {
                found.entry(element).or_default().push(format!("{} from {}", log.who, QUEUES[*queue]));
            }
        }
        for (_, element) in &facts.left {
            found.entry(element).or_default().push("left".into());
        }
        for (element, places) in &found {
            if !pushed.contains_key(element) {
                self.find(Kind::Invented, format!("element {element} was never pushed, and was found: {places:?}"));
            }
            if places.len() > 1 {
                self.find(Kind::Twice, format!("element {element}: {places:?}"));
            }
        }
        let mut missing: [Vec<&str>; QUEUES.len()] = Default::default();
        for (element, queue) in &pushed {
            if !found.contains_key(element) {
                missing[*queue].push(element);
            }
        }
        let mut vanished = 0;
        for (queue, missing) in missing.iter().enumerate() {
            let names: &[&str] = if queue < LISTS { &["lpop", "rpop"] } else { &["zpopmin", "zpopmax"] };
            let events: u64 = names.iter().map(|name| event(facts, QUEUES[queue], name)).sum();
            let known: u64 = logs.iter().map(|log| log.pops[queue]).sum();
            let name = QUEUES[queue];
            let Some(unknown) = events.checked_sub(known) else {
                self.find(Kind::Miscounted, format!("{events} events of {known} commands that took from {name}"));
                continue;
            };
            vanished += unknown;
            if missing.len() as u64 > unknown {
                let text = format!("of {name}, {missing:?}; clients that vanished took {unknown} of them");
                self.find(Kind::Lost, text);
            } else if (missing.len() as u64) < unknown {
                let text = format!("{} are missing in {name}, and {unknown} were taken unseen", missing.len());
                self.find(Kind::Miscounted, text);
            }
        }
        let most: u64 = logs.iter().map(|log| log.vanished_pops).sum();
        if vanished > most {
            self.find(Kind::Lost, format!("{vanished} elements were taken unseen by {most} clients that vanished"));
        }
    }

    /// In the first list nobody gets an older element of a producer behind a younger one.
    fn first_in_first_out(&mut self) {
        // What a client that vanished has asked for may be done after what it asked for in its next life.
        let perhaps = self.logs.iter().flat_map(|log| &log.perhaps_pushed).flat_map(|it| &it.elements);
        let perhaps: HashSet<&str> = perhaps.map(|(_, element)| element.as_str()).collect();
        for log in self.logs {
            let mut last: HashMap<usize, usize> = HashMap::new();
            let elements =
                log.taken.iter().filter(|(queue, element)| *queue == 0 && !perhaps.contains(element.as_str()));
            for (_, element) in elements {
                let (who, number) = number(element);
                let before = last.insert(who, number).unwrap_or(0);
                if before >= number {
                    let text = format!("{} got {who}.{number} behind {who}.{before} from {}", log.who, QUEUES[0]);
                    self.find(Kind::OutOfOrder, text);
                }
            }
        }
    }

    /// A stream has what was added, and each reader saw all of it in order.
    fn entries(&mut self) {
        let (logs, facts) = (self.logs, self.facts);
        for (stream, entries) in facts.streams.iter().enumerate() {
            let mut names: HashMap<&str, &str> = HashMap::new();
            for (id, name) in entries {
                if names.insert(name, id).is_some() {
                    self.find(Kind::Twice, format!("{name} in {}", STREAMS[stream]));
                }
            }
            for (_, id, name) in logs.iter().flat_map(|log| &log.added).filter(|it| it.0 == stream) {
                match (names.remove(name.as_str()), id) {
                    (Some(found), Some(id)) if found != id => {
                        self.find(Kind::Invented, format!("{name} was added as {id} and is {found}"));
                    }
                    (None, Some(id)) => self.find(Kind::Lost, format!("{name}, {id} of {}", STREAMS[stream])),
                    _ => {}
                }
            }
            if !names.is_empty() {
                self.find(Kind::Invented, format!("{names:?} in {}", STREAMS[stream]));
            }
        }
        for log in logs {
            for reading in &log.readings {
                let all = &facts.streams[reading.stream];
                let begin = match reading.entries.first() {
                    Some((first, _)) if !reading.from_the_start => all.iter().position(|(id, _)| id == first),
                    None if !reading.from_the_start => continue,
                    _ => Some(0),
                };
                self.compare(log.who, &all[begin.unwrap_or(0)..], &reading.entries);
            }
        }
    }

    /// What a reader saw against what there was to see.
    fn compare(&mut self, who: usize, all: &[(String, String)], seen: &[(String, String)]) {
        if all == seen {
            return;
        }
        let set: HashSet<_> = seen.iter().collect();
        let truth: HashSet<_> = all.iter().collect();
        let missing: Vec<_> = all.iter().filter(|it| !set.contains(it)).collect();
        let extra: Vec<_> = seen.iter().filter(|it| !truth.contains(it)).collect();
        if !missing.is_empty() {
            self.find(Kind::Lost, format!("reader {who} did not see {missing:?}"));
        }
        if !extra.is_empty() {
            self.find(Kind::Invented, format!("reader {who} saw {extra:?}"));
        }
        if set.len() < seen.len() {
            self.find(Kind::Twice, format!("reader {who} saw {} entries, {} of them new", seen.len(), set.len()));
        }
        if missing.is_empty() && extra.is_empty() && set.len() == seen.len() {
            self.find(Kind::OutOfOrder, format!("reader {who} saw {seen:?}"));
        }
    }

    /// Each entry came to one consumer of the group as a new one, and was acknowledged once.
    fn group(&mut self) {
        let (logs, facts) = (self.logs, self.facts);
        let vanished: HashSet<&str> = logs.iter().flat_map(|log| &log.vanished_consumers).map(String::as_str).collect();
        let mut fresh: HashMap<(usize, &str), u64> = HashMap::new();
        for (stream, id) in logs.iter().flat_map(|log| &log.fresh) {
            *fresh.entry((*stream, id)).or_default() += 1;
        }
        let mut owners: HashMap<(usize, &str), Vec<&str>> = HashMap::new();
        for (stream, id, owner) in logs.iter().flat_map(|log| &log.taken_over) {
            owners.entry((*stream, id)).or_default().push(owner);
        }
        let mut acks: HashMap<(usize, &str), Vec<Option<i64>>> = HashMap::new();
        for (stream, id, reply) in logs.iter().flat_map(|log| &log.acks) {
            acks.entry((*stream, id)).or_default().push(*reply);
        }
        for (stream, entries) in facts.streams.iter().enumerate() {
            let name = STREAMS[stream];
            for (id, _) in entries {
                let key = (stream, id.as_str());
                let (times, owners) = (fresh.remove(&key).unwrap_or(0), owners.get(&key));
                if times > 1 {
                    self.find(Kind::Twice, format!("{id} of {name} came {times} times as a new entry"));
                }
                let is_explained = owners.is_some_and(|owners| owners.iter().any(|owner| vanished.contains(owner)));
                if times == 0 && !is_explained {
                    self.find(Kind::Lost, format!("{id} of {name} came to nobody; owners {owners:?}"));
                }
                let replies = acks.get(&key).map(Vec::as_slice).unwrap_or_default();
                let done: i64 = replies.iter().flatten().sum();
                let is_unknown = replies.contains(&None);
                if done > 1 {
                    self.find(Kind::Twice, format!("{id} of {name} was acknowledged {done} times"));
                }
                if done < 1 && !is_unknown {
                    self.find(Kind::Lost, format!("{id} of {name} was not acknowledged: {replies:?}"));
                }
            }
            if facts.pending[stream] != 0 {
                self.find(Kind::LeftBehind, format!("{} entries of {name} are pending", facts.pending[stream]));
            }
        }
        if !fresh.is_empty() {
            self.find(Kind::Invented, format!("entries of no stream: {fresh:?}"));
        }
    }

    /// Who is subscribed gets everything once, and PUBLISH tells how many got it.
    fn messages(&mut self) {
        let logs = self.logs;
        let published: HashMap<usize, &[Published]> =
            logs.iter().map(|log| (log.who, log.published.as_slice())).collect();
        let mut seen: HashMap<(usize, usize), i64> = HashMap::new();
        let subscriptions: Vec<&Subscription> = logs.iter().flat_map(|log| &log.subscriptions).collect();
        let got: Vec<HashSet<(usize, usize)>> =
            subscriptions.iter().map(|subscription| subscription.got.iter().copied().collect()).collect();
        for (subscription, got) in subscriptions.iter().zip(&got) {
            self.subscription(subscription, got, &published);
            if subscription.feed != Feed::Monitor {
                got.iter().for_each(|&message| *seen.entry(message).or_default() += 1);
            }
        }
        for (&who, messages) in &published {
            for (number, message) in messages.iter().enumerate() {
                let Fate::Done(count) = message.fate else { continue };
                let seen = seen.get(&(who, number)).copied().unwrap_or(0);
                // Those who died may have been counted, and have got it too late to see it.
                let dead = subscriptions.iter().zip(&got).filter(|(it, got)| {
                    it.feed != Feed::Monitor
                        && it.until.is_none()
                        && it.matches(message)
                        && message.start < it.over
                        && message.end > it.asked
                        && !got.contains(&(who, number))
                });
                let dead = dead.count() as i64;
                if count < seen {
                    self.find(Kind::Miscounted, format!("{seen} got message {who}.{number}, of {count}"));
                } else if count > seen + dead {
                    let text = format!("message {who}.{number} went to {count}; {seen} got it, {dead} died");
                    self.find(Kind::Lost, text);
                }
            }
        }
    }

    fn subscription(
        &mut self,
        subscription: &Subscription,
        got: &HashSet<(usize, usize)>,
        published: &HashMap<usize, &[Published]>,
    ) {
        let what = format!("{:?} {}", subscription.feed, subscription.name);
        if got.len() < subscription.got.len() {
            self.find(Kind::Twice, format!("{what} got {} messages, {} new", subscription.got.len(), got.len()));
        }
        let mut ends: HashMap<usize, (usize, usize)> = HashMap::new();
        // When the last message began that came; who died has seen everything that was over by then.
        let mut last = 0;
        for &(who, number) in &subscription.got {
            let message = published.get(&who).and_then(|messages| messages.get(number));
            let Some(message) = message.filter(|it| subscription.matches(it) && it.fate != Fate::NotDone) else {
                self.find(Kind::Invented, format!("{what} got {who}.{number}"));
                continue;
            };
            if message.start > subscription.over || message.end < subscription.asked {
                self.find(Kind::Invented, format!("{what} got {who}.{number} at the wrong time"));
            }
            last = last.max(message.start);
            if message.fate == Fate::Unknown {
                continue;
            }
            let ends = ends.entry(who).or_insert((number, number));
            if ends.1 > number {
                self.find(Kind::OutOfOrder, format!("{what} got {who}.{number} behind {who}.{}", ends.1));
            }
            ends.1 = ends.1.max(number);
        }
        let until = subscription.until.unwrap_or(last);
        for (who, messages) in published {
            let is_between = |number: usize| ends.get(who).is_some_and(|ends| ends.0 < number && number < ends.1);
            let missing: Vec<usize> = (0..messages.len())
                .filter(|&number| {
                    let message = &messages[number];
                    let is_due = is_between(number)
                        || subscription.confirmed.is_some_and(|confirmed| message.start > confirmed)
                            && message.end < until;
                    is_due
                        && matches!(message.fate, Fate::Done(_))
                        && subscription.matches(message)
                        && !got.contains(&(*who, number))
                })
                .collect();
            if !missing.is_empty() {
                self.find(
                    Kind::Lost,
                    format!("{what} did not get {missing:?} of {who}; ended {:?}", subscription.until),
                );
            }
        }
    }

    fn order_of_messages(&mut self) {
        let published = self.logs.iter().flat_map(|log| log.published.iter().enumerate().map(move |it| (log.who, it)));
        let unknown = published.filter(|(_, (_, message))| message.fate == Fate::Unknown);
        let unknown: HashSet<(usize, usize)> = unknown.map(|(who, (number, _))| (who, number)).collect();
        for heard in self.logs.iter().flat_map(|log| &log.heard) {
            let mut last: HashMap<usize, usize> = HashMap::new();
            for &(who, number) in heard.iter().filter(|message| !unknown.contains(message)) {
                let before = last.insert(who, number).unwrap_or(0);
                if before > number {
                    self.find(Kind::OutOfOrder, format!("message {who}.{number} behind {who}.{before}"));
                }
            }
        }
    }

    /// As many events as increments.
    fn increments(&mut self) {
        let (logs, facts) = (self.logs, self.facts);
        for (counter, &value) in facts.counters.iter().enumerate() {
            let name = COUNTERS[counter];
            let made = logs.iter().flat_map(|log| &log.increments).filter(|it| it.counter == counter);
            let (certain, unknown): (Vec<_>, Vec<_>) = made.partition(|it| it.is_certain);
            let (least, most) = (certain.len() as u64, (certain.len() + unknown.len()) as u64);
            if value < least || value > most {
                self.find(Kind::Miscounted, format!("{name} is {value} after {least} to {most} increments"));
            }
            let events = event(facts, name, "incrby");
            if events != value {
                let kind = if events < value { Kind::Lost } else { Kind::Twice };
                self.find(kind, format!("{events} events of {value} increments of {name}"));
            }
        }
        for heard in logs.iter().flat_map(|log| &log.increments_heard) {
            let made = || logs.iter().flat_map(|log| &log.increments).filter(|it| it.counter == heard.counter);
            let least = heard.until.map_or(0, |until| {
                made().filter(|it| it.is_certain && it.start > heard.confirmed && it.end < until).count() as u64
            });
            let most = made().filter(|it| it.start < heard.over && it.end > heard.asked).count() as u64;
            if heard.count < least {
                self.find(Kind::Lost, format!("{} events of {least} increments at least: {heard:?}", heard.count));
            } else if heard.count > most {
                self.find(Kind::Twice, format!("{} events of {most} increments at most: {heard:?}", heard.count));
            }
        }
    }

    fn copies(&mut self) {
        for log in self.logs {
            for (number, copy, value) in &log.stale {
                self.find(Kind::Stale, format!("{} keeps {copy} of key {number}, which is {value}", log.who));
            }
            for (number, copy) in &log.copies {
                let value = self.facts.cached.get(number);
                if value != Some(copy) {
                    self.find(Kind::Stale, format!("{} keeps {copy} of key {number}, which is {value:?}", log.who));
                }
            }
        }
    }

    fn nothing_is_left(&mut self) {
        let (seen, made): (u64, u64) =
            self.logs.iter().fold((0, 0), |sum, log| (sum.0 + log.unblocked, sum.1 + log.unblocks));
        if seen > made {
            self.find(Kind::Invented, format!("{seen} were unblocked, {made} by somebody"));
        }
        const NONE: [&str; 6] = [
            "blocked_clients",
            "pubsub_channels",
            "pubsub_patterns",
            "pubsubshard_channels",
            "tracking_clients",
            "tracking_total_items",
        ];
        for field in NONE {
            let value = self.facts.info.get(field).map_or("0", String::as_str);
            if value != "0" {
                self.find(Kind::LeftBehind, format!("{field}:{value}"));
            }
        }
        let connected = self.facts.info.get("connected_clients").map_or("1", String::as_str);
        if connected != "1" {
            self.find(Kind::LeftBehind, format!("connected_clients:{connected}"));
        }
    }
}

fn event(facts: &Facts, key: &str, name: &str) -> u64 {
    facts.events.get(&(key.to_owned(), name.to_owned())).copied().unwrap_or(0)
}

/// Producer and number of an element.
fn number(element: &str) -> (usize, usize) {
    let number = |text: &str| text.parse().expect("elements are numbered");
    let (who, count) = element.split_once('.').expect("elements have a producer");
    (number(who), number(count))
}
