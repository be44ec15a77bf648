//! Copies of keys, which only their command sees.

use smallvec::SmallVec;

use crate::command::{Call, Key, Parts, Tables};
use crate::store::table::{Raw, Table};
use crate::store::{Entry, Env, Part, PartId, Side};

/// One table for each database of which there are keys.
#[derive(Default)]
pub struct Copies(SmallVec<[Copy; 1]>);

struct Copy {
    db: u16,
    table: Raw,
    side: Side,
}

impl Copies {
    /// Adds the copy of a key, of which there is none yet.
    pub fn adopt(&mut self, key: Key, copy: Entry, call: &Call<'_>) {
        let db = key.elsewhere.unwrap_or(call.db);
        self.held(&call.server.env).part(db, key.hash).adopt(key.hash, copy);
    }

    pub fn entry_mut(&mut self, key: Key, call: &Call<'_>) -> Option<&mut Entry> {
        let db = key.elsewhere.unwrap_or(call.db);
        let table = &mut self.0.iter_mut().find(|copy| copy.db == db)?.table;
        table.find_key(key.hash, call.arg(key.arg as usize)).map(|at| table.entry_mut(at))
    }

    /// Takes the value of a key out, to be given to the key itself.
    pub fn take(&mut self, key: Key, call: &Call<'_>) -> Option<Entry> {
        let db = key.elsewhere.unwrap_or(call.db);
        self.held(&call.server.env).part(db, key.hash).slot(call.arg(key.arg as usize), key.hash, call.now).take()
    }

    /// Frees everything; what is large elsewhere.
    pub fn free(&mut self, env: &Env) {
        for mut copy in self.0.drain(..) {
            copy.table.drain().for_each(|(entry, _)| env.reaper.free(entry));
        }
    }

    /// The copies as parts of a key space.
    pub fn held<'a>(&'a mut self, env: &'a Env) -> Private<'a> {
        Private { copies: self, env }
    }
}

/// Copies, as the keys that a command holds.
pub struct Private<'a> {
    copies: &'a mut Copies,
    env: &'a Env,
}

impl Tables for Private<'_> {
    fn table(&self, db: u16, _: u64) -> &Raw {
        static EMPTY: Raw = Raw::new();
        self.copies.0.iter().find(|copy| copy.db == db).map_or(&EMPTY, |copy| &copy.table)
    }
}

impl Parts for Private<'_> {
    fn part(&mut self, db: u16, _: u64) -> Part<'_> {
        let copies = &mut self.copies.0;
        let at = copies.iter().position(|copy| copy.db == db).unwrap_or_else(|| {
            copies.push(Copy { db, table: Raw::new(), side: Side::default() });
            copies.len() - 1
        });
        let Copy { table, side, .. } = &mut copies[at];
        Part { table, side, env: self.env, id: PartId { db, index: 0 } }
    }

    fn holds(&self, _: u16, _: u64) -> bool {
        true
    }
}
