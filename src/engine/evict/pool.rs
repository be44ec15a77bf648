//! The best keys to evict among those that were drawn so far.

use crate::config::Policy;
use crate::store::PartId;

/// As many as Redis remembers.
const SIZE: usize = 16;

/// A key that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The higher, the better that it goes.
    pub score: u64,
    pub id: PartId,
    pub hash: u64,
    pub key: Box<[u8]>,
}

/// A few candidates in the order of their scores, the best one last.
#[derive(Debug)]
pub struct Pool {
    candidates: Vec<Candidate>,
    /// What the scores mean.
    policy: Policy,
}

impl Default for Pool {
    fn default() -> Self {
        Self { candidates: Vec::new(), policy: Policy::Noeviction }
    }
}

impl Pool {
    /// Forgets candidates of another policy.
    pub fn begin(&mut self, policy: Policy) {
        if self.policy != policy {
            self.candidates.clear();
            self.policy = policy;
        }
    }

    /// Whether a candidate with this score would be remembered.
    pub fn wants(&self, score: u64) -> bool {
        self.candidates.len() < SIZE || self.candidates[0].score < score
    }

    /// Remembers a candidate, in the place of the worst if there is no other; one that is known with its new score.
    pub fn add(&mut self, candidate: Candidate) {
        self.candidates.retain(|known| !(known.hash == candidate.hash && known.id == candidate.id));
        if self.candidates.len() == SIZE {
            self.candidates.remove(0);
        }
        let at = self.candidates.partition_point(|known| known.score <= candidate.score);
        self.candidates.insert(at, candidate);
    }

    pub fn take_best(&mut self) -> Option<Candidate> {
        self.candidates.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(score: u64, hash: u64) -> Candidate {
        Candidate { score, id: PartId { db: 0, index: 0 }, hash, key: Box::new([]) }
    }

    fn add(pool: &mut Pool, score: u64, hash: u64) {
        if pool.wants(score) {
            pool.add(candidate(score, hash));
        }
    }

    fn drain(pool: &mut Pool) -> Vec<u64> {
        std::iter::from_fn(|| pool.take_best()).map(|it| it.score).collect()
    }

    #[test]
    fn the_best_of_many_come_first() {
        let mut pool = Pool::default();
        for i in 0..1000_u64 {
            add(&mut pool, i * 7919 % 1000, i);
        }
        assert_eq!(drain(&mut pool), (1000 - SIZE as u64..1000).rev().collect::<Vec<_>>());
        assert_eq!(pool.take_best(), None);
    }

    #[test]
    fn a_key_is_there_once_with_its_last_score() {
        let mut pool = Pool::default();
        add(&mut pool, 5, 1);
        add(&mut pool, 6, 2);
        add(&mut pool, 7, 1);
        add(&mut pool, 3, 2);
        assert_eq!(drain(&mut pool), [7, 3]);
    }

    #[test]
    fn scores_of_another_policy_mean_nothing() {
        let mut pool = Pool::default();
        pool.begin(Policy::AllkeysLru);
        add(&mut pool, 5, 1);
        pool.begin(Policy::AllkeysLru);
        assert_eq!(drain(&mut pool), [5]);
        add(&mut pool, 5, 1);
        pool.begin(Policy::AllkeysLfu);
        assert_eq!(pool.take_best(), None);
    }
}
