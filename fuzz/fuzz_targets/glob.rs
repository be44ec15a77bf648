//! The matcher with two pointers agrees with one that tries everything.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The first byte is the length of the pattern.
fuzz_target!(|data: &[u8]| {
    let Some((&len, rest)) = data.split_first() else { return };
    let (pattern, text) = rest.split_at(usize::from(len).min(rest.len()));
    // Nothing else matches the empty text, as in Redis.
    let expected = if text.is_empty() { pattern.is_empty() } else { slow(&items(pattern), text) };
    assert_eq!(kiba::glob::matches(pattern, text), expected);
});

enum Item {
    Any,
    One,
    Class { ranges: Vec<(u8, u8)>, is_negated: bool },
    Byte(u8),
}

fn items(pattern: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = pattern.iter().copied();
    while let Some(byte) = rest.next() {
        items.push(match byte {
            b'*' => Item::Any,
            b'?' => Item::One,
            b'[' => class(&mut rest),
            b'\\' => Item::Byte(rest.next().unwrap_or(b'\\')),
            byte => Item::Byte(byte),
        });
    }
    items
}

/// Reads up to and with the `]`, or up to the end.
fn class(rest: &mut (impl Iterator<Item = u8> + Clone)) -> Item {
    let is_negated = rest.clone().next() == Some(b'^');
    if is_negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    while let Some(from) = rest.next() {
        let mut ahead = rest.clone();
        let range = match (from, ahead.next(), ahead.next()) {
            (b']', ..) => break,
            (b'\\', Some(escaped), _) => {
                rest.next();
                (escaped, escaped)
            }
            (from, Some(b'-'), Some(to)) => {
                *rest = ahead;
                (from.min(to), from.max(to))
            }
            (from, ..) => (from, from),
        };
        ranges.push(range);
    }
    Item::Class { ranges, is_negated }
}

/// For each number of items from the left, which beginnings of the text they match.
fn slow(items: &[Item], text: &[u8]) -> bool {
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    for item in items {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let is_taken = |byte: u8| match item {
                Item::Any | Item::One => true,
                Item::Class { ranges, is_negated } => {
                    ranges.iter().any(|&(from, to)| (from..=to).contains(&byte)) != *is_negated
                }
                Item::Byte(own) => *own == byte,
            };
            next[at] = match item {
                Item::Any => matched[at] || at > 0 && next[at - 1],
                _ => at > 0 && matched[at - 1] && is_taken(text[at - 1]),
            };
        }
        matched = next;
    }
    matched[text.len()]
}
