//! The generator behind every random choice: xoshiro256++ by Blackman and Vigna, its state filled by SplitMix64 (Steele, Lea,
//! Flood), both public domain. One stream per virtual user or arrival, so that choices do not depend on workers or threads.

use crate::Wait;

/// A small, fast, seedable generator; not for secrets. A clone repeats the same choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

/// Which family of streams a generator belongs to; families never share choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What a user or an arrival chooses; numbered over the whole run.
    Member,
    /// The gaps between arrivals; numbered by lane.
    Gaps,
}

impl Rng {
    /// The stream `number` of a family under the plan's seed.
    #[must_use]
    pub fn new(seed: u64, stream: Stream, number: u64) -> Self {
        let family = match stream {
            Stream::Member => 0x6d65_6d62_6572_0001,
            Stream::Gaps => 0x6761_7073_0000_0002,
        };
        let mut mixer = mix(mix(seed ^ family).wrapping_add(number));
        let mut next = || {
            mixer = mixer.wrapping_add(GOLDEN);
            mix(mixer)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// An integer in `[0, bound)`, or any integer if `bound` is 0. Multiply-and-shift: the bias is at most `bound` / 2⁶⁴.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        let bits = self.bits();
        if bound == 0 { bits } else { ((u128::from(bits) * u128::from(bound)) >> 64) as u64 }
    }

    /// A number in `(0, 1]` with 53 random bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// An exponentially distributed number with mean 1, at most 37.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }
}

impl Wait {
    /// A length of this distribution, in nanoseconds; an exponential one is at most 37 means.
    #[inline]
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        match *self {
            Self::Uniform { min, max } => match max.saturating_sub(min) {
                0 => min,
                span => min + rng.below(span.wrapping_add(1)),
            },
            Self::Exponential { mean } => (mean as f64 * rng.exponential()) as u64,
        }
    }
}

/// 2⁶⁴ divided by the golden ratio: the step of SplitMix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64: a bijection in which every input bit touches every output bit.
#[inline]
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xoshiro_matches_its_reference_sequence() {
        // First outputs for the state 1, 2, 3, 4, by hand from the published algorithm: rotl(1 + 4, 23) + 1 and so on.
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let got: Vec<u64> = (0..4).map(|_| rng.bits()).collect();
        assert_eq!(got, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn splitmix_matches_its_reference_sequence() {
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(GOLDEN.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn streams_differ_by_seed_family_and_number_and_repeat() {
        let first = |seed, stream, number| Rng::new(seed, stream, number).bits();
        let base = first(1, Stream::Member, 1);
        assert_eq!(base, first(1, Stream::Member, 1));
        assert_ne!(base, first(2, Stream::Member, 1));
        assert_ne!(base, first(1, Stream::Member, 2));
        assert_ne!(base, first(1, Stream::Gaps, 1));
    }

    #[test]
    fn bounded_draws_cover_their_range_evenly() {
        let mut rng = Rng::new(7, Stream::Member, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..50_000 {
            seen[rng.below(5) as usize] += 1;
        }
        // Binomial(50 000, 1/5) has a standard deviation of 89; five of them.
        assert!(seen.iter().all(|n| n.abs_diff(10_000) < 450), "{seen:?}");
        let mean: f64 = (0..50_000).map(|_| rng.exponential()).sum::<f64>() / 50_000.0;
        assert!((mean - 1.0).abs() < 0.025, "{mean}");
    }

    #[test]
    fn waits_stay_within_their_bounds() {
        let mut rng = Rng::new(7, Stream::Member, 0);
        let wait = Wait::Uniform { min: 3, max: 5 };
        let drawn: Vec<u64> = (0..1000).map(|_| wait.draw(&mut rng)).collect();
        assert!((3..=5).all(|n| drawn.contains(&n)) && drawn.iter().all(|n| (3..=5).contains(n)));
        assert_eq!(Wait::Uniform { min: 4, max: 4 }.draw(&mut rng), 4);
        assert_ne!(Wait::Uniform { min: 0, max: u64::MAX }.draw(&mut rng), 0);
    }
}
