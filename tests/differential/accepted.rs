//! Differences that are meant: each is a row of docs/differences.md.
//!
//! Only what changes no data can be accepted here. Other commands that differ on purpose are not generated.

use crate::grammar::Words;
use crate::reply::Reply;

/// A difference that is no mistake.
struct Accepted {
    /// How its row in the document begins.
    row: &'static str,
    /// Whether these replies, the reference's and ours, differ for this reason.
    applies: fn(&Words, &Reply, &Reply) -> bool,
}

const ACCEPTED: &[Accepted] = &[
    Accepted {
        row: "SCAN with cursors",
        applies: |words, _, found| {
            is(words, &["scan", "sscan", "hscan", "zscan"]) && found.text() == b"ERR invalid cursor"
        },
    },
    Accepted {
        row: "BITCOUNT, BITPOS with bad arguments on a missing key",
        applies: |words, reference, found| {
            let is_old = matches!(reference.text(), b"0" | b"-1") || reference.text().starts_with(b"WRONGTYPE");
            is(words, &["bitcount", "bitpos"]) && is_old && found.is_error()
        },
    },
    Accepted {
        row: "OBJECT IDLETIME of small integers",
        // Nothing rests for longer, unless RESTORE says so; then it is much longer.
        applies: |words, reference, found| {
            let seconds = |reply: &Reply| std::str::from_utf8(reply.text()).ok()?.parse::<i64>().ok();
            let is_short = |reply| seconds(reply).is_some_and(|seconds| (0..=3600).contains(&seconds));
            is(words, &["object"]) && has_second(words, "idletime") && is_short(reference) && is_short(found)
        },
    },
    Accepted {
        row: "scores, score ranges and what SORT sorts",
        // A number like 0x10, or with a NUL byte, which a key may hold as any text.
        applies: |words, reference, found| {
            let is_refused = found.text() == b"ERR One or more scores can't be converted into double";
            is(words, &["sort", "sort_ro"]) && !has(words, "store") && is_refused && !reference.is_error()
        },
    },
    Accepted {
        row: "timeouts of blocking commands beyond the end of time",
        // What is there is popped for none of them.
        applies: |words, reference, found| {
            is(words, &["blpop", "brpop", "blmpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax", "bzmpop"])
                && reference.text() == b"ERR timeout is negative"
                && found.text() == b"ERR timeout is out of range"
        },
    },
    Accepted {
        row: "a NUL byte in an unknown command's name",
        applies: |_, reference, found| {
            reference.text().starts_with(b"NOGROUP")
                && found.text().starts_with(b"NOGROUP")
                && found.text().contains(&0)
        },
    },
    Accepted {
        row: "XREAD and XREADGROUP with a key too many",
        applies: |words, reference, found| {
            is(words, &["xread", "xreadgroup"])
                && reference.text().starts_with(b"ERR Unbalanced")
                && found.text().starts_with(b"ERR Unbalanced")
        },
    },
    Accepted {
        row: "a stream whose first node holds nothing but deleted entries",
        // One node less, and nothing else.
        applies: |words, reference, found| {
            is(words, &["xinfo"]) && has_second(words, "stream") && is_one_node_less(reference, found)
        },
    },
];

/// Whether two replies of XINFO STREAM differ in one key of the radix tree, and in its nodes.
fn is_one_node_less(reference: &Reply, found: &Reply) -> bool {
    let number = |reply: &Reply| std::str::from_utf8(reply.text()).ok()?.parse::<i64>().ok();
    let pairs = || reference.items().chunks(2).zip(found.items().chunks(2));
    reference.items().len() == found.items().len()
        && pairs().any(|(theirs, _)| theirs[0].text() == b"radix-tree-keys")
        && pairs().all(|(theirs, ours)| match theirs[0].text() {
            b"radix-tree-keys" => number(&theirs[1]) == number(&ours[1]).map(|keys| keys + 1),
            b"radix-tree-nodes" => true,
            _ => theirs == ours,
        })
}

#[test]
fn one_node_less_is_all_that_may_differ() {
    let reply = |keys, nodes, length| {
        let text = format!(
            "*6\r\n$6\r\nlength\r\n:{length}\r\n$15\r\nradix-tree-keys\r\n:{keys}\r\n$16\r\nradix-tree-nodes\r\n:{nodes}\r\n"
        );
        Reply::parse(text.as_bytes()).expect("complete").0
    };
    assert!(is_one_node_less(&reply(1, 2, 0), &reply(0, 1, 0)));
    assert!(!is_one_node_less(&reply(1, 2, 1), &reply(0, 1, 0)));
    assert!(!is_one_node_less(&reply(2, 3, 0), &reply(0, 1, 0)));
    assert!(!is_one_node_less(&reply(0, 1, 0), &reply(1, 2, 0)));
}

pub fn is_accepted(words: &Words, reference: &Reply, found: &Reply) -> bool {
    ACCEPTED.iter().any(|accepted| (accepted.applies)(words, reference, found))
}

fn is(words: &Words, names: &[&str]) -> bool {
    names.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()))
}

fn has_second(words: &Words, name: &str) -> bool {
    words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}

fn has(words: &Words, option: &str) -> bool {
    words.iter().skip(2).any(|word| word.eq_ignore_ascii_case(option.as_bytes()))
}

#[test]
fn what_is_accepted_is_documented() {
    let document = include_str!("../../docs/differences.md");
    for Accepted { row, .. } in ACCEPTED {
        assert!(document.contains(&format!("\n| {row}")), "docs/differences.md has no row that begins with: {row}");
    }
}
