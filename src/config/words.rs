//! The words of a line, and the quotes around them, as in Redis: `"..."` with `\n`, `\x41` and so on, or `'...'`.

/// Splits a line into words as Redis does; nothing for a blank line and a comment.
///
/// # Errors
/// A quote that is not closed, or one that is closed in front of something else than a blank.
pub(crate) fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let line = line.trim_ascii();
    let mut words = Vec::new();
    if line.starts_with(b"#") {
        return Ok(words);
    }
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return Ok(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
            let quote = match byte {
                b'"' | b'\'' => byte,
                _ => {
                    word.push(byte);
                    continue;
                }
            };
            loop {
                match bytes.next().ok_or("a quote is not closed")? {
                    byte if byte == quote => break,
                    b'\\' if quote == b'"' => word.push(escaped(&mut bytes)?),
                    b'\\' if bytes.next_if_eq(&b'\'').is_some() => word.push(b'\''),
                    byte => word.push(byte),
                }
            }
            if bytes.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return Err("a closing quote must be followed by a blank");
            }
        }
        words.push(word);
    }
}

/// The byte that a backslash in double quotes stands for.
fn escaped(bytes: &mut (impl Iterator<Item = u8> + Clone)) -> Result<u8, &'static str> {
    let byte = bytes.next().ok_or("a quote is not closed")?;
    Ok(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        b'x' => {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let mut ahead = bytes.clone();
            match (digit(ahead.next()), digit(ahead.next())) {
                (Some(high), Some(low)) => {
                    *bytes = ahead;
                    (high * 16 + low) as u8
                }
                _ => b'x',
            }
        }
        byte => byte,
    })
}

/// A word as [`split_words`] reads it back, with quotes only where it needs them.
pub(crate) fn quoted(word: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !word.is_empty() && !word.starts_with(b"#") && word.iter().all(is_plain) {
        return word.iter().copied().map(char::from).collect();
    }
    let mut text = String::from("\"");
    for &byte in word {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(byte)),
            byte => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_in_redis() {
        let split = |line: &str| {
            let words = split_words(line.as_bytes())?;
            Ok(words.into_iter().map(|word| String::from_utf8(word).expect("UTF-8")).collect::<Vec<_>>())
        };
        let words = |words: &[&str]| Ok(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(split(""), words(&[]));
        assert_eq!(split(" \t\r"), words(&[]));
        assert_eq!(split("# port 1"), words(&[]));
        assert_eq!(split("  # port 1"), words(&[]));
        assert_eq!(split(" port\t 1 \r"), words(&["port", "1"]));
        assert_eq!(split("save \"\""), words(&["save", ""]));
        assert_eq!(split("a '' b"), words(&["a", "", "b"]));
        assert_eq!(split(r#"p "a b\"\n\x41\xzz\q""#), words(&["p", "a b\"\nAxzzq"]));
        assert_eq!(split(r"p 'a b\'\n'"), words(&["p", r"a b'\n"]));
        assert_eq!(split(r#"p a"b c""#), words(&["p", "ab c"]));
        assert_eq!(split("requirepass a#b"), words(&["requirepass", "a#b"]));
        for line in ["p \"a", "p 'a", "p \"a\\", "p \"", "p \"a\\\"", "'"] {
            assert_eq!(split(line), Err("a quote is not closed"), "{line:?}");
        }
        for line in ["p \"a\"b", "p 'a'b", "p \"\"\"\""] {
            assert_eq!(split(line), Err("a closing quote must be followed by a blank"), "{line:?}");
        }
    }

    #[test]
    fn quoted_words_read_back() {
        for word in [&b""[..], b"a", b"#a", b"a b", b"\"", b"'", b"\\", b"a\nb\r\t\0\x07", b"\xff\xc3\xa9", b"\\x41"] {
            let line = quoted(word);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(split_words(format!("p {line}").as_bytes()), Ok(vec![b"p".to_vec(), word.to_vec()]), "{line}");
        }
        assert_eq!(quoted(b"plain"), "plain");
        assert_eq!(quoted("\u{e9} ".as_bytes()), "\"\\xc3\\xa9 \"");
    }
}
