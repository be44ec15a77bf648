//! Shortens a sequence of commands that shows a difference.

use crate::Step;

/// The fewest steps, with the fewest arguments, that still fail.
pub fn steps(all: Vec<Step>, mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    fails(&all);
    let mut steps = fewest(all, &mut fails);
    for at in 0..steps.len() {
        // Commands that belong together need what they have.
        let [line] = &steps[at][..] else { continue };
        // The name stays, and what completes it.
        let (name, arguments) = line.split_at(line.len().min(2));
        let arguments = fewest(arguments.to_vec(), &mut |arguments| {
            let mut shorter = steps.clone();
            shorter[at] = vec![[name, arguments].concat()];
            fails(&shorter)
        });
        steps[at] = vec![[name, &arguments].concat()];
    }
    steps
}

/// Takes away halves, quarters and so on, and at last single items, as long as what is left fails.
fn fewest<T: Clone>(mut items: Vec<T>, fails: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = items.len().div_ceil(2);
    while size > 0 {
        let before = items.len();
        // From the end: what comes last is seldom needed, but for the last.
        let mut end = items.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let rest = [&items[..start], &items[end..]].concat();
            if fails(&rest) {
                items = rest;
            }
            end = start;
        }
        // Taking one away may have made another one needless.
        if size > 1 || items.len() == before {
            size /= 2;
        }
    }
    items
}

#[test]
fn what_is_needed_stays() {
    let is_needed = |items: &[u32]| items.contains(&3) && items.contains(&77);
    assert_eq!(fewest((0..100).collect(), &mut |items| is_needed(items)), [3, 77]);
}
