//! Quoting: how a typed line becomes arguments, and how bytes are shown.
//!
//! Both follow redis-cli, since scripts depend on them: double quotes know `\n \r \t \b \a \xHH` and take any other
//! escaped byte as itself, single quotes know only `\'`, and a closing quote must be followed by a space or the end.

/// Splits a line into arguments; `None` for unbalanced quotes or text glued behind a closing quote.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = line;
    let mut args = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() || rest[0] == 0 {
            return Some(args);
        }
        let (arg, used) = argument(rest)?;
        args.push(arg);
        rest = &rest[used..];
    }
}

/// One argument from the front of `text`, which starts with something other than a space.
fn argument(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut arg = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
            b'"' => {
                at = double_quoted(text, at + 1, &mut arg)?;
                return closed(text, at).then_some((arg, at));
            }
            b'\'' => {
                at = single_quoted(text, at + 1, &mut arg)?;
                return closed(text, at).then_some((arg, at));
            }
            _ => {
                arg.push(byte);
                at += 1;
            }
        }
    }
    Some((arg, at))
}

/// Whether an argument may end at `at`, right behind a closing quote.
fn closed(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0)
}

fn double_quoted(text: &[u8], mut at: usize, arg: &mut Vec<u8>) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                if let Some(byte) = hex_escape(&text[at..]) {
                    arg.push(byte);
                    at += 4;
                } else {
                    // A backslash as the very last byte is kept; the quote is then missing anyway.
                    arg.push(match text.get(at + 1)? {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 0x08,
                        b'a' => 0x07,
                        other => *other,
                    });
                    at += 2;
                }
            }
            byte => {
                arg.push(*byte);
                at += 1;
            }
        }
    }
}

fn single_quoted(text: &[u8], mut at: usize, arg: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', Some(b'\'')) => {
                arg.push(b'\'');
                at += 2;
            }
            (b'\'', _) => return Some(at + 1),
            (byte, _) => {
                arg.push(*byte);
                at += 1;
            }
        }
    }
}

fn hex_escape(text: &[u8]) -> Option<u8> {
    let [b'\\', b'x', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// Bytes in double quotes, with everything that is not printable ASCII escaped.
pub fn repr(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// A word as it would be typed at the prompt: plain when that is unambiguous, otherwise [`repr`].
pub fn word(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    match !bytes.is_empty() && bytes.iter().all(plain) {
        true => String::from_utf8_lossy(bytes).into_owned(),
        false => repr(bytes),
    }
}

/// One quoted string as `--quoted-input` and `--quoted-pattern` take it; a bare word stands for itself.
pub fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    match text.first() {
        Some(b'"' | b'\'') => match split(text)?.as_mut_slice() {
            [one] => Some(std::mem::take(one)),
            _ => None,
        },
        _ => Some(text.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let text = |arg: Vec<u8>| String::from_utf8_lossy(&arg).into_owned();
        split(line.as_bytes()).map(|args| args.into_iter().map(text).collect())
    }

    #[test]
    fn lines_split_as_redis_cli_splits_them() {
        assert_eq!(words("  set a  b "), Some(vec!["set".into(), "a".into(), "b".into()]));
        assert_eq!(words(r#"x "A\n\q\"\x41""#), Some(vec!["x".into(), "A\nq\"A".into()]));
        assert_eq!(words(r"x 'a\'b\n'"), Some(vec!["x".into(), r"a'b\n".into()]));
        assert_eq!(words(r#"a"b" c"#), Some(vec!["ab".into(), "c".into()]));
        assert_eq!(words(""), Some(vec![]));
        assert_eq!(words(r#"get """#), Some(vec!["get".into(), String::new()]));
        assert_eq!(split(br#""\x00\xfF\xzz""#), Some(vec![b"\x00\xffxzz".to_vec()]));
    }

    #[test]
    fn unbalanced_or_glued_quotes_are_refused() {
        for line in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a\"#, r#""a\""#] {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(repr(&all).as_bytes()), Some(vec![all.clone()]));
        assert_eq!(split(word(&all).as_bytes()), Some(vec![all]));
        assert_eq!(word(b"user:1"), "user:1");
        assert_eq!(word(b""), "\"\"");
    }
}
