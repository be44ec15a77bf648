//! Which key a request names: a fast generator of random numbers and the three distributions.

use std::str::FromStr;

/// SplitMix64: passes the usual tests, has 64 bits of state and costs about a nanosecond.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How requests spread over the keyspace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spread {
    Uniform,
    /// The key of rank `r` is asked for in proportion to `1 / r^theta`, `0 < theta < 1`.
    Zipf(f64),
    /// Every request names the same key.
    Hot,
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let theta = text.strip_prefix("zipf:").map(str::parse::<f64>);
        match (text, theta) {
            ("uniform", _) => Ok(Self::Uniform),
            ("hot", _) => Ok(Self::Hot),
            (_, Some(Ok(theta))) if theta > 0.0 && theta < 1.0 => Ok(Self::Zipf(theta)),
            _ => Err(format!("`{text}` is not one of uniform, hot, zipf:THETA (0 < THETA < 1)")),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(theta) => write!(f, "zipf:{theta}"),
            Self::Hot => f.write_str("hot"),
        }
    }
}

/// Draws key numbers in `0..keys`.
#[derive(Debug)]
pub enum Sampler {
    Uniform { keys: u64 },
    Drawn { samples: Vec<u32> },
    Hot,
}

impl Sampler {
    /// Zipf numbers cost two powers each, so 2^20 of them are drawn here and replayed from a random start.
    pub fn new(spread: Spread, keys: u64, seed: u64) -> Self {
        match spread {
            Spread::Uniform => Self::Uniform { keys },
            Spread::Hot => Self::Hot,
            Spread::Zipf(theta) => {
                let zipf = Zipf::new(keys, theta);
                let mut rng = Rng::new(seed);
                Self::Drawn { samples: (0..1 << 20).map(|_| scatter(zipf.rank(&mut rng), keys) as u32).collect() }
            }
        }
    }

    /// * `cursor`: the caller's place in the replayed samples.
    pub fn draw(&self, rng: &mut Rng, cursor: &mut usize) -> u64 {
        match self {
            Self::Uniform { keys } => rng.below(*keys),
            Self::Hot => 0,
            Self::Drawn { samples } => {
                *cursor = (*cursor + 1) & (samples.len() - 1);
                u64::from(samples[*cursor])
            }
        }
    }
}

/// Moves rank `rank` to another place, so that popular keys are not neighbours. One to one for `keys` < 2^32,
/// because 2^61 - 1 is prime.
pub fn scatter(rank: u64, keys: u64) -> u64 {
    ((u128::from(rank) * 2_305_843_009_213_693_951) % u128::from(keys)) as u64
}

/// Source: J. Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994, section 3.2.
struct Zipf {
    keys: u64,
    theta: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    fn new(keys: u64, theta: f64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|i| (i as f64).powf(-theta)).sum::<f64>();
        let zeta = zeta_of(keys);
        let eta = (1.0 - (2.0 / keys as f64).powf(1.0 - theta)) / (1.0 - zeta_of(2) / zeta);
        Self { keys, theta, zeta, eta }
    }

    fn rank(&self, rng: &mut Rng) -> u64 {
        let u = rng.unit();
        let scaled = u * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(self.theta) {
            return 1.min(self.keys - 1);
        }
        let rank = self.keys as f64 * (self.eta * u - self.eta + 1.0).powf(1.0 / (1.0 - self.theta));
        (rank as u64).min(self.keys - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_asks_for_the_first_rank_as_often_as_the_formula_says() {
        let (keys, theta, draws) = (1000, 0.99, 200_000);
        let zipf = Zipf::new(keys, theta);
        let mut rng = Rng::new(7);
        let first = (0..draws).filter(|_| zipf.rank(&mut rng) == 0).count() as f64 / f64::from(draws);
        assert!((first * zipf.zeta - 1.0).abs() < 0.05, "first rank drawn with frequency {first}");
    }

    #[test]
    fn every_draw_is_inside_the_keyspace_and_scatter_is_one_to_one() {
        let mut rng = Rng::new(1);
        for spread in [Spread::Uniform, Spread::Zipf(0.5), Spread::Hot] {
            let sampler = Sampler::new(spread, 37, 3);
            let mut cursor = 0;
            assert!((0..10_000).all(|_| sampler.draw(&mut rng, &mut cursor) < 37));
        }
        let mut seen: Vec<u64> = (0..1000).map(|rank| scatter(rank, 1000)).collect();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..1000));
    }
}
