//! Redis' patterns: `*`, `?`, `[a-z]`, `[^a]`, `\x`, byte by byte.
//!
//! Two pointers and one place to go back to, so the work is at most pattern times text, whatever the pattern.

/// Whether `text` matches `pattern`.
///
/// Source: the behaviour of Redis' `stringmatchlen`, edge cases included: an unclosed `[` ends with the pattern, `\` at
/// the end stands for itself, `[z-a]` is the same as `[a-z]`, and the empty text matches nothing but the empty pattern, so
/// not even `*`. Commands for which `*` means everything (KEYS, SCAN) see to that themselves.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how much of the text it has been given.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        match one(&pattern[p.min(pattern.len())..], text[t]) {
            Some(used) => {
                p += used;
                t += 1;
            }
            None => match &mut retry {
                Some((after, given)) => {
                    *given += 1;
                    (p, t) = (*after, *given);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte with the first item of the pattern; returns the item's length.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => class(rest, byte).map(|used| used + 1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Matches one byte with a class, given what follows its `[`; returns the length up to and with the `]`.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let is_negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_in = false;
    let used = loop {
        match &pattern[at.min(pattern.len())..] {
            [] => break pattern.len(),
            [b']', ..] => break at + 1,
            [b'\\', escaped, ..] => {
                is_in |= *escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                is_in |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_in |= *literal == byte;
                at += 1;
            }
        }
    };
    (is_in != is_negated).then_some(used)
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("*", "abc", true),
            ("", "", true),
            ("*", "", false),
            ("**", "", false),
            ("a**", "a", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hxllo", false),
            ("[\\]]", "]", true),
            ("a\\", "a\\", true),
            ("[abc", "c", true),
            ("[abc", "d", false),
            ("[^]", "x", true),
            ("[]", "x", false),
            ("**a", "bba", true),
            ("*.txt", "a.txt.txt", true),
            ("abc", "ab", false),
            ("ab", "abc", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let text = vec![b'a'; 60_000];
        assert!(!matches(&[b"a*".repeat(200), b"b".to_vec()].concat(), &text));
        assert!(matches(&b"*".repeat(100_000), &text));
        assert!(!matches(&b"[".repeat(50_000), &text));
    }
}
