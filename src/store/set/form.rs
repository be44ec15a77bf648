//! Which form a set comes to, decided before it is made.
//!
//! Redis makes the results of SUNIONSTORE and its relatives by adding member after member to a set that changes its
//! encoding on the way. The outcome follows from the members alone, so the set is made once, in its last form.

use super::{Member, insert};
use crate::store::limits::{INLINE_BYTES_MAX, SetLimits};
use crate::store::members::Members;
use crate::store::pack::framed;
use crate::store::{Content, Entry, Kind, Object, intset, pack};

/// The representation of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Ints,
    Packed,
    Table,
}

impl Form {
    /// The form of an empty set of this form after `members`, all different, were added one by one.
    pub fn after<'m>(self, members: impl IntoIterator<Item = &'m Member<'m>>, limits: &SetLimits) -> Self {
        let mut form = self;
        let (mut longest, mut bytes) = (0, 0);
        for (count, member) in members.into_iter().enumerate() {
            longest = member.len().max(longest);
            bytes += framed(member.len());
            let packs = count < limits.max_listpack_entries && bytes <= INLINE_BYTES_MAX;
            form = match form {
                Self::Ints if member.as_int().is_some() => {
                    let stays = count < limits.max_intset_entries && (count + 1) * 8 < INLINE_BYTES_MAX;
                    if stays { Self::Ints } else { Self::Table }
                }
                // The integers so far are measured as the texts that they become.
                Self::Ints if packs && longest <= limits.max_listpack_value => Self::Packed,
                Self::Packed if packs && member.len() <= limits.max_listpack_value => Self::Packed,
                _ => return Self::Table,
            };
        }
        form
    }

    /// Makes a set of this form with the name `key`; the members are all different and fit into it.
    pub fn fill(self, key: &[u8], clock: u32, members: &[Member<'_>]) -> Entry {
        match self {
            Self::Ints => {
                let mut ints: Vec<i64> = members.iter().filter_map(Member::as_int).collect();
                ints.sort_unstable();
                let mut bytes = intset::EMPTY.to_vec();
                for int in ints {
                    intset::insert(&mut bytes, int);
                }
                Entry::new(key, Content::Inline(Kind::IntSet, &bytes), None, clock)
            }
            Self::Packed => {
                let mut bytes = pack::header(members.len()).bytes().to_vec();
                for member in members {
                    let at = bytes.len();
                    bytes.resize(at + framed(member.len()), 0);
                    pack::write_frame(&mut bytes[at..], member);
                }
                Entry::new(key, Content::Inline(Kind::SetPack, &bytes), None, clock)
            }
            Self::Table => {
                let mut table = Members::new();
                for member in members {
                    insert(&mut table, member);
                }
                Entry::new(key, Content::Boxed(Box::new(Object::Set(table))), None, clock)
            }
        }
    }
}
