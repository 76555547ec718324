//! Writes msgpack as `@msgpack/msgpack` does: every head as short as it can be.

use alloc::vec::Vec;

use super::date::TIMESTAMP;

pub(in crate::cluster) fn push_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub(in crate::cluster) fn push_bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 | u8::from(value));
}

pub(crate) fn push_uint(out: &mut Vec<u8>, number: u64) {
    if let Ok(short) = u8::try_from(number) {
        if short >= 0x80 {
            out.push(0xcc);
        }
        out.push(short);
    } else if let Ok(short) = u16::try_from(number) {
        push(out, 0xcd, short.to_be_bytes());
    } else if let Ok(short) = u32::try_from(number) {
        push(out, 0xce, short.to_be_bytes());
    } else {
        push(out, 0xcf, number.to_be_bytes());
    }
}

pub(in crate::cluster) fn push_int(out: &mut Vec<u8>, number: i64) {
    if let Ok(number) = u64::try_from(number) {
        push_uint(out, number);
    } else if let Ok(short) = i8::try_from(number) {
        if short < -32 {
            out.push(0xd0);
        }
        out.push(short.cast_unsigned());
    } else if let Ok(short) = i16::try_from(number) {
        push(out, 0xd1, short.to_be_bytes());
    } else if let Ok(short) = i32::try_from(number) {
        push(out, 0xd2, short.to_be_bytes());
    } else {
        push(out, 0xd3, number.to_be_bytes());
    }
}

pub(in crate::cluster) fn push_float(out: &mut Vec<u8>, number: f64) {
    push(out, 0xcb, number.to_be_bytes());
}

/// Nothing that fits in memory here has 4 GiB.
pub(crate) fn push_str(out: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(len @ ..=31) => out.push(0xa0 | len),
        Ok(len) => push(out, 0xd9, [len]),
        Err(_) => push_len(out, text.len(), 0xda, 0xdb),
    }
    out.extend_from_slice(text);
}

pub(crate) fn push_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(len) => push(out, 0xc4, [len]),
        Err(_) => push_len(out, bytes.len(), 0xc5, 0xc6),
    }
    out.extend_from_slice(bytes);
}

/// The head of an array. The elements must follow.
pub(crate) fn push_array(out: &mut Vec<u8>, len: usize) {
    match u8::try_from(len) {
        Ok(len @ ..=15) => out.push(0x90 | len),
        _ => push_len(out, len, 0xdc, 0xdd),
    }
}

/// The head of a map. The pairs must follow.
pub(in crate::cluster) fn push_map(out: &mut Vec<u8>, len: usize) {
    match u8::try_from(len) {
        Ok(len @ ..=15) => out.push(0x80 | len),
        _ => push_len(out, len, 0xde, 0xdf),
    }
}

/// A time, in milliseconds since 1970.
pub(in crate::cluster) fn push_time(out: &mut Vec<u8>, ms: i64) {
    let nanoseconds = u32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    push(out, 0xc7, [12, TIMESTAMP.cast_unsigned()]);
    out.extend_from_slice(&nanoseconds.to_be_bytes());
    out.extend_from_slice(&ms.div_euclid(1_000).to_be_bytes());
}

fn push_len(out: &mut Vec<u8>, len: usize, short: u8, long: u8) {
    match u16::try_from(len) {
        Ok(len) => push(out, short, len.to_be_bytes()),
        Err(_) => push(out, long, u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()),
    }
}

fn push<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::cluster::msgpack::{Token, read};

    #[test]
    fn heads_are_short_and_read_back() {
        let uints = [0, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX];
        for (number, len) in uints.into_iter().zip([1, 1, 2, 2, 3, 3, 5, 9, 9]) {
            let mut out = vec![];
            push_uint(&mut out, number);
            assert_eq!((out.len(), read(&mut &out[..])), (len, Some(Token::Uint(number))));
        }
        let ints = [-1, -32, -33, -128, -129, -32_768, -32_769, i64::from(i32::MIN), i64::MIN];
        for (number, len) in ints.into_iter().zip([1, 1, 2, 2, 3, 3, 5, 5, 9]) {
            let mut out = vec![];
            push_int(&mut out, number);
            assert_eq!((out.len(), read(&mut &out[..])), (len, Some(Token::Int(number))));
        }
        for (len, head) in [(0, 1), (31, 1), (32, 2), (255, 2), (256, 3), (65_535, 3), (65_536, 5)]
        {
            let text = vec![b'a'; len];
            let mut out = vec![];
            push_str(&mut out, &text);
            assert_eq!((out.len(), read(&mut &out[..])), (len + head, Some(Token::Str(&text))));
        }
        for (len, head) in [(0, 2), (255, 2), (256, 3), (65_535, 3), (65_536, 5)] {
            let bytes = vec![0; len];
            let mut out = vec![];
            push_bin(&mut out, &bytes);
            assert_eq!((out.len(), read(&mut &out[..])), (len + head, Some(Token::Bin(&bytes))));
        }
        for (len, head) in [(0, 1), (15, 1), (16, 3), (65_535, 3), (65_536, 5)] {
            let (mut array, mut map) = (vec![], vec![]);
            push_array(&mut array, len);
            push_map(&mut map, len);
            let short = u32::try_from(len).unwrap();
            assert_eq!((array.len(), read(&mut &array[..])), (head, Some(Token::Array(short))));
            assert_eq!((map.len(), read(&mut &map[..])), (head, Some(Token::Map(short))));
        }
        let mut out = vec![];
        push_float(&mut out, -0.5);
        assert_eq!(read(&mut &out[..]), Some(Token::Float(-0.5)));
    }
}
