//! What stands in a grammar's rows: keys, values and numbers, most of them reasonable, some of them hostile.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use fastrand::Rng;

use crate::support::client::words as words_of;

/// Where things come from.
pub struct Source {
    pub rng: Rng,
    /// What DUMP said about some values.
    pub payloads: Vec<Vec<u8>>,
    /// The last of the numbers that differ from each other.
    pub last: u16,
    /// How many IDs of streams were made.
    pub ids: u64,
}

/// Something that stands in a row.
#[derive(Clone, Copy)]
pub enum Thing {
    Pool(&'static Pool),
    Made(fn(&mut Source) -> Vec<u8>),
}

/// What one is drawn from.
pub struct Pool {
    /// Integers, and in how many of 100 cases it is a word instead.
    integers: Option<(Range<i64>, u8)>,
    words: Vec<Vec<u8>>,
}

/// The kinds of keys with their names: few, so that commands meet.
///
/// Members of what `@lex` names all score 0: ranges by name have no meaning otherwise. No two places of what `@geo` names
/// are the same: nobody says which of two at the same distance comes first.
const KEYS: &[(&str, &[&str])] = &[
    ("str", &["s1", "s2", "s3", "s4"]),
    ("int", &["n1", "n2"]),
    ("bit", &["b1", "b2"]),
    ("hll", &["p1", "p2", "p3", "p4"]),
    ("list", &["l1", "l2", "l3"]),
    ("set", &["t1", "t2", "t3", "t4", "i1"]),
    ("sdest", &["t4", "t4", "t3"]),
    ("ints", &["i1", "i2"]),
    ("hash", &["h1", "h2", "h3"]),
    ("zset", &["z1", "z2", "z3", "z4"]),
    ("zdest", &["z4", "z4", "z3"]),
    ("zsets", &["z1", "z2", "z3", "z4", "t1", "i1", "g1"]),
    ("stream", &["y1", "y1", "y2", "y3"]),
    ("any", &[]),
    // Keys that no other kind names, so that they stay what they are.
    ("geo", &["g1", "g1", "g1", "g2", "g2", "g2", "g3", TEXTS[2]]),
    ("places", &["g1", "g2", "g3"]),
    ("lex", &["x1", "x1", "x2", "x2", "x3", TEXTS[0]]),
    ("lexdest", &["x1", "x2", "x3"]),
    ("numbers", &["q1", "q1", "q2", "q2", SORTED, "q0", TEXTS[1]]),
    ("sortlist", &["q1"]),
    ("sortset", &["q2"]),
    ("sortzset", &[SORTED]),
    ("onlyhll", &["p3", "p4"]),
];

/// How many of the kinds, the last ones, have keys of their own.
const OWN: usize = 9;

/// Strings that stay so, for those with keys of their own to meet a wrong type.
pub const TEXTS: [&str; 3] = ["x4", "q4", "g4"];

/// A sorted set that nobody asks for its encoding, since SORT changes it.
pub const SORTED: &str = "q3";

const ALL: &[&str] = &[
    "s1",
    "s2",
    "s3",
    "s4",
    "n1",
    "n2",
    "b1",
    "b2",
    "p1",
    "p2",
    "l1",
    "l2",
    "l3",
    "t1",
    "t2",
    "t3",
    "i1",
    "i2",
    "h1",
    "h2",
    "h3",
    "z1",
    "z2",
    "z3",
    "y1",
    "y2",
    "",
    "no such key",
    "\0\r\n",
];

/// The number of a kind of keys.
pub fn kind(name: &str) -> Option<usize> {
    KEYS.iter().position(|(kind, _)| *kind == name)
}

/// A key; one in eight is of any type.
pub fn key(source: &mut Source, kind: usize) -> Vec<u8> {
    let (_, names) = KEYS[kind];
    let is_any = names.is_empty() || (kind + OWN < KEYS.len() && one_in(source, 8));
    one_of(source, if is_any { ALL } else { names })
}

/// A thing by its name in the grammar.
pub fn thing(name: &str) -> Option<Thing> {
    let made = MADE.iter().find(|(thing, _)| *thing == name).map(|(_, make)| Thing::Made(*make));
    made.or_else(|| pools().get(name).map(Thing::Pool))
}

/// A word for a place where it does not belong.
pub fn junk(source: &mut Source) -> Vec<u8> {
    draw(source, "junk")
}

impl Thing {
    pub fn make(self, source: &mut Source) -> Vec<u8> {
        match self {
            Self::Pool(pool) => pool.draw(source),
            Self::Made(make) => make(source),
        }
    }
}

impl Pool {
    /// Reads the part of a line behind the name.
    fn parse(text: &'static str, pools: &BTreeMap<&'static str, Self>) -> Self {
        let (integers, words) = match text.split_once("% ").or_else(|| text.strip_suffix('%').map(|text| (text, ""))) {
            None => (None, text),
            Some((integers, words)) => {
                let (range, percent) = integers.split_once(' ').expect("a percentage");
                let (start, end) = range.split_once("..").expect("a range");
                let number = |text: &str| text.parse::<i64>().expect("an integer");
                (Some((number(start)..number(end), number(percent) as u8)), words)
            }
        };
        let of = |word: Vec<u8>| match word.strip_prefix(b"$") {
            Some(name) => pools[std::str::from_utf8(name).expect("a name")].words.clone(),
            None => vec![word],
        };
        Self { integers, words: words_of(words).into_iter().flat_map(of).collect() }
    }

    fn draw(&self, source: &mut Source) -> Vec<u8> {
        match &self.integers {
            Some((range, percent)) if source.rng.u8(..100) >= *percent => {
                source.rng.i64(range.clone()).to_string().into()
            }
            _ => source.rng.choice(&self.words).expect("never empty").clone(),
        }
    }
}

fn pools() -> &'static BTreeMap<&'static str, Pool> {
    static POOLS: OnceLock<BTreeMap<&'static str, Pool>> = OnceLock::new();
    POOLS.get_or_init(|| {
        let mut pools = BTreeMap::new();
        for line in include_str!("things.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, text) = line.split_once(": ").unwrap_or_else(|| panic!("no name: {line}"));
            let pool = Pool::parse(text, &pools);
            pools.insert(name, pool);
        }
        pools
    })
}

/// Draws from a pool by its name.
fn draw(source: &mut Source, name: &str) -> Vec<u8> {
    pools().get(name).unwrap_or_else(|| panic!("no pool: {name}")).draw(source)
}

fn one_of(source: &mut Source, texts: &[&str]) -> Vec<u8> {
    source.rng.choice(texts).expect("never empty").as_bytes().to_vec()
}

/// Whether it happens in one of so many cases.
fn one_in(source: &mut Source, cases: u8) -> bool {
    source.rng.u8(..cases) == 0
}

/// Makes a random thing.
type Maker = fn(&mut Source) -> Vec<u8>;

/// What is composed of others.
const MADE: &[(&str, Maker)] = &[
    ("value", value),
    ("member", member),
    ("word", word),
    ("next", next),
    ("float", float),
    ("score", |source| if one_in(source, 3) { float(source) } else { draw(source, "small") }),
    ("nextid", next_id),
    ("low", low),
    ("high", high),
    ("lexlow", lexlow),
    ("lexhigh", lexhigh),
    ("offset", |source| if one_in(source, 8) { draw(source, "number") } else { draw(source, "near") }),
    ("bit", |source| if one_in(source, 8) { draw(source, "far") } else { draw(source, "near") }),
    ("bitoffset", bitoffset),
    ("lon", |source| place(source, 180.0)),
    ("lat", |source| place(source, 85.0)),
    ("payload", payload),
];

fn value(source: &mut Source) -> Vec<u8> {
    match source.rng.u8(..20) {
        0 => vec![b'z'; source.rng.usize(40..400)],
        1 => b"\xff\0\r\n".to_vec(),
        2 => draw(source, "integers"),
        3 => draw(source, "floats"),
        4..9 => draw(source, "plain"),
        _ => one_of(
            source,
            &["a", "b", "c", "d", "ab", "abcd", "bcde", "hello", "ohmytext", "mynewtext", "0", "1.5", ""],
        ),
    }
}

fn member(source: &mut Source) -> Vec<u8> {
    match source.rng.u8(..24) {
        0 => vec![b'y'; source.rng.usize(60..70)],
        1 => b"\xff\0".to_vec(),
        2 => draw(source, "integers"),
        3..8 => source.rng.u8(..12).to_string().into(),
        _ => one_of(source, &["a", "b", "c", "d", "e", "f", "g", "m1", "m2", "m3", "1.5", ""]),
    }
}

fn word(source: &mut Source) -> Vec<u8> {
    let len = source.rng.usize(..4);
    (0..len).map(|_| source.rng.u8(b'a'..b'e')).collect()
}

/// A number below 1000 that is not among the last 999.
fn next(source: &mut Source) -> Vec<u8> {
    source.last = (source.last + 387) % 1000;
    source.last.to_string().into()
}

fn float(source: &mut Source) -> Vec<u8> {
    match source.rng.u8(..10) {
        0 => draw(source, "floats"),
        1 => draw(source, "integers"),
        2 => source.rng.f64().to_string().into(),
        3 => format!("{}e{}", source.rng.i8(..), source.rng.i8(-20..20)).into(),
        4..8 => draw(source, "small"),
        _ => draw(source, "decimal"),
    }
}

/// An ID of a stream, most often larger than those before.
fn next_id(source: &mut Source) -> Vec<u8> {
    source.ids += 1;
    let (ms, seq) = (source.ids / 4, source.ids);
    match source.rng.u8(..30) {
        0 => format!("{ms}-*"),
        1 => ms.to_string(),
        _ => format!("{ms}-{seq}"),
    }
    .into_bytes()
}

fn low(source: &mut Source) -> Vec<u8> {
    bound(source, "-inf")
}

fn high(source: &mut Source) -> Vec<u8> {
    bound(source, "+inf")
}

fn bound(source: &mut Source, end: &str) -> Vec<u8> {
    let number = match source.rng.u8(..12) {
        0 => float(source),
        1 => one_of(source, &["-inf", "+inf", "inf", "(", "((1", "1("]),
        2..6 => end.into(),
        _ => draw(source, "small"),
    };
    if one_in(source, 4) { [b"(".to_vec(), number].concat() } else { number }
}

fn lexlow(source: &mut Source) -> Vec<u8> {
    lexbound(source, "-")
}

fn lexhigh(source: &mut Source) -> Vec<u8> {
    lexbound(source, "+")
}

fn lexbound(source: &mut Source, end: &str) -> Vec<u8> {
    match source.rng.u8(..16) {
        0 => one_of(source, &["-", "+"]),
        1 => one_of(source, &["", "a", "(", "[", "-a", "(-", "[+", "inf"]),
        2..8 => end.into(),
        _ => [one_of(source, &["[", "("]), word(source)].concat(),
    }
}

fn bitoffset(source: &mut Source) -> Vec<u8> {
    if source.rng.bool() {
        return [b"#".to_vec(), draw(source, "nth")].concat();
    }
    if one_in(source, 8) { draw(source, "index") } else { draw(source, "near") }
}

fn place(source: &mut Source, most: f64) -> Vec<u8> {
    match source.rng.u8(..24) {
        0 => draw(source, "edge"),
        1..8 => ((source.rng.f64() * 2.0 - 1.0) * most).to_string().into(),
        // Close together, so that a radius has somebody inside and somebody outside.
        _ => format!("{:.6}", 13.0 + source.rng.f64() * 3.0).into(),
    }
}

fn payload(source: &mut Source) -> Vec<u8> {
    let at = source.rng.usize(..source.payloads.len());
    let mut payload = source.payloads[at].clone();
    if one_in(source, 10) {
        let at = source.rng.usize(..payload.len());
        payload[at] ^= 1 << source.rng.u8(..8);
    }
    payload
}
