//! SCAN, as a loop for other modules and as the mode `--scan`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::args::Mode;
use crate::client::{Connection, Target};
use crate::format::Form;
use crate::quote;
use crate::resp::Reply;
use crate::script;
use crate::session::Trouble;

/// A walk over the keys of one database. SCAN may return a key twice; callers that mind remember what they saw.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    pub pattern: Option<Vec<u8>>,
    pub count: Option<u64>,
    pub kind: Option<String>,
    /// The server's cursor; `0` before the first step.
    cursor: Vec<u8>,
    done: bool,
}

impl Scan {
    pub fn new(pattern: Option<Vec<u8>>) -> Scan {
        Scan { pattern, cursor: b"0".to_vec(), ..Scan::default() }
    }

    /// Continues where another walk stopped.
    pub fn resume(&mut self, cursor: &str) {
        self.cursor = cursor.as_bytes().to_vec();
    }

    /// The options of the command line.
    ///
    /// # Errors
    /// A pattern whose quotes do not match.
    pub fn of(mode: &Mode) -> Result<Scan, String> {
        let mut scan = Scan::new(mode.pattern.as_ref().map(|pattern| script::bytes(&Some(pattern.clone()), b"")));
        if mode.quoted_pattern.is_some() {
            let quoted = script::bytes(&mode.quoted_pattern, b"");
            scan.pattern = Some(quote::unquote(&quoted).ok_or("Invalid quoted string specified for --quoted-pattern")?);
        }
        scan.count = mode.count;
        scan.kind.clone_from(&mode.kind);
        Ok(scan)
    }

    pub fn cursor(&self) -> String {
        String::from_utf8_lossy(&self.cursor).into_owned()
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The next keys, possibly none; `None` after the last step.
    ///
    /// # Errors
    /// The server's error, or the connection's.
    pub fn next(&mut self, connection: &mut Connection) -> Result<Option<Vec<Vec<u8>>>, String> {
        if self.done {
            return Ok(None);
        }
        let reply = connection.call(&self.request()).map_err(|fault| format!("Error: {fault}"))?;
        self.take(&reply).map(Some)
    }

    /// The next request, for callers that send it themselves.
    pub fn request(&self) -> Vec<Vec<u8>> {
        let mut request = vec![b"SCAN".to_vec(), self.cursor.clone()];
        let mut option = |name: &str, value: Option<Vec<u8>>| {
            if let Some(value) = value {
                request.extend([name.as_bytes().to_vec(), value]);
            }
        };
        option("MATCH", self.pattern.clone());
        option("COUNT", self.count.map(|count| count.to_string().into_bytes()));
        option("TYPE", self.kind.clone().map(String::into_bytes));
        request
    }

    /// Takes the reply to [`request`](Self::request).
    ///
    /// # Errors
    /// The server's error, or a reply that is none of SCAN's.
    pub fn take(&mut self, reply: &Reply) -> Result<Vec<Vec<u8>>, String> {
        match reply {
            Reply::Error(text) => Err(format!("ERROR: {}", String::from_utf8_lossy(text))),
            Reply::Array(parts) if parts.len() == 2 => {
                self.cursor = parts[0].bytes().map_or_else(|| parts[0].text().into_bytes(), <[u8]>::to_vec);
                self.done = self.cursor == b"0";
                Ok(parts[1].items().iter().filter_map(|key| key.bytes().map(<[u8]>::to_vec)).collect())
            }
            _ => Err("ERROR: the server's reply to SCAN is none".into()),
        }
    }
}

/// `--scan`: prints all keys.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, mode: &Mode, form: Form, pause: Duration) -> Result<ExitCode, String> {
    let mut scan = Scan::of(mode)?;
    let mut connection = Connection::log_in(target)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    while let Some(keys) = scan.next(&mut connection)? {
        for key in keys {
            let written = match form {
                Form::Terminal => writeln!(out, "{}", quote::repr(&key)),
                _ => out.write_all(&key).and_then(|()| out.write_all(b"\n")),
            };
            if let Err(error) = written {
                return Ok(script::code(Err(Trouble::Output(error))));
            }
        }
        std::thread::sleep(pause);
    }
    Ok(script::code(out.flush().map_err(Trouble::Output)))
}
