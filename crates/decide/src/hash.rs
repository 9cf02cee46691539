use etm_abi::{
    Address, Balancing, HASH_CALLER_ADDRESS, HASH_CALLER_NAMESPACE, HASH_CALLER_POD,
    HASH_CALLER_PORT, HASH_PROTOCOL, HASH_SERVICE_PORT, POSITION_BITS,
};

/// What is known of one connection; what its policy does not hash may be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The calling Pod's name, as a number.
    pub pod: u64,
    /// Its namespace, as a number.
    pub namespace: u64,
    /// The caller's address of the Service's family.
    pub address: Address,
    /// The port that the caller's socket is bound to, network byte order.
    pub port: u16,
    /// The port of the Service, network byte order.
    pub service_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

/// The position of a connection, by the fields that its policy names.
#[inline(always)]
#[must_use]
pub fn position(balancing: &Balancing, call: &Call) -> u32 {
    let fields = balancing.fields;
    let mut hash = Hash(balancing.salt);
    if fields & HASH_CALLER_POD != 0 {
        hash.add(call.pod);
    }
    if fields & HASH_CALLER_ADDRESS != 0 {
        hash.add(call.address[0] as u64 | (call.address[1] as u64) << 32);
        hash.add(call.address[2] as u64 | (call.address[3] as u64) << 32);
    }
    if fields & HASH_CALLER_NAMESPACE != 0 {
        hash.add(call.namespace);
    }
    // One word for the three, of which those that are not named are left out.
    let mut last = 0;
    if fields & HASH_CALLER_PORT != 0 {
        last |= call.port as u64 | 1 << 40;
    }
    if fields & HASH_SERVICE_PORT != 0 {
        last |= (call.service_port as u64) << 16 | 1 << 41;
    }
    if fields & HASH_PROTOCOL != 0 {
        last |= (call.protocol as u64) << 32 | 1 << 42;
    }
    if last != 0 {
        hash.add(last);
    }
    hash.position()
}

/// Words, mixed one after the other by multiplication and a fold of upper onto lower bits (the
/// constants of SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014).
struct Hash(u64);

impl Hash {
    #[inline(always)]
    fn add(&mut self, word: u64) {
        let x = (self.0 ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0 = x ^ (x >> 31);
    }

    #[inline(always)]
    fn position(&self) -> u32 {
        let x = (self.0 ^ (self.0 >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x >> (u64::BITS - POSITION_BITS)) as u32
    }
}
