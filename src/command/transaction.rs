//! Transactions: MULTI EXEC DISCARD WATCH UNWATCH. The executor runs them; here are their rows.

use super::{Arity, Control, Flags, Keys, Run, Spec};

const FLAGS: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::ALLOW_BUSY);

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "multi",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Control(Control::Multi),
        flags: FLAGS.and(Flags::FAST),
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Starts a transaction.",
    },
    Spec {
        name: "exec",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Control(Control::Exec),
        flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SKIP_SLOWLOG),
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        summary: "Executes all commands in a transaction.",
    },
    Spec {
        name: "discard",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Control(Control::Discard),
        flags: FLAGS.and(Flags::FAST),
        since: "2.0.0",
        complexity: "O(N), when N is the number of queued commands",
        summary: "Discards a transaction.",
    },
    Spec {
        name: "watch",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::Control(Control::Watch),
        flags: FLAGS.and(Flags::FAST),
        since: "2.2.0",
        complexity: "O(1) for every key.",
        summary: "Monitors changes to keys to determine the execution of a transaction.",
    },
    Spec {
        name: "unwatch",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Control(Control::Unwatch),
        flags: FLAGS.and(Flags::FAST),
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Forgets about watched keys of a transaction.",
    },
];
