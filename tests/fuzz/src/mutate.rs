//! Damages values: a small, deterministic stand-in for libFuzzer's mutations, for the test that
//! every `cargo test` runs.

/// Numbers at which lengths and offsets break.
const EDGES: [u64; 10] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_f000,
    u64::MAX,
];

/// Random numbers: splitmix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }
}

/// A damaged copy of one of `seeds`, which must not be empty.
pub fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut out = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        step(&mut out, seeds, random);
    }
    out
}

fn step(out: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(out.len());
    let len = 1 + random.below(16.min(out.len() - at));
    let end = (at + len).min(out.len());
    match random.below(8) {
        0 if !out.is_empty() => out[at] ^= 1 << random.below(8),
        1 if !out.is_empty() => out[at] = random.number() as u8,
        2 => out.truncate(at),
        3 => drop(out.drain(at..end)),
        4 => {
            let copy = out[at..end].to_vec();
            let to = random.below(out.len() + 1);
            out.splice(to..to, copy);
        }
        5 => {
            let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
            let width = 1 << random.below(4);
            for (to, from) in out.iter_mut().skip(at).zip(&edge[..width]) {
                *to = *from;
            }
        }
        6 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            out.truncate(at);
            out.extend_from_slice(&other[from..]);
        }
        _ => out.insert(at, random.number() as u8),
    }
}
