//! When two servers' replies to the same request are the same.

use std::collections::BTreeSet;

use crate::accepted;
use crate::grammar::Words;

/// Two servers' clocks and the moments when they run a command are this far apart at most, in seconds.
const SECONDS_APART: i64 = 20;

/// A reply as it was sent, in pieces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reply {
    /// Its first byte.
    kind: u8,
    /// What its line or its string says; `None` for nothing, which RESP2 writes as a length of -1.
    text: Option<Vec<u8>>,
    items: Vec<Reply>,
}

impl Reply {
    /// Reads a reply; also returns its length. `None` when bytes are missing or are none of a reply.
    pub fn parse(input: &[u8]) -> Option<(Self, usize)> {
        let end = input.iter().position(|&byte| byte == b'\n')?;
        let line = input.get(1..end.checked_sub(1)?)?;
        let len = || std::str::from_utf8(line).ok()?.parse::<i64>().ok();
        let mut used = end + 1;
        let mut reply = Self { kind: input[0], text: Some(line.to_vec()), items: Vec::new() };
        match input[0] {
            b'$' | b'*' if len()? < 0 => reply.text = None,
            b'$' | b'=' => {
                let len = len()? as usize;
                reply.text = Some(input.get(used..used + len)?.to_vec());
                input.get(used + len..used + len + 2)?;
                used += len + 2;
            }
            kind @ (b'*' | b'~' | b'>' | b'%') => {
                reply.text = Some(Vec::new());
                for _ in 0..len()? * if kind == b'%' { 2 } else { 1 } {
                    let (item, len) = Self::parse(&input[used..])?;
                    reply.items.push(item);
                    used += len;
                }
            }
            _ => {}
        }
        Some((reply, used))
    }

    pub fn is_error(&self) -> bool {
        self.kind == b'-'
    }

    /// A string's or a line's text.
    pub fn text(&self) -> &[u8] {
        self.text.as_deref().unwrap_or_default()
    }

    pub fn items(&self) -> &[Self] {
        &self.items
    }

    fn int(&self) -> Option<i64> {
        (self.kind == b':').then(|| std::str::from_utf8(self.text()).ok()?.parse().ok())?
    }

    /// As many of everything, whatever it is.
    fn has_shape_of(&self, other: &Self) -> bool {
        (self.kind, self.text.is_none(), self.items.len()) == (other.kind, other.text.is_none(), other.items.len())
            && (!self.is_error() || self == other)
            && self.items.iter().zip(&other.items).all(|(one, other)| one.has_shape_of(other))
    }

    /// The same elements in one order; `size` elements in a row are one.
    fn sorted(&self, size: usize) -> Self {
        let mut rows: Vec<Vec<Self>> = self.items.chunks(size).map(<[Self]>::to_vec).collect();
        rows.sort();
        Self { items: rows.concat(), ..self.clone() }
    }

    /// Compares with what Redis 7.0 says, who writes doubles with 17 digits and not with as few as are enough.
    fn is_as_redis_writes(&self, redis: &Self) -> bool {
        let is_double = || {
            let ours = std::str::from_utf8(self.text()).ok()?.parse::<f64>().ok()?;
            // A sorted set forgets the sign of zero while it is small, and not at the same moments in all versions.
            let is_zero = ours == 0.0 && matches!(redis.text(), b"0" | b"-0");
            Some(is_zero || seventeen_digits(ours).as_bytes() == redis.text())
        };
        self == redis
            || (self.kind == redis.kind
                && self.items.len() == redis.items.len()
                && self.text.is_some() == redis.text.is_some()
                && (self.text == redis.text || is_double() == Some(true))
                && self.items.iter().zip(&redis.items).all(|(one, other)| one.is_as_redis_writes(other)))
    }
}

/// How the replies of a command are compared.
enum Rule {
    Exact,
    /// The order of the elements means nothing; so many in a row are one.
    Unordered(usize),
    /// The cursor and the elements of an iteration, which may come twice.
    Scan(usize),
    Doubles,
    /// A time in units of which so many are a second.
    Time(i64),
    Encoding,
    /// Only how many there are, and what is nothing.
    Shape,
    /// Only how many there are.
    Count,
}

/// Whether a server's reply is what the reference said, for this request.
pub fn are_same(words: &Words, reference: &Reply, found: &Reply) -> bool {
    if reference == found || accepted::is_accepted(words, reference, found) {
        return true;
    }
    // Errors are words for clients to match: no rule makes two of them the same.
    if reference.is_error() || found.is_error() {
        return false;
    }
    match rule(words, reference) {
        Rule::Exact => false,
        Rule::Unordered(size) => found.sorted(size).is_as_redis_writes(&reference.sorted(size)),
        Rule::Scan(size) => is_same_scan(words, size, reference, found),
        Rule::Doubles => found.is_as_redis_writes(reference),
        Rule::Time(unit) => match (reference.int(), found.int()) {
            (Some(one @ 0..), Some(other @ 0..)) => one.abs_diff(other) <= (SECONDS_APART * unit) as u64,
            _ => false,
        },
        Rule::Encoding => is_same_encoding(reference.text(), found.text()),
        Rule::Shape => found.has_shape_of(reference),
        Rule::Count => (found.kind, found.items.len()) == (reference.kind, reference.items.len()),
    }
}

/// Whether a command's reply may be any part of what there is.
pub fn is_random(words: &Words) -> bool {
    const RANDOM: [&str; 5] = ["spop", "srandmember", "hrandfield", "zrandmember", "randomkey"];
    RANDOM.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether the elements that a random command chose are some of all that there are, which the request before asked for.
pub fn is_choice(before: (&Words, &Reply), words: &Words, choice: &Reply) -> bool {
    let name = words[0].to_ascii_uppercase();
    let (asked, all) = before;
    let is_about_same = name == b"RANDOMKEY" || asked.get(1) == words.get(1);
    let with_values = words.len() > 3;
    let (asks, size) = match name.as_slice() {
        b"SRANDMEMBER" | b"SPOP" => (&b"SMEMBERS"[..], 1),
        b"HRANDFIELD" => (&b"HGETALL"[..], 2),
        b"ZRANDMEMBER" => (&b"ZRANGE"[..], 2),
        b"RANDOMKEY" => (&b"KEYS"[..], 1),
        _ => return true,
    };
    if !asked[0].eq_ignore_ascii_case(asks)
        || !is_about_same
        || matches!(all.kind, b'-' | b'+')
        || matches!(choice.kind, b'-' | b'+')
    {
        return true;
    }
    // In RESP3 pairs are arrays of two.
    let flat = |reply: &Reply, size: usize| -> Vec<Vec<Vec<u8>>> {
        let leaves: Vec<Vec<u8>> = reply.leaves();
        leaves.chunks(size).map(<[Vec<u8>]>::to_vec).collect()
    };
    let all: Vec<Vec<Vec<u8>>> = flat(all, size);
    let chosen = flat(choice, if with_values { 2 } else { 1 });
    let is_member = |row: &Vec<Vec<u8>>| all.iter().any(|other| other[..row.len()] == row[..]);
    let count: Option<i64> = words.get(2).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let is_right_number = match count {
        None => chosen.len() == all.len().min(1),
        Some(count @ ..0) if !all.is_empty() => chosen.len() as u64 == count.unsigned_abs(),
        Some(count) => chosen.len() as u64 == (all.len() as u64).min(count.max(0) as u64),
    };
    let is_distinct =
        count.is_some_and(|count| count < 0) || chosen.iter().collect::<BTreeSet<_>>().len() == chosen.len();
    chosen.iter().all(is_member) && is_right_number && is_distinct
}

impl Reply {
    /// The texts of all that is no collection, in order; nothing is none.
    fn leaves(&self) -> Vec<Vec<u8>> {
        match self.kind {
            b'*' | b'~' | b'%' | b'>' => self.items.iter().flat_map(Self::leaves).collect(),
            b'_' => Vec::new(),
            _ => self.text.iter().cloned().collect(),
        }
    }
}

fn rule(words: &Words, reference: &Reply) -> Rule {
    let upper: Vec<Vec<u8>> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let has = |option: &str| upper.iter().skip(2).any(|word| word == option.as_bytes());
    let name = std::str::from_utf8(&upper[0]).unwrap_or_default();
    let pairs = if reference.kind == b'%' || name == "HGETALL" { 2 } else { 1 };
    match name {
        "SMEMBERS" | "SUNION" | "SINTER" | "SDIFF" | "KEYS" | "HKEYS" | "HVALS" | "HGETALL" => Rule::Unordered(pairs),
        "SCAN" | "SSCAN" => Rule::Scan(1),
        "HSCAN" | "ZSCAN" => Rule::Scan(2),
        "SPOP" | "SRANDMEMBER" | "HRANDFIELD" | "ZRANDMEMBER" | "RANDOMKEY" | "DUMP" => Rule::Shape,
        "TTL" | "EXPIRETIME" => Rule::Time(1),
        "PTTL" | "PEXPIRETIME" => Rule::Time(1000),
        "OBJECT" => match upper.get(1).map(Vec::as_slice) {
            Some(b"IDLETIME") => Rule::Time(1),
            Some(b"ENCODING") => Rule::Encoding,
            Some(b"REFCOUNT") => Rule::Shape,
            _ => Rule::Exact,
        },
        "SORT" | "SORT_RO" => match (is_order_open(&upper), has("LIMIT")) {
            (false, _) => Rule::Exact,
            (true, false) => Rule::Unordered(1),
            // Which elements these are is open, and so is what GET finds for them.
            (true, true) => Rule::Count,
        },
        "GEORADIUS" | "GEORADIUS_RO" | "GEORADIUSBYMEMBER" | "GEORADIUSBYMEMBER_RO" | "GEOSEARCH" => {
            match (has("ANY"), has("ASC") || has("DESC") || has("COUNT")) {
                (true, _) => Rule::Shape,
                (false, true) => Rule::Exact,
                (false, false) => Rule::Unordered(1),
            }
        }
        _ if name.starts_with('Z') || name.starts_with("BZ") => Rule::Doubles,
        _ => Rule::Exact,
    }
}

/// Whether SORT is asked not to sort, which leaves a set in any order, or to compare texts, which may be the same.
fn is_order_open(upper: &Words) -> bool {
    let is_alpha = upper.iter().any(|word| word == b"ALPHA");
    let mut by = upper.windows(2).skip(2).filter(|pair| pair[0] == b"BY").map(|pair| &pair[1]);
    by.any(|pattern| is_alpha || !pattern.contains(&b'*'))
}

/// Two iterations that were complete with one call have the same elements; others only have as many parts.
fn is_same_scan(words: &Words, size: usize, reference: &Reply, found: &Reply) -> bool {
    let cursor_at = usize::from(!words[0].eq_ignore_ascii_case(b"scan")) + 1;
    let is_complete = |reply: &Reply| {
        words.get(cursor_at).is_some_and(|cursor| cursor == b"0")
            && reply.items.first().is_some_and(|cursor| cursor.text() == b"0")
    };
    if !is_complete(reference) || !is_complete(found) {
        return reference.items.len() == found.items.len();
    }
    let once = |reply: &Reply| {
        let mut rows: Vec<Vec<Reply>> = reply.items[1].items.chunks(size).map(<[Reply]>::to_vec).collect();
        rows.sort();
        rows.dedup();
        Reply { items: rows.concat(), ..reply.items[1].clone() }
    };
    once(found).is_as_redis_writes(&once(reference))
}

/// Whether an encoding of Redis 7.0 is that of later versions, and of a server that knows strings by their length alone.
fn is_same_encoding(reference: &[u8], found: &[u8]) -> bool {
    matches!(
        (reference, found),
        (b"embstr" | b"raw", b"embstr" | b"raw") | (b"quicklist", b"listpack") | (b"hashtable", b"listpack")
    )
}

/// A double as C writes it with `%.17g`.
fn seventeen_digits(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{number:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    let trimmed = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    match exponent {
        -4..17 => trimmed(&format!("{number:.*}", (16 - exponent) as usize)),
        _ => format!("{}e{}{:02}", trimmed(digits), if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[test]
fn doubles_are_written_as_c_does() {
    for (number, text) in [
        (0.1, "0.10000000000000001"),
        (-1.5, "-1.5"),
        (1e17, "1e+17"),
        (123456789012345680.0, "1.2345678901234568e+17"),
        (1e-5, "1.0000000000000001e-05"),
        (0.0, "0"),
        (-0.0, "-0"),
        (4.9e-324, "4.9406564584124654e-324"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        assert_eq!(seventeen_digits(number), text);
    }
}
