//! Commands: one row, one function and its tests for each, a family a file.
//!
//! A row ([`Spec`]) says everything about a command; what can be derived from it is not written twice. How a command
//! reaches data is its [`Run`] type, and through it a command can reach only the keys that its row declares.

mod bitfield;
mod bitmap;
mod block;
mod call;
mod client;
mod compare;
mod config;
mod connection;
mod counter;
mod database;
mod debug;
mod details;
mod dump;
mod expiry;
mod geo;
mod hash;
mod hash_expiry;
mod help;
mod himport;
mod hyperloglog;
mod increx;
mod info;
mod introspection;
mod key;
mod keys;
mod keyspace;
mod list;
mod member_expiry;
mod memory;
mod migrate;
mod object;
mod pubsub;
mod registry;
mod scan;
mod server;
mod set;
mod sort;
mod stream;
mod string;
mod substring;
mod syntax;
#[cfg(all(test, not(kiba_loom)))]
mod tests;
mod tracking;
mod transaction;
mod ttl;
mod typed;
mod wait;
mod zset;

pub use call::{Asker, Call};
pub use himport::Fieldsets;
pub use keys::{Arguments, Finder, Key, Keys, Place, Places};
pub(crate) use memory::bytes_of;
pub use migrate::Migration;
pub(crate) use migrate::hidden as hidden_of_migrate;
pub(crate) use pubsub::deliver;
pub use registry::{Command, Recent, by_index, commands, find, index_end, subcommand};

use std::cell::Cell;

use smallvec::SmallVec;

use crate::error::Error;
use crate::reply::{Reply, Resp};
use crate::server::Tally;
use crate::session::Session;
use crate::store::table::{Raw, Table};
use crate::store::waits::Wanted;
use crate::store::{Entry, Heard, Part, Slot};

/// One command or subcommand.
#[derive(Debug)]
pub struct Spec {
    /// In lower case.
    pub name: &'static str,
    pub arity: Arity,
    pub keys: Keys,
    pub run: Run,
    pub flags: Flags,
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
}

/// How many arguments a command takes, its own name (and its container's) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity(i16);

impl Arity {
    pub const fn exactly(count: i16) -> Self {
        Self(count)
    }

    pub const fn at_least(count: i16) -> Self {
        Self(-count)
    }

    #[inline]
    pub fn allows(self, count: usize) -> bool {
        if self.0 >= 0 { count == self.0 as usize } else { count >= self.0.unsigned_abs() as usize }
    }

    /// As COMMAND shows it: negative for a minimum.
    pub fn code(self) -> i64 {
        i64::from(self.0)
    }
}

/// Properties that cannot be derived from the rest of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

macro_rules! flags {
    ($($(#[doc = $doc:literal])+ $name:ident = $bit:literal, $text:literal;)+) => {
        impl Flags {
            pub const NONE: Self = Self(0);
            $($(#[doc = $doc])+ pub const $name: Self = Self(1 << $bit);)+

            /// All flags with their names in COMMAND's answer.
            pub const NAMED: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),+];
        }
    };
}

flags! {
    /// May use more memory: refused above `maxmemory`.
    DENYOOM = 0, "denyoom";
    /// Constant or logarithmic time.
    FAST = 1, "fast";
    /// For operators.
    ADMIN = 2, "admin";
    /// Not in scripts.
    NOSCRIPT = 3, "noscript";
    /// Allowed while the data is being loaded.
    LOADING = 4, "loading";
    /// Allowed on a replica with stale data.
    STALE = 5, "stale";
    /// Allowed before login.
    NO_AUTH = 6, "no_auth";
    /// Not in transactions.
    NO_MULTI = 7, "no_multi";
    /// Allowed while a script keeps the server busy.
    ALLOW_BUSY = 8, "allow_busy";
    /// Known to sentinels.
    SENTINEL = 9, "sentinel";
    /// May answer in any order.
    SKIP_MONITOR = 10, "skip_monitor";
    /// Reaches keys that it does not name.
    TOUCHES_ARBITRARY_KEYS = 11, "touches_arbitrary_keys";
    /// Changes the data (derived for commands on slots; stated for those on the whole key space).
    WRITE = 12, "write";
    /// Reads the data (likewise).
    READONLY = 13, "readonly";
    /// Not in the slow log, since its parts are.
    SKIP_SLOWLOG = 16, "skip_slowlog";
    /// Reads for clients, and may change how a value is kept.
    MAY_REPLICATE = 23, "may_replicate";
    /// Reaches every database, not only the selected one.
    ALL_DATABASES = 14, "";
    /// Changes what the server runs with: never paused by CLIENT PAUSE ALL.
    NEVER_PAUSED = 15, "";
    /// May wait.
    BLOCKING = 17, "blocking";
    /// Only for those whom the configuration allows it.
    PROTECTED = 21, "protected";
    /// First key, last key and step do not tell where all keys are (derived).
    MOVABLE_KEYS = 22, "";
    /// Its arguments are databases, all of which it reaches.
    NAMED_DATABASES = 18, "";
    /// Leaves the access clocks of its keys alone: it asks about a key, not for its value.
    NO_TOUCH = 19, "";
    /// About channels and patterns.
    PUBSUB = 28, "pubsub";
    /// Its reply is made of pushes, which CLIENT REPLY does not mute; subscribers may ask for it in RESP2.
    PUSHES = 29, "";
    /// Subscribers may ask for it in RESP2, where they can ask for little else.
    WHILE_SUBSCRIBED = 30, "";
    /// The argument after the key is a member or field of it, perhaps with others behind.
    NAMES_MEMBER = 24, "";
    /// The last argument is a member.
    ENDS_WITH_MEMBER = 25, "";
    /// The last argument is a member, and what is before it its score.
    ENDS_WITH_SCORED = 26, "";
    /// Its look-ups are neither hits nor misses.
    UNCOUNTED = 20, "";
    /// Data, and neither for some only nor one that may wait or goes through all keys (derived): an engine that runs
    /// commands where it is asked mostly runs it at once.
    AT_ONCE = 27, "";
}

impl Flags {
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a command with these flags may change something.
    pub const fn may_change(self) -> bool {
        self.0 & (Self::WRITE.0 | Self::MAY_REPLICATE.0) != 0
    }
}

/// What a command reaches, and the function that does it.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// One key, shared with other readers.
    Read(fn(Option<&Entry>, &Call<'_>, &mut Reply) -> Result<(), Error>),
    /// One key, exclusively.
    Write(fn(&mut Slot<'_>, &Call<'_>, &mut Reply) -> Result<Effect, Error>),
    /// The declared keys, shared, all held at once.
    ReadMany(ReadManyRun),
    /// The declared keys, exclusively, all held at once.
    WriteMany(fn(&mut Slots<'_>, &Call<'_>, &mut Reply) -> Result<Effects, Error>),
    /// The declared keys, exclusively, all held at once; with nothing to do yet, the connection waits for them.
    Block(Block),
    /// The whole key space, a slice at a time: other commands run in between.
    Walk(fn(&mut dyn Keyspace, &mut Progress, &Call<'_>, &mut Reply) -> Result<Step, Error>),
    /// The whole key space at one moment: everything is held.
    Whole(fn(&mut dyn Held, &Call<'_>, &mut Reply) -> Result<(), Error>),
    /// The declared keys, exclusively, or everything where the arguments ask for more than they name.
    ManyOrWhole {
        is_whole: fn(Arguments<'_>) -> bool,
        many: fn(&mut Slots<'_>, &Call<'_>, &mut Reply) -> Result<Effects, Error>,
        /// Runs on the declared keys' slots as well; their part is reached through [`Held`].
        whole: WholeRun,
    },
    /// As one of those above on declared keys, or on copies of them with nothing held where it would take long.
    Long(&'static Long),
    /// The connection and the server; no data.
    Session(SessionRun),
    /// The executor itself: transactions and what waits.
    Control(Control),
    /// The name is completed by a subcommand.
    Container(&'static [Spec]),
    /// A subcommand may complete the name. Without one it is a command like [`Run::Session`].
    SessionOr(SessionRun, &'static [Spec]),
    /// As [`Run::Session`], but some first arguments make it another command, which is not told to clients.
    SessionElse(SessionRun, &'static [Spec]),
}

/// A command that may go through very many elements.
#[derive(Debug)]
pub struct Long {
    /// How it runs otherwise, or on the copies: `Read`, `ReadMany`, `WriteMany`, or `ManyOrWhole` where it asks for no
    /// more than its keys. It changes nothing in place: a key that it writes gets a new value.
    pub run: Run,
    /// About how many elements it goes through, given the live entries of its keys in order. Arguments that make no
    /// sense may be taken for no work.
    pub work: fn(&[Option<&Entry>], &Call<'_>) -> usize,
    /// Whether it may do more than there are elements in its keys.
    pub repeats: bool,
    /// The number of the key that it replaces without looking at its value.
    pub target: Option<usize>,
}

impl Long {
    /// A command that reads.
    pub const fn read(run: Run, work: fn(&[Option<&Entry>], &Call<'_>) -> usize) -> Self {
        Self { run, work, repeats: false, target: None }
    }

    /// A command that replaces the key with the number `target`.
    pub const fn store(run: Run, work: fn(&[Option<&Entry>], &Call<'_>) -> usize, target: usize) -> Self {
        Self { run, work, repeats: false, target: Some(target) }
    }
}

/// A command that may wait for its keys to change.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Does what can be done at once, or says that it has to wait; then it has taken nothing.
    pub attempt: fn(&mut Slots<'_>, &Call<'_>, Turn, &mut Reply) -> Result<Attempt, Error>,
    pub on: On,
    /// What has to be at such a key before it is worth another attempt.
    pub wanted: Wanted,
    /// Its answer where it may not wait. In time it is the missing array, whatever the command.
    pub nothing: Nothing,
    /// Whether these arguments let it wait; without this all do.
    pub waits: Option<fn(Arguments<'_>) -> bool>,
    /// How it runs where it does not, if it shares its keys with other readers then.
    pub read: Option<ReadManyRun>,
}

impl Block {
    pub fn may_wait(self, arguments: Arguments<'_>) -> bool {
        self.waits.is_none_or(|waits| waits(arguments))
    }

    /// Those of the declared keys that it waits for.
    pub fn waited(self, keys: &[Key]) -> &[Key] {
        match self.on {
            On::AllKeys => keys,
            On::FirstKey => keys.get(..1).unwrap_or_default(),
        }
    }
}

/// Which keys a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    AllKeys,
    FirstKey,
}

/// Which attempt of a blocking command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    First,
    /// It has waited, and the key with this number changed.
    Again(usize),
}

/// How an attempt of a blocking command went.
#[derive(Debug)]
pub enum Attempt {
    Done(Effects),
    /// There is nothing yet. What was written to the reply is dropped.
    Wait(Waiting),
}

/// How a blocking command waits.
#[derive(Debug, Default)]
pub struct Waiting {
    /// For ever without one.
    pub timeout: Option<std::time::Duration>,
    /// Arguments that mean something else later, by number, with what they mean now.
    pub fixed: Vec<(usize, Box<[u8]>)>,
    /// What it changed beforehand. Only a first attempt may.
    pub effects: Effects,
}

impl Attempt {
    /// It took nothing, and waits so long.
    pub fn wait(timeout: Option<std::time::Duration>) -> Self {
        Self::Wait(Waiting { timeout, ..Waiting::default() })
    }
}

/// The answer of a command that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    Nil,
    NilArray,
}

impl Nothing {
    pub fn write(self, reply: &mut Reply) {
        match self {
            Self::Nil => reply.nil(),
            Self::NilArray => reply.nil_array(),
        }
    }
}

/// A command that reads the declared keys.
pub type ReadManyRun = fn(&Entries<'_>, &Call<'_>, &mut Reply) -> Result<(), Error>;

/// A command on everything there is, and on the declared keys.
pub type WholeRun = fn(&mut dyn Held, &[Key], &Call<'_>, &mut Reply) -> Result<Effects, Error>;

/// A command on the connection and the server.
pub type SessionRun = fn(&mut Session, &Call<'_>, &mut Reply) -> Result<Next, Error>;

impl Run {
    /// How the command runs when it is not long.
    pub const fn plain(self) -> Self {
        match self {
            Self::Long(long) => long.run,
            other => other,
        }
    }

    /// Whether an engine runs it.
    pub const fn is_data(self) -> bool {
        !matches!(
            self,
            Self::Session(_) | Self::SessionOr(..) | Self::SessionElse(..) | Self::Control(_) | Self::Container(_)
        )
    }

    /// The rows that a first argument chooses from; none for most commands.
    pub const fn subcommands(self) -> &'static [Spec] {
        match self {
            Self::Container(specs) | Self::SessionOr(_, specs) | Self::SessionElse(_, specs) => specs,
            _ => &[],
        }
    }
}

/// What the executor does itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Migrate,
    Reset,
    Quit,
}

/// How a connection goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Continue,
    /// Send what is there, then close.
    Close,
    /// The reply and what follows wait so long. Nobody else does.
    Sleep(std::time::Duration),
}

/// What a command changed about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    Changed(Event),
    /// A change that two events tell of: of the value, then of something else about the key.
    Both(Event, Event),
    /// A change that Redis tells nobody of: neither those who watch the key nor those who listen to events.
    Quiet,
}

/// What a command changed, by key number.
pub type Effects = SmallVec<[(usize, Effect); 2]>;

/// The kind of change, as keyspace notifications name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event(pub &'static str);

/// Tables that are held, shared or exclusively.
pub trait Tables {
    /// The table where the hash belongs. It must be one of those that are held.
    fn table(&self, db: u16, hash: u64) -> &Raw;
}

/// Parts that are held exclusively.
pub trait Parts: Tables {
    /// The part where the hash belongs. It must be one of those that are held.
    fn part(&mut self, db: u16, hash: u64) -> Part<'_>;

    /// Whether the part where the hash belongs is held.
    fn holds(&self, db: u16, hash: u64) -> bool;
}

/// The declared keys of a command, held exclusively.
pub struct Slots<'a> {
    parts: &'a mut dyn Parts,
    keys: &'a [Key],
    call: &'a Call<'a>,
}

impl<'a> Slots<'a> {
    pub fn new(parts: &'a mut dyn Parts, keys: &'a [Key], call: &'a Call<'a>) -> Self {
        Self { parts, keys, call }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Runs `f` on the slot of the key with number `i`.
    pub fn with<T>(&mut self, i: usize, f: impl FnOnce(&mut Slot<'_>) -> T) -> T {
        let key = self.keys[i];
        let mut part = self.parts.part(key.elsewhere.unwrap_or(self.call.db), key.hash);
        slot(&mut part, key, self.call).guarded(f)
    }

    /// Removes what is due within the values of the keys.
    pub fn prune(&mut self) {
        for &key in self.keys {
            prune(&mut self.parts.part(key.elsewhere.unwrap_or(self.call.db), key.hash), key, self.call);
        }
    }

    /// The live entry of each key, in order, all at once: to look at several values before one is changed.
    pub fn entries(&mut self) -> impl ExactSizeIterator<Item = Option<&Entry>> + DoubleEndedIterator {
        self.prune();
        self.keys.iter().map(|&key| live(table_of(&*self.parts, key, self.call), key, self.call))
    }

    /// The bytes of the key with number `i`.
    pub fn key(&self, i: usize) -> &'a [u8] {
        self.call.arg(self.keys[i].arg as usize)
    }
}

/// The declared keys of a command, held shared.
pub struct Entries<'a> {
    tables: &'a dyn Tables,
    keys: &'a [Key],
    call: &'a Call<'a>,
    tally: &'a Tally,
    is_stale: Cell<bool>,
}

impl<'a> Entries<'a> {
    pub fn new(tables: &'a dyn Tables, keys: &'a [Key], call: &'a Call<'a>, tally: &'a Tally) -> Self {
        Self { tables, keys, call, tally, is_stale: Cell::new(false) }
    }

    /// The live entry of each key, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a Entry>> {
        self.keys.iter().map(|&key| {
            let entry = lookup(table_of(self.tables, key, self.call), key, self.call, self.tally);
            if entry.is_some_and(|entry| entry.must_be_pruned(self.call.now)) {
                self.is_stale.set(true);
            }
            entry
        })
    }

    /// Whether something was given out in which members are due: what was made of it is void.
    pub fn is_stale(&self) -> bool {
        self.is_stale.get()
    }
}

/// The slot of a key in the part where it belongs. Finding the key is an access.
#[inline(always)]
pub fn slot<'a>(part: &'a mut Part<'_>, key: Key, call: &Call<'a>) -> Slot<'a> {
    let slot = part.slot(call.arg(key.arg as usize), key.hash, call.now);
    if let Some(entry) = slot.entry() {
        touch(entry, call);
    }
    slot
}

/// Removes what is due within the value of a key.
#[inline]
pub fn prune(part: &mut Part<'_>, key: Key, call: &Call<'_>) {
    if part.side.timed > 0 {
        // Looking it up does so.
        part.slot(call.arg(key.arg as usize), key.hash, call.now);
    }
}

/// The live entry of a key in the table where it belongs; counted as a hit or a miss.
#[inline]
pub fn lookup<'a>(table: &'a Raw, key: Key, call: &Call<'_>, tally: &Tally) -> Option<&'a Entry> {
    let found = live(table, key, call);
    looked_up(found.is_some(), key, call, tally);
    found
}

/// Counts a look-up as a hit or a miss, and tells of a miss.
#[inline]
pub fn looked_up(is_hit: bool, key: Key, call: &Call<'_>, tally: &Tally) {
    count(is_hit, call, tally);
    if !is_hit && call.server.env.heard().has(Heard::MISSES) {
        call.server.env.event(key.elsewhere.unwrap_or(call.db), call.arg(key.arg as usize), "keymiss");
    }
}

/// The live entry of a key, only looked at: this is no access.
pub fn peek<'a>(tables: &'a dyn Tables, key: Key, call: &Call<'_>) -> Option<&'a Entry> {
    let db = key.elsewhere.unwrap_or(call.db);
    if u32::from(db) >= call.server.config.databases() {
        return None;
    }
    let table = tables.table(db, key.hash);
    let found = table.find_key(key.hash, call.arg(key.arg as usize)).map(|at| table.entry(at));
    found.filter(|entry| !entry.is_expired(call.now))
}

/// Counts a look-up as a hit or a miss.
#[inline]
pub fn count(is_hit: bool, call: &Call<'_>, tally: &Tally) {
    if !call.command.flags.has(Flags::UNCOUNTED) {
        let count = if is_hit { &tally.hits } else { &tally.misses };
        count.set(count.get() + 1);
    }
}

/// The live entry of a key in the table where it belongs.
#[inline]
pub fn live<'a>(table: &'a Raw, key: Key, call: &Call<'_>) -> Option<&'a Entry> {
    let found = table.find_key(key.hash, call.arg(key.arg as usize)).map(|at| table.entry(at));
    let entry = found.filter(|entry| !entry.is_expired(call.now))?;
    touch(entry, call);
    Some(entry)
}

/// The table of a key.
fn table_of<'a, T: Tables + ?Sized>(tables: &'a T, key: Key, call: &Call<'_>) -> &'a Raw {
    tables.table(key.elsewhere.unwrap_or(call.db), key.hash)
}

/// Notes an access, unless client or command leave no trace.
#[inline]
fn touch(entry: &Entry, call: &Call<'_>) {
    if !call.asker.no_touch && !call.command.flags.has(Flags::NO_TOUCH) {
        call.server.env.uses().note(entry, call.now);
    }
}

/// The key space as a sequence of parts. Outside of transactions each visit locks one part.
pub trait Keyspace {
    fn databases(&self) -> u16;

    /// Parts of each database; the same number in all.
    fn parts(&self) -> usize;

    /// Whether anything was ever stored in this database.
    fn is_used(&self, db: u16) -> bool;

    /// Visits a part shared: its table, and the number of keys with a deadline.
    fn read(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(&Raw, usize));

    /// Visits the table of a part shared. One that never had a key may be passed over.
    fn look(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(&Raw)) {
        self.read(db, part, &mut |table, _| visit(table));
    }

    /// Visits a part exclusively.
    fn write(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(Part<'_>));
}

/// Everything that a command may reach, held exclusively.
pub trait Held: Parts + Keyspace {
    /// Exchanges the keys of two databases, both of which are held. Who watches a key is told.
    fn swap(&mut self, one: u16, other: u16);
}

/// How far a walk has come; kept between its slices.
#[derive(Debug, Default)]
pub struct Progress {
    /// The next part to visit.
    pub part: usize,
    /// The place within that part.
    pub position: u64,
    /// Elements looked at or collected, as the command counts them.
    pub count: usize,
    /// Elements found.
    pub found_count: usize,
    /// The elements, encoded.
    pub found: Reply,
}

impl Progress {
    pub fn start(resp: Resp) -> Self {
        let mut progress = Self::default();
        progress.found.set_resp(resp);
        progress
    }
}

/// Whether a walk is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    More,
}

/// All families, in the order of the documentation. The only list of them.
static FAMILIES: &[(&str, &[Spec])] = &[
    ("string", string::SPECS),
    ("string", counter::SPECS),
    ("string", increx::SPECS),
    ("string", substring::SPECS),
    ("string", compare::SPECS),
    ("bitmap", bitmap::SPECS),
    ("bitmap", bitfield::SPECS),
    ("hyperloglog", hyperloglog::SPECS),
    ("list", list::SPECS),
    ("list", list::MOVING_SPECS),
    ("list", list::BLOCKING_SPECS),
    ("set", set::SPECS),
    ("set", set::ALGEBRA_SPECS),
    ("set", set::RANDOM_SPECS),
    ("set", member_expiry::SET_SPECS),
    ("hash", hash::SPECS),
    ("hash", hash_expiry::SPECS),
    ("hash", himport::SPECS),
    ("sorted-set", zset::SPECS),
    ("sorted-set", zset::range::SPECS),
    ("sorted-set", zset::combine::SPECS),
    ("sorted-set", zset::pop::SPECS),
    ("sorted-set", zset::blocking::SPECS),
    ("stream", stream::SPECS),
    ("stream", stream::delete::SPECS),
    ("stream", stream::read::SPECS),
    ("stream", stream::group::SPECS),
    ("stream", stream::pending::SPECS),
    ("stream", stream::claim::SPECS),
    ("stream", stream::info::SPECS),
    ("geo", geo::SPECS),
    ("geo", geo::search::SPECS),
    ("generic", key::SPECS),
    ("generic", ttl::SPECS),
    ("generic", member_expiry::SPECS),
    ("generic", keyspace::SPECS),
    ("generic", object::SPECS),
    ("generic", dump::SPECS),
    ("generic", migrate::SPECS),
    ("generic", sort::SPECS),
    ("generic", wait::SPECS),
    ("transactions", transaction::SPECS),
    ("pubsub", pubsub::SPECS),
    ("connection", connection::SPECS),
    ("connection", client::SPECS),
    ("server", database::SPECS),
    ("server", introspection::SPECS),
    ("server", config::SPECS),
    ("server", info::SPECS),
    ("server", memory::SPECS),
    ("server", server::SPECS),
    ("server", debug::SPECS),
];
