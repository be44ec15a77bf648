//! Which server: URIs, `host:port`, options and the environment.

use crate::args::{Cli, PORT_DEFAULT, Parsed, Rest, parse};
use crate::client::{Address, Login, Target};

/// The server that `host:port` or a URI names, with the environment's password where it names none.
///
/// # Errors
/// The line for people.
pub fn parse_address(word: &str) -> Result<Target, String> {
    match parse(vec![word.into()]) {
        Ok(Parsed { target, rest: Rest::Command(words), .. }) if words.is_empty() => Ok(target),
        _ => Err(format!("'{word}' is no address; write host:port or kiba://host:port/db")),
    }
}

/// Whether the first word is an address. No server command has a colon in its name.
pub fn is_address(word: &str) -> bool {
    if word.starts_with("kiba://") || word.starts_with("redis://") {
        return true;
    }
    let Some((host, port)) = word.rsplit_once(':') else { return false };
    let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let numbered = host.starts_with('[') && host.ends_with(']');
    (named || numbered) && port.parse::<u16>().is_ok()
}

/// The server, from the URI first, then options, then the environment.
///
/// # Errors
/// The line for standard error: a URI that is none.
pub fn target(cli: &Cli) -> Result<Target, String> {
    let connect = &cli.connect;
    let mut host = "127.0.0.1".to_string();
    let mut port = PORT_DEFAULT;
    let environment = ["KIBACLI_AUTH", "REDISCLI_AUTH"].iter().find_map(|name| std::env::var(name).ok());
    let mut login = Login { db: cli.db, password: environment.filter(|_| !cli.askpass), ..Login::default() };
    if let Some(uri) = &connect.uri {
        let uri = Uri::parse(uri)?;
        host = uri.host.unwrap_or(host);
        port = uri.port.unwrap_or(port);
        login.user = uri.user;
        login.password = uri.password.or(login.password);
        login.db = if cli.db != 0 { cli.db } else { uri.db.unwrap_or(0) };
    }
    host = connect.host.clone().unwrap_or(host);
    port = connect.port.unwrap_or(port);
    login.user = connect.user.clone().or(login.user);
    login.password = connect.password.clone().filter(|_| !cli.askpass).or(login.password);
    // RESP2 is how every connection begins, so there is nothing to say for it.
    login.resp3 = !cli.resp2 && (cli.resp3 || cli.json || cli.quoted_json);
    let address = match &connect.socket {
        Some(path) => Address::Unix(path.clone()),
        None => Address::Tcp { host, port },
    };
    Ok(Target { address, login })
}

/// `kiba://[[user]:password@]host[:port][/db]`
#[derive(Debug, Default, PartialEq)]
struct Uri {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    db: Option<i64>,
}

impl Uri {
    fn parse(text: &str) -> Result<Uri, String> {
        let rest = ["kiba://", "redis://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or("Invalid URI scheme")?;
        let mut uri = Uri::default();
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        if let Some(login) = login {
            // A login without a colon is a password alone, as redis-cli has it.
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, password),
                None => ("", login),
            };
            uri.user = Some(percent_decoded(user)).filter(|user| !user.is_empty());
            uri.password = Some(percent_decoded(password));
        }
        let (place, path) = place.split_once('/').unwrap_or((place, ""));
        let path = path.split('?').next().unwrap_or_default();
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (place, ""),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        uri.host = Some(percent_decoded(host)).filter(|host| !host.is_empty());
        if !port.is_empty() {
            uri.port = Some(port.parse().map_err(|_| format!("Invalid port '{port}' in the URI"))?);
        }
        if !path.is_empty() {
            uri.db = Some(path.parse().map_err(|_| format!("Invalid database '{path}' in the URI"))?);
        }
        Ok(uri)
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_in_all_their_parts() {
        let uri = Uri::parse("redis://:secret@[::1]:7002/5?x=1").expect("good");
        let login = (uri.user, uri.password.as_deref(), uri.host.as_deref(), uri.port, uri.db);
        assert_eq!(login, (None, Some("secret"), Some("::1"), Some(7002), Some(5)));
        assert_eq!(Uri::parse("kiba://").expect("good"), Uri::default());
        assert!(Uri::parse("kiba://h:x").is_err());
    }
}
