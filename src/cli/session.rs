//! A session: one connection, what the server knows about it, and the way a command goes through it to the output.
//!
//! The session follows the commands it sends (SELECT, AUTH, HELLO, MULTI ...), so that the prompt can say where one is
//! and a reconnect puts everything back. It serves single commands, scripts on standard input and the prompt alike.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Address, Connection, Target, open_reason};
use crate::docs::Docs;
use crate::format::{self, Delimiters, Form};
use crate::resp::{Fault, Reply};

/// How often a wait for the server looks whether Ctrl-C was pressed.
const INTERRUPT_POLL: Duration = Duration::from_millis(100);

/// Replies that took at least this long are followed by their time, on a terminal's form; redis-cli's limit.
const SLOW: Duration = Duration::from_millis(500);

/// How many redirections are followed for one command; a cluster at rest needs one.
const REDIRECTIONS_MAX: usize = 16;

/// How replies are shown, and what becomes of errors.
#[derive(Clone, Debug)]
pub struct Style {
    pub form: Form,
    pub delimiters: Delimiters,
    pub show_pushes: bool,
    /// `-e`: an error goes to standard error and ends the process with code 1.
    pub exit_code: bool,
    /// Show the time of every command, not only of slow ones.
    pub timing: bool,
}

/// Why a command did not get through.
#[derive(Debug)]
pub enum Trouble {
    /// Already reported to the user.
    Reported,
    /// Standard output is gone.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Output(error)
    }
}

/// Where the output goes. The pager replaces standard output for one reply.
pub type Output<'a> = &'a mut dyn Write;

pub struct Session {
    pub target: Target,
    pub style: Style,
    /// Reading lines, from a terminal or a script: errors do not end the process, lost connections come back.
    pub interactive: bool,
    /// Whether the prompt completes a command with its arguments in grey.
    pub hints: bool,
    /// Whether replies that have such a shape are shown as tables.
    pub tables: bool,
    /// Whether replies longer than the screen go through a pager.
    pub pager: bool,
    connection: Option<Connection>,
    db: i64,
    in_multi: bool,
    /// `-c`: follow a cluster's redirections.
    pub cluster: bool,
    docs: Option<Arc<Docs>>,
    /// The database that EXEC will leave us in, when a SELECT was queued.
    queued_db: Option<i64>,
    /// Set by Ctrl-C where it must not end the process.
    interrupted: Option<Arc<AtomicBool>>,
}

/// What a mode of the connection means for the replies that follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Subscribe,
    Monitor,
    Replica,
}

impl Session {
    pub fn new(target: Target, style: Style) -> Session {
        let db = target.login.db;
        Session {
            target,
            style,
            interactive: false,
            hints: true,
            tables: false,
            pager: false,
            connection: None,
            db,
            in_multi: false,
            queued_db: None,
            cluster: false,
            docs: None,
            interrupted: None,
        }
    }

    /// From now on Ctrl-C only sets `flag`, which ends waits.
    pub fn interruptible(&mut self, flag: Arc<AtomicBool>) {
        self.interrupted = Some(flag);
    }

    /// The documentation of the server's commands; asked for once a connection, since another server may differ.
    pub fn docs(&mut self) -> Arc<Docs> {
        if let Some(docs) = &self.docs {
            return Arc::clone(docs);
        }
        if self.connection.is_none() {
            // Help is also for those who have no server yet, so that this fails is no news to report.
            let _ = self.connect();
        }
        let asked = self.ask(&["COMMAND", "DOCS"]).and_then(|reply| Docs::of(&reply));
        let known = asked.is_some();
        let docs = Arc::new(asked.unwrap_or_else(Docs::own));
        if known || self.connection.is_some() {
            self.docs = Some(Arc::clone(&docs));
        }
        docs
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    pub fn db(&self) -> i64 {
        self.db
    }

    pub fn in_multi(&self) -> bool {
        self.in_multi
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The target with what was selected and logged in since: for tools that connect on their own.
    pub fn current_target(&self) -> Target {
        let mut target = self.target.clone();
        target.login.db = self.db;
        target
    }

    /// Connects, dropping an open connection, and logs in. A login that fails is reported and not fatal, as in
    /// redis-cli: the server then says NOAUTH to what follows.
    ///
    /// # Errors
    /// The line for the user, when there is no connection.
    pub fn connect(&mut self) -> Result<(), String> {
        self.connection = None;
        self.in_multi = false;
        self.docs = None;
        let unreachable = |error: io::Error| {
            format!("Could not connect to Redis at {}: {}", self.target.address, open_reason(&error))
        };
        let mut connection = Connection::open(&self.target.address).map_err(unreachable)?;
        let mut login = self.target.login.clone();
        login.db = self.db;
        for (what, request) in login.requests() {
            match connection.call(&request) {
                Ok(Reply::Error(text)) => {
                    let shown = request[0..1 + usize::from(what != "AUTH")].join(" ");
                    eprintln!("{shown} failed: {}", String::from_utf8_lossy(&text));
                    if what == "SELECT" {
                        self.db = 0;
                    }
                }
                Ok(_) => {}
                Err(fault) => return Err(format!("Error: {fault}")),
            }
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Runs one command `repeat` times (negative: for ever), `interval` apart, and shows what comes back.
    ///
    /// # Errors
    /// [`Trouble`], after which the next command may be tried.
    pub fn run(&mut self, args: &[Vec<u8>], repeat: i64, interval: Duration, out: Output<'_>) -> Result<(), Trouble> {
        let mut left = repeat;
        while left != 0 {
            let began = Instant::now();
            self.run_once(args, out)?;
            let took = began.elapsed();
            let slow = self.interactive && took >= SLOW && !self.was_interrupted();
            if (slow || self.style.timing) && self.style.form == Form::Terminal {
                writeln!(out, "({:.*}s)", if slow { 2 } else { 4 }, took.as_secs_f64())?;
            }
            out.flush()?;
            if self.was_interrupted() {
                break;
            }
            std::thread::sleep(interval);
            left -= i64::from(left > 0);
        }
        Ok(())
    }

    /// Sends a request whose reply is not for the output (hints, completion). `None` when there is no connection, an
    /// error came back, or a transaction or push mode is open, where a request of ours would do harm.
    pub fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Option<Reply> {
        if self.in_multi {
            return None;
        }
        let connection = self.connection.as_mut()?;
        if connection.is_stale() || connection.send(args).is_err() {
            self.connection = None;
            return None;
        }
        loop {
            match connection.receive() {
                Ok(Reply::Push(_)) => {}
                Ok(Reply::Error(_)) => return None,
                Ok(reply) => return Some(reply),
                Err(_) => {
                    self.connection = None;
                    return None;
                }
            }
        }
    }

    /// One request, one reply, with pushes shown as they come; the reply is returned instead of shown.
    ///
    /// # Errors
    /// [`Trouble`], reported.
    pub fn call(&mut self, args: &[Vec<u8>], out: Output<'_>) -> Result<Reply, Trouble> {
        self.ensure_connected()?;
        let connection = self.connection.as_mut().expect("connected above");
        if let Err(error) = connection.send(args) {
            return Err(self.lost(Fault::Io(error)));
        }
        // In RESP3 these are answered by a push alone.
        let name = args[0].to_ascii_lowercase();
        if name.ends_with(b"unsubscribe") && self.target.login.resp3 {
            let connection = self.connection.as_mut().expect("connected above");
            return connection.receive().map_err(|fault| self.lost(fault));
        }
        self.next_reply(out)
    }

    /// Follows the effects of a command on the session. Public for callers of [`call`](Self::call).
    pub fn follow(&mut self, args: &[Vec<u8>], reply: &Reply) {
        let word = |at: usize| args.get(at).map(|arg| arg.to_ascii_lowercase()).unwrap_or_default();
        let text = |at: usize| args.get(at).map(|arg| String::from_utf8_lossy(arg).into_owned());
        let failed = reply.is_error();
        match word(0).as_slice() {
            b"exec" | b"discard" => {
                self.in_multi = self.in_multi && failed && !ends_transaction(reply);
                if let (b"exec", Reply::Array(_), Some(db)) = (word(0).as_slice(), reply, self.queued_db.take()) {
                    self.db = db;
                }
            }
            _ if failed => {}
            b"multi" => {
                self.in_multi = true;
                self.queued_db = None;
            }
            b"select" if self.in_multi => self.queued_db = text(1).and_then(|db| db.parse().ok()),
            _ if self.in_multi && reply.bytes() == Some(b"QUEUED") => {}
            b"select" => self.db = text(1).and_then(|db| db.parse().ok()).unwrap_or(self.db),
            b"auth" if args.len() == 2 => {
                self.target.login.user = None;
                self.target.login.password = text(1);
            }
            b"auth" if args.len() == 3 => {
                self.target.login.user = text(1);
                self.target.login.password = text(2);
            }
            b"hello" => {
                match word(1).as_slice() {
                    b"2" => self.target.login.resp3 = false,
                    b"3" => self.target.login.resp3 = true,
                    _ => {}
                }
                let auth = args.iter().position(|arg| arg.eq_ignore_ascii_case(b"auth"));
                if let Some(at) = auth.filter(|at| at + 2 < args.len()) {
                    self.target.login.user = text(at + 1);
                    self.target.login.password = text(at + 2);
                }
            }
            b"reset" => {
                self.db = 0;
                self.in_multi = false;
                self.target.login.resp3 = false;
            }
            _ => {}
        }
    }

    /// A reply in the session's form.
    pub fn formatted(&self, args: &[Vec<u8>], reply: &Reply) -> String {
        String::from_utf8_lossy(&self.bytes(args, reply)).into_owned()
    }

    fn run_once(&mut self, args: &[Vec<u8>], out: Output<'_>) -> Result<(), Trouble> {
        let name = args[0].to_ascii_lowercase();
        if name == b"shutdown" {
            return self.shut_down(args, out);
        }
        let stream = match name.as_slice() {
            b"subscribe" | b"psubscribe" | b"ssubscribe" => Some(Stream::Subscribe),
            b"monitor" => Some(Stream::Monitor),
            b"sync" | b"psync" => Some(Stream::Replica),
            _ => None,
        };
        if let Some(stream) = stream.filter(|_| !self.in_multi) {
            return self.stream(args, stream, out);
        }
        let mut reply = self.call(args, out)?;
        for _ in 0..REDIRECTIONS_MAX {
            let Some(redirection) = redirection(&reply).filter(|_| self.cluster) else { break };
            reply = self.redirected(args, &redirection, out)?;
        }
        self.follow(args, &reply);
        self.show(args, &reply, out)
    }

    /// Goes where a cluster's node pointed to, and asks again there.
    fn redirected(&mut self, args: &[Vec<u8>], to: &Redirection, out: Output<'_>) -> Result<Reply, Trouble> {
        let host = match (&to.host, &self.target.address) {
            // A node without a name of its own means the one that we talk to.
            (None, Address::Tcp { host, .. }) => host.clone(),
            (host, _) => host.clone().unwrap_or_else(|| "127.0.0.1".into()),
        };
        if self.interactive {
            writeln!(out, "-> Redirected to slot [{}] located at {host}:{}", to.slot, to.port)?;
        }
        self.target.address = Address::Tcp { host, port: to.port };
        self.connect().map_err(report)?;
        if to.is_ask {
            self.call(&[b"ASKING".to_vec()], out)?;
        }
        self.call(args, out)
    }

    fn show(&mut self, args: &[Vec<u8>], reply: &Reply, out: Output<'_>) -> Result<(), Trouble> {
        if let (Reply::Error(text), true, false) = (reply, self.style.exit_code, self.interactive) {
            out.flush()?;
            let mut stderr = io::stderr();
            stderr.write_all(text)?;
            stderr.write_all(b"\n")?;
            return Err(Trouble::Reported);
        }
        out.write_all(&self.bytes(args, reply))?;
        Ok(())
    }

    fn bytes(&self, args: &[Vec<u8>], reply: &Reply) -> Vec<u8> {
        match is_text(args) && !matches!(reply, Reply::Status(_) if self.in_multi) {
            true => format::verbatim(reply, &self.style.delimiters),
            false => format::reply(reply, self.style.form, &self.style.delimiters),
        }
    }

    /// SHUTDOWN succeeds by closing the connection; a reply is its failure.
    fn shut_down(&mut self, args: &[Vec<u8>], out: Output<'_>) -> Result<(), Trouble> {
        self.ensure_connected()?;
        let connection = self.connection.as_mut().expect("connected above");
        match connection.call(args) {
            Ok(reply) => self.show(args, &reply, out),
            Err(_) => {
                self.connection = None;
                self.in_multi = false;
                Ok(())
            }
        }
    }

    /// Subscriptions and MONITOR: shows what comes until Ctrl-C, then starts over with a fresh connection.
    fn stream(&mut self, args: &[Vec<u8>], stream: Stream, out: Output<'_>) -> Result<(), Trouble> {
        self.ensure_connected()?;
        let connection = self.connection.as_mut().expect("connected above");
        if let Err(error) = connection.send(args) {
            return Err(self.lost(Fault::Io(error)));
        }
        if stream == Stream::Subscribe && self.style.form != Form::Raw {
            writeln!(out, "Reading messages... (press Ctrl-C to quit)")?;
        }
        let mut first = true;
        loop {
            out.flush()?;
            if !self.await_reply()? {
                // Leaving these modes in order would take a conversation; a new connection is simpler and certain.
                writeln!(out)?;
                return self.connect().map_err(report);
            }
            let connection = self.connection.as_mut().expect("kept while waiting");
            let reply = match connection.receive() {
                Ok(reply) => reply,
                Err(fault) => return Err(self.lost(fault)),
            };
            let refused = first && reply.is_error();
            first = false;
            let bytes = format::reply(&reply, self.style.form, &self.style.delimiters);
            out.write_all(&bytes)?;
            if refused {
                return Ok(());
            }
        }
    }

    fn ensure_connected(&mut self) -> Result<(), Trouble> {
        let was_in_multi = self.in_multi;
        if let Some(connection) = &mut self.connection {
            if !connection.is_stale() {
                return Ok(());
            }
            self.connection = None;
            if was_in_multi {
                // What was queued is gone; running the rest of it outside of the transaction would be wrong.
                self.in_multi = false;
                return Err(report("Error: Server closed the connection; the transaction is discarded".into()));
            }
        }
        self.connect().map_err(report)
    }

    /// The next reply that is not a push.
    fn next_reply(&mut self, out: Output<'_>) -> Result<Reply, Trouble> {
        loop {
            if !self.await_reply()? {
                // There is no way to take a request back; a new connection at least frees the prompt.
                let trouble =
                    report("\n(interrupted: the connection was closed; the command may still take effect)".into());
                return Err(self.connect().map_or_else(report, |()| trouble));
            }
            let connection = self.connection.as_mut().expect("kept while waiting");
            match connection.receive() {
                Ok(push @ Reply::Push(_)) => self.show_push(&push, out)?,
                Ok(reply) => return Ok(reply),
                Err(fault) => return Err(self.lost(fault)),
            }
        }
    }

    /// Waits for the server where Ctrl-C must be noticed. Returns false when it was pressed since the line was entered, also
    /// while something was shown, and also where there is always more to come.
    fn await_reply(&mut self) -> Result<bool, Trouble> {
        let (Some(flag), Some(connection)) = (self.interrupted.clone(), self.connection.as_mut()) else {
            return Ok(true);
        };
        while !flag.load(Ordering::Relaxed) {
            match connection.wait(INTERRUPT_POLL) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => return Err(self.lost(Fault::Io(error))),
            }
        }
        Ok(false)
    }

    /// Begins with a line: an earlier Ctrl-C is none of its.
    pub fn forget_interrupt(&self) {
        if let Some(flag) = &self.interrupted {
            flag.store(false, Ordering::Relaxed);
        }
    }

    fn show_push(&mut self, push: &Reply, out: Output<'_>) -> Result<(), Trouble> {
        if !self.style.show_pushes {
            return Ok(());
        }
        let special = format::invalidation(push).filter(|_| self.style.form == Form::Terminal);
        let bytes = match special {
            Some(text) => text.into_bytes(),
            None => format::reply(push, self.style.form, &self.style.delimiters),
        };
        out.write_all(&bytes)?;
        Ok(())
    }

    /// Gives the connection up and says so.
    fn lost(&mut self, fault: Fault) -> Trouble {
        self.connection = None;
        self.in_multi = false;
        report(format!("Error: {fault}"))
    }

    fn was_interrupted(&self) -> bool {
        self.interrupted.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// `MOVED slot host:port` or `ASK slot host:port`.
struct Redirection {
    slot: u16,
    host: Option<String>,
    port: u16,
    is_ask: bool,
}

fn redirection(reply: &Reply) -> Option<Redirection> {
    let Reply::Error(text) = reply else { return None };
    let text = String::from_utf8_lossy(text);
    let mut words = text.split(' ');
    let is_ask = match words.next()? {
        "MOVED" => false,
        "ASK" => true,
        _ => return None,
    };
    let slot = words.next()?.parse().ok()?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let host = Some(host.to_string()).filter(|host| !host.is_empty());
    Some(Redirection { slot, host, port: port.parse().ok()?, is_ask })
}

/// Prints a line for the user and says that this was done.
pub fn report(line: String) -> Trouble {
    eprintln!("{line}");
    Trouble::Reported
}

/// Whether an error of EXEC means that the transaction is over: every one does except a wrong number of arguments.
fn ends_transaction(reply: &Reply) -> bool {
    !reply.bytes().unwrap_or_default().starts_with(b"ERR wrong number of arguments")
}

/// Commands whose reply is a text for people: shown as it is in every form. redis-cli's list.
pub fn is_text(args: &[Vec<u8>]) -> bool {
    let words: Vec<String> = args.iter().take(2).map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
    let sub = words.get(1).map(String::as_str);
    matches!(
        (words[0].as_str(), sub, args.len()),
        ("info" | "lolwut", ..)
            | ("debug", Some("htstats" | "htstats-key" | "client-eviction"), _)
            | ("memory", Some("malloc-stats" | "doctor"), _)
            | ("cluster", Some("nodes" | "info"), 2)
            | ("client", Some("list" | "info"), _)
            | ("latency", Some("graph"), 3)
            | ("latency", Some("doctor"), 2)
            | ("proxy", Some("info"), _)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;
    use crate::client::{Address, Login};

    /// A terminal on which Ctrl-C is pressed as soon as something is shown.
    struct Impatient(Arc<AtomicBool>);

    impl Write for Impatient {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.store(true, Ordering::Relaxed);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn control_c_while_a_message_is_shown_ends_the_subscription() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            client.read_exact(&mut [0; 10]).expect("a request");
            client.write_all(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").expect("connected");
            // Where Ctrl-C is not noticed, the subscription ends by this.
            client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
            let waited = client.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            drop(client);
            // The prompt comes back with a connection that is not subscribed.
            (waited, listener.accept())
        });
        let target = Target { address: Address::Tcp { host: "127.0.0.1".into(), port }, login: Login::default() };
        let form = Form::Terminal;
        let style =
            Style { form, delimiters: Delimiters::default(), show_pushes: true, exit_code: false, timing: false };
        let mut session = Session::new(target, style);
        let flag = Arc::new(AtomicBool::new(false));
        session.interruptible(Arc::clone(&flag));
        let words = [b"subscribe".to_vec(), b"c".to_vec()];
        session.run(&words, 1, Duration::ZERO, &mut Impatient(flag)).expect("it ends in order");
        assert!(session.was_interrupted());
        session.forget_interrupt();
        assert!(!session.was_interrupted());
        let (waited, again) = server.join().expect("no panic");
        assert!(!waited);
        again.expect("a new connection");
    }
}
