//! Every object's history to the checker of its kind, on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::history::Entry;
use crate::kinds::Kind;
use crate::linear::{self, Verdict};
use crate::model::{Op, Space};
use crate::record::Object;
use crate::{append, bank};

/// Refused histories that are explained, the first ones. That takes time, and the first one says most.
const EXPLAINED: usize = 3;

/// Something that cannot have happened on a correct server.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which keys, in which object of [`Object`]'s list.
    pub object: usize,
    /// What kind of impossible: "not linearizable", "G-single".
    pub name: String,
    pub text: String,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    pub operations: usize,
    /// Operations without an answer.
    pub open: usize,
    /// Histories.
    pub objects: usize,
    /// Transactions in them.
    pub transactions: usize,
    /// Configurations that the searches looked at, and the most for one history.
    pub configurations: usize,
    pub configurations_max: usize,
}

/// Checks all histories. Findings come in the order of the objects.
pub fn check(objects: &[Object]) -> (Work, Vec<Finding>) {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Work::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((at, object)) = {
                    let at = next.fetch_add(1, Relaxed);
                    objects.get(at).map(|object| (at, object))
                } {
                    let (work, findings) = check_one(at, object);
                    let mut results = results.lock().expect("no checker panics while it holds this");
                    results.0.add(work);
                    results.1.extend(findings);
                }
            });
        }
    });
    let (work, mut findings) = results.into_inner().expect("no checker panicked");
    findings.sort_by_key(|finding: &Finding| finding.object);
    for finding in findings.iter_mut().filter(|finding| finding.text.is_empty()).take(EXPLAINED) {
        let entries: Vec<&Entry<Op>> = objects[finding.object].entries.iter().collect();
        finding.text = linear::explain::<Space>(&entries);
    }
    (work, findings)
}

/// Findings of histories that were refused have no text yet.
fn check_one(at: usize, object: &Object) -> (Work, Vec<Finding>) {
    let entries: Vec<&Entry<Op>> = object.entries.iter().collect();
    let is_transaction = |entry: &&&Entry<Op>| matches!(entry.op, Op::Multi(..) | Op::Guarded(..));
    let mut work = Work {
        operations: entries.len(),
        open: entries.iter().filter(|entry| entry.is_open()).count(),
        objects: 1,
        transactions: entries.iter().filter(is_transaction).count(),
        ..Work::default()
    };
    let mut findings = Vec::new();
    let mut found = |name: &str, text: String| findings.push(Finding { object: at, name: name.into(), text });
    match object.kind {
        Kind::Append => append::check(&entries).into_iter().for_each(|anomaly| found(&anomaly.name, anomaly.text)),
        Kind::Bank => bank::check(&entries).into_iter().for_each(|text| found("bank", text)),
        _ => {}
    }
    // Lists that only grow make large states, and the cycles say all that there is to say about them.
    if object.kind != Kind::Append {
        match linear::check::<Space>(&entries) {
            Verdict::Linearizable(configurations) => {
                work.configurations = configurations;
                work.configurations_max = configurations;
            }
            Verdict::Refused => found("not linearizable", String::new()),
            Verdict::Undecided => {
                found("undecided", "  the search was too long: fewer clients, or fewer deaths\n".into())
            }
        }
    }
    (work, findings)
}

impl Work {
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.open += other.open;
        self.objects += other.objects;
        self.transactions += other.transactions;
        self.configurations += other.configurations;
        self.configurations_max = self.configurations_max.max(other.configurations_max);
    }
}
