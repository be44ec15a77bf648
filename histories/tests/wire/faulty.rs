//! A small server of the models, a thread a connection and one lock, which does one thing wrong now and then.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use histories::model::{Command, End, ListOp, Model, Op, Space, TextOp, Value};
use histories::reply::{OK, Reply};

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// A read gives the value before the last.
    StaleRead,
    /// A write, alone or in a transaction, is answered and not done.
    LostUpdate,
    /// MSET lets others see its first half.
    TornMset,
    /// A SET is answered before it is done.
    EarlyReply,
    /// EXEC lets others in between its commands.
    TornExec,
    /// EXEC does not look at what was watched.
    BlindExec,
}

/// One request of so many is treated wrongly.
const RARELY: u32 = 100;

/// How long the wrong state can be seen: longer than a request takes.
const LONG: Duration = Duration::from_millis(2);

/// A running server, until it is dropped.
pub struct Faulty {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    fault: Fault,
    store: Mutex<Store>,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Store {
    values: HashMap<String, Value>,
    /// What keys held before they changed, and how often they did.
    before: HashMap<String, Option<Value>>,
    changes: HashMap<String, u64>,
}

impl Faulty {
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has free ports");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared { fault, store: Mutex::default(), is_over: AtomicBool::new(false) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.is_over.load(Relaxed) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || Connection::new(shared).serve(stream));
            }
        });
        Self { address, shared }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        // The thread that accepts sees it when somebody connects.
        drop(TcpStream::connect(self.address));
    }
}

impl Store {
    /// Does a request; `None` if it is not known.
    fn apply(&mut self, words: &[String], is_lost: bool) -> Option<Reply> {
        let (op, keys) = parse(words)?;
        let space = (0..).zip(&keys).fold(Space::default(), |space, (at, key)| space.with(at, self.get(key)));
        let (next, reply) = space.outcomes(&op).remove(0);
        for (at, key) in (0..).zip(&keys) {
            if next.get(at) != space.get(at) && !is_lost {
                self.before.insert(key.clone(), self.get(key));
                *self.changes.entry(key.clone()).or_default() += 1;
                match next.get(at).cloned() {
                    Some(value) => self.values.insert(key.clone(), value),
                    None => self.values.remove(key),
                };
            }
        }
        Some(reply)
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.values.get(key).cloned()
    }

    /// The answer to a read before the key's last change.
    fn stale(&self, words: &[String]) -> Option<Reply> {
        let (op, keys) = parse(words)?;
        let before = self.before.get(&keys[0])?.clone();
        Some(Space::default().with(0, before).outcomes(&op).remove(0).1)
    }
}

/// A request as an operation on numbered keys, and their names.
fn parse(words: &[String]) -> Option<(Op, Vec<String>)> {
    let number = |at: usize| words.get(at)?.parse::<u32>().ok();
    let one = |command: Command| Some((Op::One(0, command), vec![words[1].clone()]));
    let text = |op: TextOp| one(Command::Text(op));
    let all = || (words[1..].to_vec(), (0..).take(words.len() - 1).collect::<Vec<u8>>());
    let pairs = || {
        let names = words[1..].iter().step_by(2).cloned().collect();
        let values = (0..).zip((2..words.len()).step_by(2)).map(|(key, at)| Some((key, number(at)?)));
        Some((values.collect::<Option<Vec<(u8, u32)>>>()?, names))
    };
    match words[0].as_str() {
        // Without a key it is the request that cannot be queued.
        "GET" if words.len() == 2 => text(TextOp::Get),
        "SET" if words.len() == 3 => text(TextOp::Set(number(2)?)),
        "SETNX" => text(TextOp::SetNx(number(2)?)),
        "GETSET" => text(TextOp::GetSet(number(2)?)),
        "GETDEL" => text(TextOp::GetDel),
        "INCRBY" => text(TextOp::Incr(words[2].parse().ok()?)),
        "APPEND" => text(TextOp::Append(number(2)?)),
        "STRLEN" => text(TextOp::StrLen),
        "EXISTS" => one(Command::Exists),
        "EXPIRE" => one(Command::Expire),
        "LRANGE" => one(Command::List(ListOp::Range)),
        "RPUSH" => {
            let values = (2..words.len()).map(number).collect::<Option<_>>()?;
            one(Command::List(ListOp::Push(End::Back, values)))
        }
        "DEL" => Some((Op::Del(all().1), all().0)),
        "MGET" => Some((Op::MGet(all().1), all().0)),
        "MSET" => pairs().map(|(values, names)| (Op::MSet(values), names)),
        "MSETNX" => pairs().map(|(values, names)| (Op::MSetNx(values), names)),
        "RENAME" => Some((Op::Rename(0, 1), words[1..].to_vec())),
        "RENAMENX" => Some((Op::RenameNx(0, 1), words[1..].to_vec())),
        "COPY" => Some((Op::Copy(0, 1, words.len() == 4), words[1..3].to_vec())),
        _ => None,
    }
}

/// One client's side.
struct Connection {
    shared: Arc<Shared>,
    /// Keys, and how often they had changed.
    watched: Vec<(String, u64)>,
    queue: Option<Vec<Vec<String>>>,
    is_refused: bool,
}

impl Connection {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, watched: Vec::new(), queue: None, is_refused: false }
    }

    /// Answers until the peer is gone.
    fn serve(mut self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut chunk) {
            buffer.extend_from_slice(&chunk[..len]);
            let mut out = Vec::new();
            while let Some((request, used)) =
                (!buffer.is_empty()).then(|| Reply::parse(&buffer).expect("a request is an array")).flatten()
            {
                buffer.drain(..used);
                let words: Vec<String> = request.items().expect("an array").iter().map(word).collect();
                encode(&self.answer(words), &mut out);
            }
            if stream.write_all(&out).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, words: Vec<String>) -> Reply {
        let is_end = matches!(words[0].as_str(), "EXEC" | "DISCARD");
        if let Some(queue) = self.queue.as_mut().filter(|_| !is_end) {
            self.is_refused |= parse(&words).is_none();
            queue.push(words);
            return if self.is_refused { Reply::error("ERR") } else { Reply::Status("QUEUED") };
        }
        match words[0].as_str() {
            "MULTI" => {
                self.queue = Some(Vec::new());
                OK
            }
            "DISCARD" => {
                self.reset();
                OK
            }
            "WATCH" => {
                let store = self.shared.store.lock().expect("no connection panics");
                let changes = |key: &String| (key.clone(), store.changes.get(key).copied().unwrap_or(0));
                self.watched.extend(words[1..].iter().map(changes));
                OK
            }
            "EXEC" => {
                let reply = self.exec();
                self.reset();
                reply
            }
            "CLIENT" => Reply::Int(0),
            _ => self.request(&words),
        }
    }

    fn reset(&mut self) {
        (self.queue, self.is_refused) = (None, false);
        self.watched.clear();
    }

    fn exec(&mut self) -> Reply {
        if self.is_refused {
            return Reply::error("EXECABORT");
        }
        let fault = self.shared.fault;
        let queue = self.queue.take().unwrap_or_default();
        let mut store = self.shared.store.lock().expect("no connection panics");
        let is_same = |(key, seen): &(String, u64)| store.changes.get(key).copied().unwrap_or(0) == *seen;
        if fault != Fault::BlindExec && !self.watched.iter().all(is_same) {
            return Reply::Nil;
        }
        let is_torn = fault == Fault::TornExec && fastrand::u32(..RARELY / 10) == 0;
        let mut replies = Vec::new();
        for words in &queue {
            // All of the queue is known, or EXEC is refused.
            let is_lost = fault == Fault::LostUpdate && fastrand::u32(..RARELY) == 0;
            replies.extend(store.apply(words, is_lost));
            if is_torn {
                drop(store);
                std::thread::sleep(LONG);
                store = self.shared.store.lock().expect("no connection panics");
            }
        }
        Reply::Array(replies)
    }

    /// A request outside of a transaction.
    fn request(&self, words: &[String]) -> Reply {
        let name = words[0].as_str();
        let is_write = !matches!(name, "GET" | "MGET" | "STRLEN" | "EXISTS" | "LRANGE");
        let is_wrong = fastrand::u32(..RARELY) == 0;
        let mut store = self.shared.store.lock().expect("no connection panics");
        let reply = match self.shared.fault {
            Fault::StaleRead if is_wrong && matches!(name, "GET" | "LRANGE") => store.stale(words),
            Fault::LostUpdate if is_wrong && is_write => return store.apply(words, true).expect("known"),
            Fault::TornMset if name == "MSET" && fastrand::bool() => {
                store.apply(&[&["MSET".into()], &words[1..3]].concat(), false);
                drop(store);
                std::thread::sleep(LONG);
                store = self.shared.store.lock().expect("no connection panics");
                None
            }
            Fault::EarlyReply if is_wrong && name == "SET" => {
                let (shared, words) = (Arc::clone(&self.shared), words.to_vec());
                std::thread::spawn(move || {
                    std::thread::sleep(LONG);
                    shared.store.lock().expect("no connection panics").apply(&words, false);
                });
                return OK;
            }
            _ => None,
        };
        reply.or_else(|| store.apply(words, false)).unwrap_or_else(|| Reply::error("ERR"))
    }
}

fn word(reply: &Reply) -> String {
    match reply {
        Reply::Number(number) => number.to_string(),
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into(),
        other => panic!("no word: {other}"),
    }
}

fn encode(reply: &Reply, out: &mut Vec<u8>) {
    let mut line = |text: String| out.extend_from_slice(format!("{text}\r\n").as_bytes());
    match reply {
        Reply::Nil => line("$-1".into()),
        Reply::Status(text) => line(format!("+{text}")),
        Reply::Int(number) => line(format!(":{number}")),
        Reply::Number(number) => line(format!("${}\r\n{number}", number.to_string().len())),
        Reply::Bulk(bytes) => line(format!("${}\r\n{}", bytes.len(), String::from_utf8_lossy(bytes))),
        Reply::Error(word) => line(format!("-{word} no")),
        Reply::Array(items) => {
            line(format!("*{}", items.len()));
            items.iter().for_each(|item| encode(item, out));
        }
    }
}
