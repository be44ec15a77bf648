//! OBJECT: how a value is kept, and when it was used last.

use super::{Arity, Call, Flags, Keys, Run, Spec, help};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::Entry;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "object",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(&[
        Spec {
            name: "encoding",
            arity: Arity::exactly(3),
            keys: Keys::Range { first: 2, last: 2, step: 1 },
            run: Run::Read(object_encoding),
            flags: Flags::NONE,
            since: "2.2.3",
            complexity: "O(1)",
            summary: "Returns the internal encoding of a Redis object.",
        },
        Spec {
            name: "help",
            arity: Arity::exactly(2),
            keys: Keys::None,
            run: Run::Session(help::of_container),
            flags: Flags::LOADING.and(Flags::STALE),
            since: "6.2.0",
            complexity: "O(1)",
            summary: "Returns helpful text about the different subcommands.",
        },
    ]),
    flags: Flags::NONE,
    since: "2.2.3",
    complexity: "Depends on subcommand.",
    summary: "A container for object introspection commands.",
}];

/// OBJECT ENCODING key -> the name of the encoding; nil when the key is missing.
fn object_encoding(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match entry {
        Some(entry) => reply.bulk(crate::store::encoding(entry).as_bytes()),
        None => reply.nil(),
    }
    Ok(())
}
