//! What tells a row that was overwritten from one that was written.

/// The offset basis and the prime of FNV-1a with 64 bits.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a. It is against accidents: it finds every byte that was changed. Someone who can write to
/// the file can also write a checksum.
pub(super) fn checksum<const N: usize>(numbers: [u64; N], bytes: &[u8]) -> u64 {
    let numbers = numbers.into_iter().flat_map(u64::to_le_bytes);
    let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(PRIME);
    bytes.iter().copied().fold(numbers.fold(BASIS, step), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a() {
        // From the list of its authors.
        assert_eq!(checksum([], b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum([], b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(checksum([], b"foobar"), 0x8594_4171_f739_67e8);
        assert_ne!(checksum([1, 2], b"x"), checksum([2, 1], b"x"));
    }
}
