//! Lists and sorted sets as queues: each element has a name of its own.

use std::time::Duration;

use crate::link::{Answer, Life};
use crate::record::{LISTS, Log, Perhaps, QUEUES};
use crate::stage::{Phase, Stage};
use crate::support::Value;

/// Elements before which a life that may vanish pushes with a marker only: no way of pushing needs more requests.
const CAREFUL: u32 = 60;

/// Makes elements and pushes them in every way there is.
pub fn produce(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut producer = Producer { log: Log { who, ..Log::default() }, made: 0 };
    while stage.phase() == Phase::Run {
        let mut life = Life::begin(stage, random, Phase::Settle);
        while life.lives() && stage.phase() == Phase::Run {
            producer.push(&mut life);
            pause(random, 3000);
        }
        producer.log.deaths += 1;
    }
    producer.log
}

struct Producer {
    log: Log,
    made: usize,
}

impl Producer {
    fn push(&mut self, life: &mut Life<'_>) {
        let queue = life.random.usize(..QUEUES.len());
        let count = match life.random.u8(..10) {
            0 => life.random.usize(10..40),
            1 | 2 => life.random.usize(2..6),
            _ => 1,
        };
        let elements = self.make(count);
        let way = if life.may_vanish_within(CAREFUL) { u8::MAX } else { life.random.u8(..14) };
        self.log.calls += 1;
        match way {
            0..=4 => {
                let request = add(life, queue, QUEUES[queue], &elements);
                if life.call(&request).succeeded() {
                    self.pushed(queue, elements);
                }
            }
            5 => self.push_to_two(life, queue, elements),
            6 | 7 => self.push_by_moving(life, queue, elements),
            8..=10 => self.push_by_renaming(life, queue, elements, way),
            11 if queue < LISTS => self.push_by_sorting(life, queue, elements),
            12 | 13 => self.push_by_restoring(life, queue, elements),
            _ => self.push_with_marker(life, queue, elements),
        }
    }

    fn make(&mut self, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| {
                self.made += 1;
                format!("{}.{}", self.log.who, self.made)
            })
            .collect()
    }

    fn pushed(&mut self, queue: usize, elements: Vec<String>) {
        self.log.pushed.extend(elements.into_iter().map(|element| (queue, element)));
    }

    /// In a transaction: some here, some there.
    fn push_to_two(&mut self, life: &mut Life<'_>, queue: usize, mut elements: Vec<String>) {
        let other = life.random.usize(..QUEUES.len());
        let rest = elements.split_off(elements.len() / 2);
        let mut requests = vec![add(life, other, QUEUES[other], &rest)];
        if !elements.is_empty() {
            requests.insert(0, add(life, queue, QUEUES[queue], &elements));
        }
        if transact(life, &requests).succeeded() {
            self.pushed(queue, elements);
            self.pushed(other, rest);
        }
    }

    /// With a sign that it was done, for who vanishes.
    fn push_with_marker(&mut self, life: &mut Life<'_>, queue: usize, elements: Vec<String>) {
        let marker = format!("marker:{}", elements[0]);
        let requests = [add(life, queue, QUEUES[queue], &elements), words(&["SET", &marker, "1"])];
        match transact(life, &requests) {
            Answer::Unknown => {
                let elements = elements.into_iter().map(|element| (queue, element)).collect();
                self.log.perhaps_pushed.push(Perhaps { marker, elements });
            }
            Answer::Reply(_) => self.pushed(queue, elements),
            Answer::Nothing => {}
        }
    }

    /// Puts elements somewhere else first. What stays there is found in the end.
    fn stage(&mut self, life: &mut Life<'_>, queue: usize, elements: &[String]) -> Option<String> {
        let key = format!("stage:{queue}:{}", elements[0]);
        let request = if queue < LISTS { push("RPUSH", &key, elements) } else { scored(life, &key, elements) };
        life.call(&request).succeeded().then_some(key)
    }

    fn push_by_moving(&mut self, life: &mut Life<'_>, queue: usize, elements: Vec<String>) {
        let Some(key) = self.stage(life, queue, &elements) else { return };
        let count = elements.len();
        self.pushed(queue, elements);
        if queue < LISTS {
            move_all(life, &key, queue, count);
        } else {
            life.call(&["RENAMENX", &key, QUEUES[queue]]);
        }
    }

    /// RENAMENX, or RENAME when nobody has come in between.
    fn push_by_renaming(&mut self, life: &mut Life<'_>, queue: usize, elements: Vec<String>, way: u8) {
        let Some(key) = self.stage(life, queue, &elements) else { return };
        let count = elements.len();
        self.pushed(queue, elements);
        let is_done = if way == 8 {
            matches!(life.call(&["RENAMENX", &key, QUEUES[queue]]), Answer::Reply(Value::Int(1)))
        } else {
            self.replace(life, queue, &[words(&["RENAME", &key, QUEUES[queue]])])
        };
        if !is_done && queue < LISTS {
            move_all(life, &key, queue, count);
        }
    }

    fn push_by_sorting(&mut self, life: &mut Life<'_>, queue: usize, elements: Vec<String>) {
        let Some(key) = self.stage(life, queue, &elements) else { return };
        let count = elements.len();
        self.pushed(queue, elements);
        let requests = [words(&["SORT", &key, "BY", "nosort", "STORE", QUEUES[queue]]), words(&["DEL", &key])];
        if !self.replace(life, queue, &requests) {
            move_all(life, &key, queue, count);
        }
    }

    fn push_by_restoring(&mut self, life: &mut Life<'_>, queue: usize, elements: Vec<String>) {
        let Some(key) = self.stage(life, queue, &elements) else { return };
        let Answer::Reply(Value::Bulk(dump)) = life.call(&["DUMP", &key]) else {
            return self.pushed(queue, elements);
        };
        if !life.call(&["DEL", &key]).succeeded() {
            return self.pushed(queue, elements);
        }
        // From here on nobody but this worker has them.
        let restored = life.call(&[b"RESTORE".as_slice(), QUEUES[queue].as_bytes(), b"0", &dump]);
        match restored.reply() {
            Some(Value::Error(_)) => {
                let request = add(life, queue, QUEUES[queue], &elements);
                if life.call(&request).succeeded() {
                    self.pushed(queue, elements);
                }
            }
            Some(_) => self.pushed(queue, elements),
            None => {}
        }
    }

    /// Runs what would replace a queue if it is not there; whether it was done.
    fn replace(&mut self, life: &mut Life<'_>, queue: usize, requests: &[Vec<String>]) -> bool {
        life.call(&["WATCH", QUEUES[queue]]);
        match life.call(&["EXISTS", QUEUES[queue]]) {
            Answer::Reply(Value::Int(0)) => transact(life, requests).succeeded(),
            _ => {
                life.call(&["UNWATCH"]);
                false
            }
        }
    }
}

fn move_all(life: &mut Life<'_>, key: &str, queue: usize, count: usize) {
    for _ in 0..count {
        life.call(&["LMOVE", key, QUEUES[queue], "LEFT", "RIGHT"]);
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn transact(life: &mut Life<'_>, requests: &[Vec<String>]) -> Answer {
    let requests: Vec<Vec<&str>> =
        requests.iter().map(|request| request.iter().map(String::as_str).collect()).collect();
    let requests: Vec<&[&str]> = requests.iter().map(Vec::as_slice).collect();
    life.transact(&requests)
}

fn push(command: &str, key: &str, elements: &[String]) -> Vec<String> {
    let mut request = words(&[command, key]);
    request.extend_from_slice(elements);
    request
}

fn scored(life: &mut Life<'_>, key: &str, elements: &[String]) -> Vec<String> {
    let mut request = words(&["ZADD", key]);
    for element in elements {
        request.push(life.random.u32(..1000).to_string());
        request.push(element.clone());
    }
    request
}

/// A request that adds elements to a queue, or to something like it.
fn add(life: &mut Life<'_>, queue: usize, key: &str, elements: &[String]) -> Vec<String> {
    match queue {
        LISTS.. => scored(life, key, elements),
        0 => push("RPUSH", key, elements),
        _ => push(if life.random.bool() { "RPUSH" } else { "LPUSH" }, key, elements),
    }
}

/// Takes elements in every way there is.
pub fn consume(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::End);
        while life.lives() && stage.phase() < Phase::End {
            take(&mut life, &mut log);
            if random.u8(..4) == 0 {
                pause(random, 1000);
            }
        }
        log.deaths += 1;
    }
    log
}

fn take(life: &mut Life<'_>, log: &mut Log) {
    // Who vanishes takes no more than one.
    let count = if life.will_vanish() { 1 } else { life.random.usize(1..12) };
    let timeout = timeout(life);
    let (any, other) = (life.random.usize(..LISTS), life.random.usize(..LISTS));
    let (sorted, other_sorted) = (QUEUES[LISTS + life.random.usize(..2)], QUEUES[LISTS + life.random.usize(..2)]);
    // From the left of the first list only.
    let is_left = life.random.bool() || any == 0 || other == 0;
    let (pop, side) = if is_left { ("BLPOP", "LEFT") } else { ("BRPOP", "RIGHT") };
    let (any, other) = (QUEUES[any], QUEUES[other]);
    let end = if life.random.bool() { "MIN" } else { "MAX" };
    let number = count.to_string();
    let way = life.random.u8(..16);
    let answer = match way {
        0..=3 => life.call(&[pop, any, other, &timeout]),
        4..=6 => life.call(&["BLMPOP", &timeout, "2", any, other, side, "COUNT", &number]),
        7 => life.call(&["LMPOP", "2", any, other, side, "COUNT", &number]),
        8 => life.transact(&[&[pop, any, other, "0"]]),
        9 => life.call(&["LPOP", any, &number]),
        10 | 11 => life.call(&["BZPOPMIN", sorted, other_sorted, &timeout]),
        12 => life.call(&["BZPOPMAX", sorted, &timeout]),
        13 | 14 => life.call(&["BZMPOP", &timeout, "2", sorted, other_sorted, end, "COUNT", &number]),
        _ => life.call(&["ZPOPMIN", sorted, &number]),
    };
    log.calls += 1;
    match answer {
        Answer::Unknown => log.vanished_pops += 1,
        Answer::Nothing | Answer::Reply(Value::Nil) => {}
        Answer::Reply(Value::Error(text)) if text.starts_with("UNBLOCKED") => log.unblocked += 1,
        Answer::Reply(Value::Error(text)) => panic!("way {way}: {text}"),
        Answer::Reply(value) => {
            let (key, elements) = match way {
                8 => elements_of(&value.items()[0]),
                9 => (any.to_owned(), value.items().iter().map(Value::text).collect()),
                15 => (sorted.to_owned(), value.items().chunks(2).map(|pair| pair[0].text()).collect()),
                _ => elements_of(&value),
            };
            if elements.is_empty() {
                return;
            }
            let queue = QUEUES.iter().position(|&queue| queue == key).expect("a key that was asked for");
            log.pops[queue] += 1;
            log.taken.extend(elements.into_iter().map(|element| (queue, element)));
        }
    }
}

/// The key and the elements of a reply of BLPOP (key, element), BZPOPMIN (key, element, score), or one of many.
fn elements_of(value: &Value) -> (String, Vec<String>) {
    if *value == Value::Nil {
        return (String::new(), Vec::new());
    }
    let items = value.items();
    let elements = match &items[1] {
        Value::Array(many) => many
            .iter()
            .map(|one| match one {
                Value::Array(pair) => pair[0].text(),
                element => element.text(),
            })
            .collect(),
        element => vec![element.text()],
    };
    (items[0].text(), elements)
}

/// Takes elements into a list of its own first, and out of that when the work is done.
pub fn consume_reliably(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut worker = Reliable { log: Log { who, ..Log::default() }, own: format!("own:{who}"), held: Held::Nothing };
    let mut id = 0;
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::End);
        if matches!(worker.held, Held::Perhaps(_) | Held::PerhapsElement(_)) {
            // What the life before has asked for is done, or never will be.
            stage.over(id);
        }
        id = life.id();
        worker.recover(&mut life);
        while life.lives() && stage.phase() < Phase::End {
            worker.work(&mut life);
        }
        worker.log.deaths += 1;
    }
    stage.over(id);
    while worker.held != Held::Nothing {
        worker.recover(&mut Life::immortal(stage, random));
    }
    worker.log
}

/// What is in a worker's own list, as it knows.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Nothing,
    /// Nothing, or an element that it has not heard of, from this queue.
    Perhaps(usize),
    Element(String),
    /// The element, or nothing.
    PerhapsElement(String),
}

struct Reliable {
    log: Log,
    own: String,
    held: Held,
}

impl Reliable {
    /// Looks at what the life before has left.
    fn recover(&mut self, life: &mut Life<'_>) {
        let Some(value) = life.call(&["LRANGE", &self.own, "0", "-1"]).reply() else { return };
        let mut found: Vec<String> = value.items().iter().map(Value::text).collect();
        let is_right = match (&self.held, found.as_slice()) {
            (Held::Nothing | Held::Perhaps(_) | Held::PerhapsElement(_), []) => true,
            (Held::Perhaps(queue), [element]) => {
                self.log.pops[*queue] += 1;
                self.log.taken.push((*queue, element.clone()));
                true
            }
            (Held::Element(held) | Held::PerhapsElement(held), [element]) => held == element,
            _ => false,
        };
        if !is_right {
            panic!("list {} was to hold {:?} and holds {found:?}", self.own, self.held);
        }
        self.held = found.pop().map_or(Held::Nothing, Held::Element);
        self.finish(life);
    }

    fn work(&mut self, life: &mut Life<'_>) {
        let queue = life.random.usize(..LISTS);
        let timeout = timeout(life);
        let from = if queue == 0 || life.random.bool() { "LEFT" } else { "RIGHT" };
        let answer = match life.random.u8(..4) {
            0 if queue != 0 => life.call(&["BRPOPLPUSH", QUEUES[queue], &self.own, &timeout]),
            1 => life.call(&["LMOVE", QUEUES[queue], &self.own, from, "RIGHT"]),
            _ => life.call(&["BLMOVE", QUEUES[queue], &self.own, from, "LEFT", &timeout]),
        };
        self.log.calls += 1;
        match answer {
            Answer::Unknown => self.held = Held::Perhaps(queue),
            Answer::Reply(Value::Bulk(element)) => {
                let element = String::from_utf8(element).expect("elements are text");
                self.log.pops[queue] += 1;
                self.log.taken.push((queue, element.clone()));
                self.held = Held::Element(element);
                self.finish(life);
            }
            Answer::Reply(Value::Error(text)) if text.starts_with("UNBLOCKED") => self.log.unblocked += 1,
            Answer::Reply(Value::Nil) | Answer::Nothing => {}
            Answer::Reply(other) => panic!("{other:?}"),
        }
    }

    /// Removes the element that is done.
    fn finish(&mut self, life: &mut Life<'_>) {
        let Held::Element(element) = self.held.clone() else { return };
        let answer = if life.random.bool() {
            life.call(&["LREM", &self.own, "1", &element])
        } else {
            life.call(&["LPOP", &self.own])
        };
        match answer {
            Answer::Unknown => self.held = Held::PerhapsElement(element),
            Answer::Nothing => {}
            Answer::Reply(value) => {
                let is_removed = value == Value::Int(1) || value == Value::Bulk(element.clone().into_bytes());
                assert!(is_removed, "{element} was in {} and is not: {value:?}", self.own);
                self.held = Held::Nothing;
            }
        }
    }
}

/// For ever, or not.
fn timeout(life: &mut Life<'_>) -> String {
    match life.random.u8(..4) {
        0 => "0".into(),
        _ => format!("0.{:03}", life.random.u32(1..150)),
    }
}

/// A rest of up to so many microseconds.
pub fn pause(random: &mut fastrand::Rng, micros: u64) {
    std::thread::sleep(Duration::from_micros(random.u64(..micros)));
}
