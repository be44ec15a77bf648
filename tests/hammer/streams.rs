//! Streams: everybody who reads sees every entry, and the consumers of a group share them.

use crate::link::{Answer, Life};
use crate::pools::pause;
use crate::record::{Log, Reading, STREAMS};
use crate::stage::{Phase, Stage};
use crate::support::Value;

pub const GROUP: &str = "g";
/// Milliseconds after which others take over what a consumer has not acknowledged.
const ABANDONED: &str = "150";

pub fn add(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    let mut made = 0;
    while stage.phase() == Phase::Run {
        let mut life = Life::begin(stage, random, Phase::Settle);
        while life.lives() && stage.phase() == Phase::Run {
            let stream = life.random.usize(..STREAMS.len());
            let mut names = (0..life.random.usize(1..4)).map(|i| format!("{who}.{}", made + i)).collect::<Vec<_>>();
            made += names.len();
            log.calls += 1;
            let ids = if life.random.u8(..4) == 0 {
                let requests: Vec<[&str; 5]> =
                    names.iter().map(|name| ["XADD", STREAMS[stream], "*", "name", name]).collect();
                let requests: Vec<&[&str]> = requests.iter().map(|request| request.as_slice()).collect();
                life.transact(&requests)
            } else {
                names.truncate(1);
                let answer = life.call(&["XADD", STREAMS[stream], "*", "name", &names[0]]);
                match answer {
                    Answer::Reply(id) => Answer::Reply(Value::Array(vec![id])),
                    other => other,
                }
            };
            match ids {
                Answer::Reply(ids) => {
                    assert_eq!(ids.items().len(), names.len());
                    let ids = ids.items().iter().map(Value::text);
                    log.added.extend(ids.zip(names).map(|(id, name)| (stream, Some(id), name)));
                }
                Answer::Unknown => log.added.extend(names.into_iter().map(|name| (stream, None, name))),
                Answer::Nothing => {}
            }
            pause(random, 8000);
        }
        log.deaths += 1;
    }
    log
}

/// Reads on from where it was, from life to life.
pub fn read(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    let from_the_start = random.bool();
    let first = if from_the_start { "0" } else { "$" };
    let mut last: Vec<String> = STREAMS.iter().map(|_| first.to_owned()).collect();
    log.readings = (0..STREAMS.len()).map(|stream| Reading { stream, from_the_start, entries: Vec::new() }).collect();
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::End);
        while life.lives() && stage.phase() < Phase::End {
            let timeout = if random.u8(..4) == 0 { 0 } else { random.u32(1..150) };
            let count = random.usize(1..20).to_string();
            read_on(&mut life, &mut log, &mut last, &["COUNT", &count, "BLOCK", &timeout.to_string()]);
        }
        log.deaths += 1;
    }
    let mut life = Life::immortal(stage, random);
    if from_the_start || last.iter().all(|last| last != "$") {
        while read_on(&mut life, &mut log, &mut last, &[]) {}
    } else {
        // Where nothing was seen yet there is no place to read on from.
        log.readings.retain(|reading| !reading.entries.is_empty());
        for reading in &mut log.readings {
            let last = &last[reading.stream];
            let rest = life.call(&["XREAD", "STREAMS", STREAMS[reading.stream], last]).reply();
            if let Some(Value::Array(streams)) = rest {
                reading.entries.extend(entries_of(&streams[0].items()[1]));
            }
        }
    }
    log
}

/// Whether there was something.
fn read_on(life: &mut Life<'_>, log: &mut Log, last: &mut [String], options: &[&str]) -> bool {
    let mut request = vec!["XREAD"];
    request.extend_from_slice(options);
    request.push("STREAMS");
    request.extend_from_slice(&STREAMS);
    request.extend(last.iter().map(String::as_str));
    log.calls += 1;
    match life.call(&request) {
        Answer::Reply(Value::Array(streams)) => {
            for stream in &streams {
                let name = stream.items()[0].text();
                let number = STREAMS.iter().position(|&it| it == name).expect("a stream that was asked for");
                let entries = entries_of(&stream.items()[1]);
                last[number].clone_from(&entries.last().expect("never empty").0);
                log.readings[number].entries.extend(entries);
            }
            true
        }
        Answer::Reply(Value::Error(text)) if text.starts_with("UNBLOCKED") => {
            log.unblocked += 1;
            false
        }
        Answer::Reply(Value::Nil) | Answer::Nothing | Answer::Unknown => false,
        Answer::Reply(other) => panic!("{other:?}"),
    }
}

/// IDs and names.
pub fn entries_of(value: &Value) -> Vec<(String, String)> {
    value.items().iter().map(|entry| (entry.items()[0].text(), entry.items()[1].items()[1].text())).collect()
}

/// Consumes as one of a group, under another name in every life.
pub fn consume(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    let mut lives = 0;
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::End);
        lives += 1;
        let name = format!("c{who}.{lives}");
        while life.lives() && stage.phase() < Phase::End {
            if random.u8(..8) == 0 {
                take_over(&mut life, &mut log, &name, ABANDONED);
            } else {
                consume_some(&mut life, &mut log, &name);
            }
        }
        log.deaths += 1;
    }
    log
}

/// Whether there was something.
fn consume_some(life: &mut Life<'_>, log: &mut Log, name: &str) -> bool {
    let count = if life.will_vanish() { 1 } else { life.random.usize(1..10) }.to_string();
    // Whoever is never killed has nobody who would end his wait.
    let is_patient = life.id() != 0 && life.random.u8(..4) == 0;
    let timeout = if is_patient { 0 } else { life.random.u32(1..150) }.to_string();
    let (a, b) = (STREAMS[0], STREAMS[1]);
    let request = ["XREADGROUP", "GROUP", GROUP, name, "COUNT", &count, "BLOCK", &timeout, "STREAMS", a, b, ">", ">"];
    log.calls += 1;
    match life.call(&request) {
        Answer::Reply(Value::Array(streams)) => {
            for stream in &streams {
                let key = stream.items()[0].text();
                let number = STREAMS.iter().position(|&it| it == key).expect("a stream that was asked for");
                let entries = entries_of(&stream.items()[1]);
                log.fresh.extend(entries.iter().map(|(id, _)| (number, id.clone())));
                entries.into_iter().for_each(|(id, _)| acknowledge(life, log, number, id));
            }
            return true;
        }
        Answer::Reply(Value::Error(text)) if text.starts_with("UNBLOCKED") => log.unblocked += 1,
        Answer::Unknown => log.vanished_consumers.push(name.to_owned()),
        Answer::Reply(Value::Nil) | Answer::Nothing => {}
        Answer::Reply(other) => panic!("{other:?}"),
    }
    false
}

fn acknowledge(life: &mut Life<'_>, log: &mut Log, stream: usize, id: String) {
    let reply = match life.call(&["XACK", STREAMS[stream], GROUP, &id]) {
        Answer::Reply(count) => Some(count.int()),
        Answer::Unknown => None,
        Answer::Nothing => return,
    };
    log.acks.push((stream, id, reply));
}

/// Takes over what others have left, and from whom.
pub fn take_over(life: &mut Life<'_>, log: &mut Log, name: &str, idle: &str) -> bool {
    let stream = life.random.usize(..STREAMS.len());
    take_over_from(life, log, name, idle, stream)
}

/// Whether there was something in this stream.
pub fn take_over_from(life: &mut Life<'_>, log: &mut Log, name: &str, idle: &str, stream: usize) -> bool {
    let key = STREAMS[stream];
    // In one step, so that nobody else has them in between.
    let answer = life.transact(&[
        &["XPENDING", key, GROUP, "IDLE", idle, "-", "+", "1000"],
        &["XAUTOCLAIM", key, GROUP, name, idle, "0", "COUNT", "10"],
    ]);
    let value = match answer {
        Answer::Reply(value) => value,
        Answer::Unknown => {
            log.vanished_consumers.push(name.to_owned());
            return false;
        }
        Answer::Nothing => return false,
    };
    let claimed = entries_of(&value.items()[1].items()[1]);
    for (id, _) in &claimed {
        let row = value.items()[0].items().iter().find(|row| row.items()[0].text() == *id);
        let owner = row.map_or_else(|| "nobody".into(), |row| row.items()[1].text());
        log.taken_over.push((stream, id.clone(), owner));
    }
    let any = !claimed.is_empty();
    claimed.into_iter().for_each(|(id, _)| acknowledge(life, log, stream, id));
    any
}

/// Takes all that is left.
pub fn settle(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    let mut life = Life::immortal(stage, random);
    while consume_some(&mut life, &mut log, "last") {}
    for stream in 0..STREAMS.len() {
        while take_over_from(&mut life, &mut log, "last", "0", stream) {}
    }
    log
}
