//! Pub/sub, and those who look on: subscribers, MONITOR, and who listens to what happens to keys.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::link::{Answer, Heard, Life};
use crate::pools::pause;
use crate::record::{self, CHANNELS, COUNTERS, Fate, Feed, Increment, Log, Published, SHARD_CHANNELS, Subscription};
use crate::stage::{Phase, Stage};
use crate::support::Value;
use crate::support::server::PATIENCE;

/// Publishes numbered messages.
pub fn publish(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() == Phase::Run {
        let mut life = Life::begin(stage, random, Phase::Settle);
        while life.lives() && stage.phase() == Phase::Run {
            let is_sharded = life.random.u8(..3) == 0;
            let (command, channels) =
                if is_sharded { ("SPUBLISH", SHARD_CHANNELS.as_slice()) } else { ("PUBLISH", CHANNELS.as_slice()) };
            let channel = channels[life.random.usize(..channels.len())];
            let start = stage.tick();
            let text = format!("{who}.{}", log.published.len());
            let answer = if life.random.u8(..8) == 0 {
                match life.transact(&[&[command, channel, &text]]) {
                    Answer::Reply(value) => Answer::Reply(value.items()[0].clone()),
                    other => other,
                }
            } else {
                life.call(&[command, channel, &text])
            };
            let fate = match answer {
                Answer::Reply(count) => Fate::Done(count.int()),
                Answer::Nothing => Fate::NotDone,
                Answer::Unknown => Fate::Unknown,
            };
            // What becomes of it later is not bounded by what is known now.
            let end = if fate == Fate::Unknown { u64::MAX } else { stage.tick() };
            log.published.push(Published { channel, is_sharded, start, end, fate });
            log.calls += 1;
            pause(random, 6000);
        }
        log.deaths += 1;
    }
    log
}

/// Subscribes to this and that, and leaves it again.
pub fn subscribe(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::Never);
        if life.random.bool() {
            life.call(&["HELLO", "3"]);
        }
        let mut listener = Listener { life, stage, open: Vec::new(), heard: Vec::new(), log: &mut log };
        // Now and then it leaves everything; then it goes on, or dies.
        while listener.life.lives() && stage.phase() < Phase::End {
            for _ in 0..random.usize(1..4) {
                listener.subscribe();
            }
            let until = Instant::now() + Duration::from_millis(random.u64(..400));
            while Instant::now() < until && listener.life.lives() && stage.phase() < Phase::End {
                listener.listen();
            }
            match random.u8(..4) {
                0 => listener.die(),
                1 => {}
                _ => listener.unsubscribe_all(),
            }
        }
        if listener.life.lives() {
            listener.unsubscribe_all();
        }
        listener.die();
        let heard = std::mem::take(&mut listener.heard);
        drop(listener);
        log.heard.push(heard);
        log.deaths += 1;
    }
    log
}

struct Listener<'a, 'l> {
    life: Life<'a>,
    stage: &'a Stage,
    open: Vec<Subscription>,
    heard: Vec<(usize, usize)>,
    log: &'l mut Log,
}

impl Listener<'_, '_> {
    fn subscribe(&mut self) {
        let random = &mut self.life.random;
        let (command, feed, name) = match random.u8(..4) {
            0 => ("PSUBSCRIBE", Feed::Pattern, ["p:", "p:1", "p:3"][random.usize(..3)].to_owned()),
            1 => ("SSUBSCRIBE", Feed::Shard, SHARD_CHANNELS[random.usize(..2)].to_owned()),
            _ => ("SUBSCRIBE", Feed::Channel, CHANNELS[random.usize(..4)].to_owned()),
        };
        if self.open.iter().any(|it| it.feed == feed && it.name == name) {
            return;
        }
        let asked = self.stage.tick();
        let wanted = if feed == Feed::Pattern { format!("{name}*") } else { name.clone() };
        self.life.tell(&[command, &wanted]);
        self.open.push(Subscription { feed, name, asked, confirmed: None, until: None, over: 0, got: Vec::new() });
        let since = Instant::now();
        while self.life.lives() && self.open.last().is_some_and(|it| it.confirmed.is_none()) {
            self.listen();
            assert!(since.elapsed() < PATIENCE, "{command} is not confirmed");
        }
    }

    fn unsubscribe_all(&mut self) {
        let until = self.stage.tick();
        for command in ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"] {
            self.life.tell(&[command]);
        }
        self.open.iter_mut().for_each(|it| it.until = Some(until));
        let since = Instant::now();
        while self.life.lives() && !self.open.is_empty() {
            self.listen();
            assert!(since.elapsed() < PATIENCE, "the end of {:?} is not confirmed", self.open);
        }
    }

    fn listen(&mut self) {
        match self.life.listen(Duration::from_millis(20)) {
            Heard::Value(value) => self.take(&value),
            Heard::Silence => {}
            Heard::End => self.close_all(),
        }
    }

    fn take(&mut self, value: &Value) {
        let items = match value {
            Value::Array(items) | Value::Other(_, items) => items,
            other => panic!("a subscriber got {other:?}"),
        };
        let (kind, name) = (items[0].text(), items.get(1).filter(|it| **it != Value::Nil).map(Value::text));
        let (feed, is_message) = match kind.as_str() {
            "message" => (Feed::Channel, true),
            "pmessage" => (Feed::Pattern, true),
            "smessage" => (Feed::Shard, true),
            "subscribe" | "unsubscribe" => (Feed::Channel, false),
            "psubscribe" | "punsubscribe" => (Feed::Pattern, false),
            "ssubscribe" | "sunsubscribe" => (Feed::Shard, false),
            other => panic!("a subscriber got {other}"),
        };
        // Who unsubscribes from nothing is told so.
        let Some(mut name) = name else { return };
        if feed == Feed::Pattern {
            name.pop();
        }
        let Some(at) = self.open.iter().position(|it| it.feed == feed && it.name == name) else {
            return self.stage.complain(format!("invented: {value:?} for who does not listen to that"));
        };
        if is_message {
            let message = number(&items.last().expect("never empty").text());
            self.open[at].got.push(message);
            self.heard.push(message);
        } else if kind.contains("unsub") {
            let mut subscription = self.open.swap_remove(at);
            subscription.over = self.stage.tick();
            self.log.subscriptions.push(subscription);
        } else {
            self.open[at].confirmed = Some(self.stage.tick());
        }
    }

    fn die(&mut self) {
        // What comes after that may have been sent before.
        for value in self.life.die() {
            self.take(&value);
        }
        self.close_all();
    }

    fn close_all(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let over = self.stage.over(self.life.id());
        for mut subscription in std::mem::take(&mut self.open) {
            subscription.until = None;
            subscription.over = over;
            self.log.subscriptions.push(subscription);
        }
    }
}

/// Publisher and number of a message.
fn number(text: &str) -> (usize, usize) {
    let (who, number) = text.split_once('.').unwrap_or_else(|| panic!("not one of our messages: {text}"));
    (who.parse().expect("a number"), number.parse().expect("a number"))
}

/// Watches what is published, as MONITOR shows it.
pub fn monitor(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::Never);
        let mut subscription = Subscription {
            feed: Feed::Monitor,
            name: String::new(),
            asked: stage.tick(),
            confirmed: None,
            until: None,
            over: 0,
            got: Vec::new(),
        };
        life.tell(&["MONITOR"]);
        let until = Instant::now() + Duration::from_millis(random.u64(..1000));
        let mut lines = Vec::new();
        while Instant::now() < until && stage.phase() < Phase::End {
            match life.listen(Duration::from_millis(20)) {
                Heard::Value(value) => lines.push(value.text()),
                Heard::Silence => {}
                Heard::End => break,
            }
            if subscription.confirmed.is_none() && !lines.is_empty() {
                subscription.confirmed = Some(stage.tick());
            }
        }
        lines.extend(life.die().iter().map(Value::text));
        subscription.over = stage.over(life.id());
        for line in lines {
            let mut words = line.split('"').skip(1).step_by(2);
            if words.next().is_some_and(|command| command.ends_with("PUBLISH")) {
                subscription.got.push(number(words.nth(1).expect("a channel and a message")));
            }
        }
        log.heard.push(subscription.got.clone());
        log.subscriptions.push(subscription);
        log.deaths += 1;
        pause(random, 500_000);
    }
    log
}

/// Counts upwards.
pub fn increment(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() == Phase::Run {
        let mut life = Life::begin(stage, random, Phase::Settle);
        while life.lives() && stage.phase() == Phase::Run {
            let counter = life.random.usize(..COUNTERS.len());
            let start = stage.tick();
            let is_certain = match life.call(&["INCR", COUNTERS[counter]]) {
                Answer::Reply(_) => true,
                Answer::Unknown => false,
                Answer::Nothing => continue,
            };
            let end = if is_certain { stage.tick() } else { u64::MAX };
            log.increments.push(Increment { counter, start, end, is_certain });
            log.calls += 1;
            pause(random, 5000);
        }
        log.deaths += 1;
    }
    log
}

/// Listens to the counters' events for a while, and again.
pub fn hear_increments(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() < Phase::End {
        let mut life = Life::begin(stage, random, Phase::Never);
        let counter = life.random.usize(..COUNTERS.len());
        let by_key = life.random.bool();
        let channel =
            if by_key { format!("__keyspace@0__:{}", COUNTERS[counter]) } else { "__keyevent@0__:incrby".to_owned() };
        let (asked, mut confirmed) = (stage.tick(), None);
        life.tell(&["SUBSCRIBE", &channel]);
        let ends = Instant::now() + Duration::from_millis(random.u64(..500));
        let (mut until, mut over, mut count) = (None, None, 0);
        while over.is_none() {
            let is_time = Instant::now() >= ends || stage.phase() >= Phase::End;
            if is_time && until.is_none() && confirmed.is_some() {
                until = Some(stage.tick());
                life.tell(&["UNSUBSCRIBE"]);
            }
            let items = match life.listen(Duration::from_millis(20)) {
                Heard::Value(Value::Array(items)) => items,
                Heard::Value(other) => panic!("a subscriber got {other:?}"),
                Heard::Silence => continue,
                Heard::End => {
                    (until, over) = (None, Some(stage.over(life.id())));
                    continue;
                }
            };
            match items[0].text().as_str() {
                "subscribe" => confirmed = Some(stage.tick()),
                "unsubscribe" => over = Some(stage.tick()),
                _ if by_key => count += u64::from(items[2].text() == "incrby"),
                _ => count += u64::from(items[2].text() == COUNTERS[counter]),
            }
        }
        if let (Some(confirmed), Some(over)) = (confirmed, over) {
            log.increments_heard.push(record::Heard { counter, asked, confirmed, until, over, count });
        }
        life.die();
        log.deaths += 1;
    }
    log
}

/// Hears of everything that happens to queues and counters, from the beginning to the end: events by key and name.
pub fn hear_everything(stage: &Stage, random: &mut fastrand::Rng) -> HashMap<(String, String), u64> {
    let mut life = Life::immortal(stage, random);
    let patterns = ["__keyspace@0__:q:*", "__keyspace@0__:z:*", "__keyspace@0__:n:*"];
    life.tell(&[&["PSUBSCRIBE"], patterns.as_slice()].concat());
    life.tell(&["SUBSCRIBE", "end"]);
    let mut events = HashMap::new();
    loop {
        let value = match life.listen(PATIENCE) {
            Heard::Value(value) => value,
            // Others may have nothing to do for that long.
            Heard::Silence => continue,
            Heard::End => panic!("the connection that hears everything has ended"),
        };
        let items = value.items();
        match items[0].text().as_str() {
            "pmessage" => {
                let channel = items[2].text();
                let key = channel.split_once(':').expect("a channel of events").1;
                *events.entry((key.to_owned(), items[3].text())).or_default() += 1;
            }
            "message" => return events,
            "subscribe" => stage.everything_is_heard(),
            _ => {}
        }
    }
}
