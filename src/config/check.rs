//! Checks of texts, each named after its option: which are accepted, and their canonical form.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::value::integer;

pub(crate) fn any(text: &str) -> Result<String, &'static str> {
    Ok(text.to_owned())
}

/// Addresses separated by blanks, without ports: [`split_port`] takes the port away before.
pub(crate) fn bind(text: &str) -> Result<String, &'static str> {
    // 16: Redis' limit of addresses.
    let addresses: Vec<&str> = text.split_whitespace().collect();
    if addresses.len() > 16 {
        return Err("Too many bind addresses specified.");
    }
    if addresses.iter().all(|address| is_address(address.strip_prefix('-').unwrap_or(address))) {
        Ok(addresses.join(" "))
    } else {
        Err("Invalid bind address.")
    }
}

fn is_address(host: &str) -> bool {
    if matches!(host, "*" | "::*") || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // A name whose last label is a number can only be a mistyped IPv4 address.
    let last = host.rsplit('.').next().unwrap_or_default();
    host.split('.').all(is_label)
        && (!last.bytes().all(|byte| byte.is_ascii_digit()) || host.parse::<Ipv4Addr>().is_ok())
}

pub(crate) fn compat_version(text: &str) -> Result<String, &'static str> {
    let parts: Vec<&str> = text.split('.').collect();
    let is_part = |part: &&str| part.len() <= 3 && part.parse::<u8>().is_ok_and(|number| number.to_string() == **part);
    if parts.len() == 3 && parts.iter().all(is_part) {
        Ok(text.to_owned())
    } else {
        Err("argument must be a version such as 7.4.2")
    }
}

pub(crate) fn save(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Ok(String::new()) } else { Err("Kiba does not save snapshots yet") }
}

pub(crate) fn appendonly(text: &str) -> Result<String, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "no" => Ok("no".to_owned()),
        "yes" => Err("Kiba does not write an append-only file yet"),
        _ => Err("argument must be 'yes' or 'no'"),
    }
}

pub(crate) fn dbfilename(text: &str) -> Result<String, &'static str> {
    if text.contains('/') { Err("dbfilename can't be a path, just a filename") } else { any(text) }
}

/// An existing directory, made absolute. Empty stands for the working directory.
pub(crate) fn dir(text: &str) -> Result<String, &'static str> {
    let path = Path::new(if text.is_empty() { "." } else { text });
    let path = path.canonicalize().map_err(|_| "No such directory, or no permission to enter it")?;
    if !path.is_dir() {
        return Err("Not a directory");
    }
    path.into_os_string().into_string().map_err(|_| "The directory's name is not valid UTF-8")
}

/// Takes the ports away from the original Kiba's form of `bind` (`127.0.0.1:6464`, `[::1]:6464`, `localhost:6464`).
///
/// Returns the addresses joined by blanks and the port, if there was one.
///
/// # Errors
/// When a port is no number from 0 to 65535 or two addresses name different ports.
pub(crate) fn split_port(addresses: &str) -> Result<(String, Option<u16>), &'static str> {
    let mut hosts = Vec::new();
    let mut port = None;
    for address in addresses.split_whitespace() {
        let (optional, address) = match address.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", address),
        };
        let (host, digits) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or("expected a colon after the bracket")?)),
            // More than one colon outside of brackets is an IPv6 address without a port.
            None => match address.split_once(':') {
                Some((host, digits)) if !digits.contains(':') => (host, Some(digits)),
                _ => (address, None),
            },
        };
        if let Some(digits) = digits {
            let number: u16 = integer(digits.as_bytes())
                .and_then(|number| u16::try_from(number).ok())
                .ok_or("expected a port from 0 to 65535 after the colon")?;
            if port.is_some_and(|port| port != number) {
                return Err("expected the same port for all addresses");
            }
            port = Some(number);
        }
        hosts.push(format!("{optional}{host}"));
    }
    Ok((hosts.join(" "), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_takes_addresses_and_names() {
        for text in ["127.0.0.1", "127.0.0.1 ::1", "* -::*", "-::1", "localhost", "my-host.example_1.org", ""] {
            assert_eq!(bind(text), Ok(text.to_owned()));
        }
        assert_eq!(bind("  127.0.0.1\t::1 "), Ok("127.0.0.1 ::1".to_owned()));
        for text in ["1.2.3.4.5", "256.1.1.1", "1.2.3", "::g", "a b..c", "--x", "ho!st", "tcp://host"] {
            assert_eq!(bind(text), Err("Invalid bind address."), "{text:?}");
        }
        assert_eq!(bind(&"::1 ".repeat(16)).map(|text| text.len()), Ok(16 * 4 - 1));
        assert_eq!(bind(&"::1 ".repeat(17)), Err("Too many bind addresses specified."));
    }

    #[test]
    fn a_port_behind_the_address_is_taken_away() {
        let split = |text| split_port(text).map(|(hosts, port)| (hosts, port.map_or(-1, i32::from)));
        assert_eq!(split("127.0.0.1:6464"), Ok(("127.0.0.1".to_owned(), 6464)));
        assert_eq!(split("127.0.0.1 ::1"), Ok(("127.0.0.1 ::1".to_owned(), -1)));
        assert_eq!(split("-[::1]:7000 localhost:7000"), Ok(("-::1 localhost".to_owned(), 7000)));
        assert_eq!(split("[::1]"), Ok(("::1".to_owned(), -1)));
        for text in ["1.1.1.1:", "1.1.1.1:x", "1.1.1.1:65536", "1.1.1.1:-1", "[::1]7", "a:1 b:2"] {
            assert!(split(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn versions_have_three_small_numbers() {
        assert!(compat_version("7.4.2").is_ok());
        assert!(compat_version("255.0.0").is_ok());
        for text in ["", "7", "7.4", "7.4.2.1", "7.4.x", "07.4.2", "7.4.-1", "7.4.256", "7.4.2\r\n"] {
            assert!(compat_version(text).is_err(), "{text:?}");
        }
    }
}
