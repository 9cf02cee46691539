/// The next of a sequence of even 32-bit values: SplitMix64 (Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators", 2014), its upper half. `state` is whatever was left
/// there before; any seed will do.
///
/// Inline arithmetic where the kernel's own generator is two calls, each with a return that
/// processors with mitigations make slow.
#[inline(always)]
#[must_use]
pub fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 32) as u32
}

/// A bijection of 32 bits with good avalanche (the `lowbias32` constants of C. Wellons,
/// "Prospecting for Hash Functions", 2018).
#[inline(always)]
pub(crate) const fn rehash(value: u32) -> u32 {
    let mut x = value.wrapping_add(0x9e37_79b9);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
