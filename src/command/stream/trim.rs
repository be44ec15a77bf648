//! What XADD and XTRIM say about trimming: MAXLEN, MINID, LIMIT, and what becomes of references.

use super::super::Call;
use super::id::{self, Seq};
use crate::error::Error;
use crate::store::stream::{Id, NodeLimit, References, Trim, Until};

/// The options of XADD or XTRIM.
#[derive(Debug)]
pub(super) struct Options {
    pub trim: Option<Trim>,
    /// XADD leaves a missing key missing.
    pub is_no_mkstream: bool,
    /// The ID that XADD is given; `None` for one of its own.
    pub id: Option<(Id, Seq)>,
    /// The place of XADD's ID.
    pub id_at: usize,
}

/// Which command the options are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Add,
    Trim,
}

const BOTH: Error = Error::Other("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");

impl Options {
    #[inline]
    pub fn parse(call: &Call<'_>, target: Target) -> Result<Self, Error> {
        // What nearly every XADD says.
        if target == Target::Add && call.arg(2) == b"*" {
            return Ok(Self { trim: None, is_no_mkstream: false, id: None, id_at: 2 });
        }
        Self::parse_all(call, target)
    }

    #[inline(never)]
    fn parse_all(call: &Call<'_>, target: Target) -> Result<Self, Error> {
        let is_add = target == Target::Add;
        let mut it = Self { trim: None, is_no_mkstream: false, id: None, id_at: call.len() };
        let (mut until, mut is_approximate, mut limit, mut references) = (None, false, None, None);
        let mut i = 2;
        while i < call.len() {
            let more = call.len() - 1 - i;
            if is_add && call.arg(i) == b"*" {
                it.id_at = i;
                break;
            } else if (call.is(i, "maxlen") || call.is(i, "minid")) && more > 0 {
                if until.is_some() {
                    return Err(BOTH);
                }
                let is_length = call.is(i, "maxlen");
                i += 1;
                let sign = call.arg(i);
                is_approximate = more >= 2 && sign == b"~";
                if more >= 2 && matches!(sign, b"~" | b"=") {
                    i += 1;
                }
                until = Some(if is_length {
                    let most = u64::try_from(call.integer(i)?);
                    Until::Length(most.map_err(|_| Error::Other("ERR The MAXLEN argument must be >= 0."))?)
                } else {
                    Until::Id(id::strict(call.arg(i), 0)?)
                });
            } else if call.is(i, "limit") && more > 0 {
                i += 1;
                let most = u64::try_from(call.integer(i)?);
                limit = Some(most.map_err(|_| Error::Other("ERR The LIMIT argument must be >= 0."))?);
            } else if is_add && call.is(i, "nomkstream") {
                it.is_no_mkstream = true;
            } else if let Some(found) = parse_references(call.arg(i)).filter(|_| references.is_none()) {
                references = Some(found);
            } else if is_add {
                it.id = Some(id::to_add(call.arg(i))?);
                it.id_at = i;
                break;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if limit.is_some_and(|limit| limit > 0) && until.is_none() {
            return Err(Error::Other("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"));
        }
        if !is_add && until.is_none() {
            return Err(Error::Other("ERR syntax error, XTRIM must be called with a trimming strategy"));
        }
        if limit.is_some() && !is_approximate {
            return Err(Error::Other("ERR syntax error, LIMIT cannot be used without the special ~ option"));
        }
        let default = if is_approximate { default_limit(call.stream_node()) } else { 0 };
        it.trim = until.map(|until| Trim {
            until,
            is_approximate,
            limit: limit.unwrap_or(default),
            references: references.unwrap_or_default(),
        });
        Ok(it)
    }
}

/// KEEPREF, DELREF or ACKED.
pub(super) fn parse_references(text: &[u8]) -> Option<References> {
    let words = [("keepref", References::Keep), ("delref", References::Delete), ("acked", References::Acknowledged)];
    words.into_iter().find(|(word, _)| text.eq_ignore_ascii_case(word.as_bytes())).map(|(_, found)| found)
}

/// How many entries `~` removes at most where the client does not say it: those of 100 nodes.
fn default_limit(limit: NodeLimit) -> u64 {
    match limit.entries.saturating_mul(100) {
        0 => 10_000,
        entries => entries.min(1_000_000),
    }
}
