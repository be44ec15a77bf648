//! What is sent: commands by weight, keys by a distribution, values of a size.

use super::Bench;

/// Commands that a mix can name, with the words they send.
const KNOWN: [(&str, &str); 14] = [
    ("ping", "PING"),
    ("get", "GET {key}"),
    ("set", "SET {key} {value}"),
    ("incr", "INCR counter:{key}"),
    ("mset", "MSET {key} {value} other:{key} {value}"),
    ("del", "DEL {key}"),
    ("lpush", "LPUSH list:{key} {value}"),
    ("rpush", "RPUSH list:{key} {value}"),
    ("lpop", "LPOP list:{key}"),
    ("rpop", "RPOP list:{key}"),
    ("sadd", "SADD set:{key} {value}"),
    ("hset", "HSET hash:{key} field {value}"),
    ("hget", "HGET hash:{key} field"),
    ("zadd", "ZADD zset:{key} 1 {value}"),
];

/// Weighted commands.
#[derive(Debug)]
pub struct Mix {
    commands: Vec<Command>,
    total: u64,
}

#[derive(Debug)]
struct Command {
    name: String,
    words: Vec<String>,
    weight: u64,
}

impl Mix {
    /// `get=80,set=20`; a name alone has the weight 1.
    ///
    /// # Errors
    /// An unknown name or a weight that is none.
    pub fn parse(text: &str) -> Result<Mix, String> {
        let mut commands = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (name, weight) = part.trim().split_once('=').unwrap_or((part.trim(), "1"));
            let name = name.to_lowercase();
            let Some((_, words)) = KNOWN.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = KNOWN.iter().map(|(name, _)| *name).collect();
                return Err(format!("--mix: unknown command '{name}' (known: {})", known.join(", ")));
            };
            let weight = weight.parse().map_err(|_| format!("--mix: '{weight}' is no weight"))?;
            commands.push(Command { name, words: words.split(' ').map(String::from).collect(), weight });
        }
        let total = commands.iter().map(|command| command.weight).sum();
        if total == 0 {
            return Err("--mix: no command has a weight above 0".into());
        }
        Ok(Mix { commands, total })
    }

    /// One command of the user's own.
    pub fn single(words: &[String]) -> Mix {
        let command = Command { name: words.join(" "), words: words.to_vec(), weight: 1 };
        Mix { commands: vec![command], total: 1 }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|command| command.name.as_str())
    }
}

/// Makes one client's requests; the same seed and number give the same ones.
pub struct Generator {
    random: Random,
    zipf: Option<Zipf>,
    keys: u64,
    prefix: String,
    value: String,
}

impl Generator {
    pub fn new(options: &Bench, number: u64) -> Generator {
        let mut random = Random(options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 32));
        let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let letter = |_| char::from(letters[(random.next() % letters.len() as u64) as usize]);
        let value = (0..options.value_size).map(letter).collect();
        let zipf = (options.zipf > 0.0).then(|| Zipf::new(options.keys, options.zipf));
        Generator { random, zipf, keys: options.keys, prefix: options.prefix.clone(), value }
    }

    /// The next request, and which of the mix's commands it is.
    pub fn request(&mut self, mix: &Mix) -> (usize, Vec<String>) {
        let mut ticket = self.random.next() % mix.total;
        let mut at = 0;
        while ticket >= mix.commands[at].weight {
            ticket -= mix.commands[at].weight;
            at += 1;
        }
        let number = match &self.zipf {
            Some(zipf) => zipf.sample(&mut self.random),
            None => self.random.next() % self.keys,
        };
        let key = format!("{}{number}", self.prefix);
        let fill = |word: &String| match word.contains('{') {
            true => word.replace("{key}", &key).replace("{value}", &self.value),
            false => word.clone(),
        };
        (at, mix.commands[at].words.iter().map(fill).collect())
    }
}

/// SplitMix64: small, fast, and good enough to choose keys with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In 0 ..= 1, from the upper 53 bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks with probability proportional to 1 / rank^s, by rejection-inversion: constant memory and about one draw each.
///
/// Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions".
struct Zipf {
    count: f64,
    s: f64,
    low: f64,
    high: f64,
    shortcut: f64,
}

impl Zipf {
    fn new(count: u64, s: f64) -> Zipf {
        let mut zipf = Zipf { count: count as f64, s, low: 0.0, high: 0.0, shortcut: 0.0 };
        zipf.low = zipf.integral(1.5) - 1.0;
        zipf.high = zipf.integral(zipf.count + 0.5);
        zipf.shortcut = 2.0 - zipf.inverse(zipf.integral(2.5) - 2_f64.powf(-s));
        zipf
    }

    /// A number in 0 .. count; 0 is the most frequent.
    fn sample(&self, random: &mut Random) -> u64 {
        loop {
            let u = self.high + random.unit() * (self.low - self.high);
            let x = self.inverse(u);
            let rank = x.round().clamp(1.0, self.count);
            if rank - x <= self.shortcut || u >= self.integral(rank + 0.5) - rank.powf(-self.s) {
                return rank as u64 - 1;
            }
        }
    }

    /// The integral of x^-s.
    fn integral(&self, x: f64) -> f64 {
        match (self.s - 1.0).abs() < 1e-9 {
            true => x.ln(),
            false => (x.powf(1.0 - self.s) - 1.0) / (1.0 - self.s),
        }
    }

    fn inverse(&self, y: f64) -> f64 {
        match (self.s - 1.0).abs() < 1e-9 {
            true => y.exp(),
            false => (1.0 + y * (1.0 - self.s)).max(0.0).powf(1.0 / (1.0 - self.s)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_refused() {
        assert_eq!(Mix::parse("get=3, SET").expect("good").total, 4);
        for text in ["", "get=x", "nosuch", "get=0"] {
            assert!(Mix::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zipf_follows_its_law() {
        for s in [0.5, 0.99, 1.0, 1.5] {
            let (zipf, mut random) = (Zipf::new(1000, s), Random(7));
            let mut counts = [0_f64; 1000];
            const DRAWS: usize = 200_000;
            for _ in 0..DRAWS {
                counts[zipf.sample(&mut random) as usize] += 1.0;
            }
            let norm: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-s)).sum();
            for rank in [1_usize, 2, 10] {
                let expected = DRAWS as f64 * (rank as f64).powf(-s) / norm;
                let off = (counts[rank - 1] - expected).abs();
                // Six standard deviations: with a fixed seed this cannot flicker.
                assert!(off < 6.0 * expected.sqrt(), "s {s} rank {rank}: {} against {expected}", counts[rank - 1]);
            }
        }
    }
}
