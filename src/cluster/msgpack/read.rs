//! Reads msgpack, one token at a time.

/// One value, or the head of an array or a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Uint(u64),
    /// A negative number.
    Int(i64),
    Float(f64),
    /// Text, which need not be UTF-8.
    Str(&'a [u8]),
    Bin(&'a [u8]),
    /// So many values follow.
    Array(u32),
    /// So many pairs of values follow.
    Map(u32),
    Ext(i8, &'a [u8]),
}

/// Reads the first token and advances behind it. `None` if it is incomplete or there is no such
/// token.
#[inline]
pub(crate) fn read<'a>(input: &mut &'a [u8]) -> Option<Token<'a>> {
    let (&marker, rest) = input.split_first()?;
    *input = rest;
    Some(match marker {
        0x00..=0x7f => Token::Uint(marker.into()),
        0x80..=0x8f => Token::Map((marker & 0xf).into()),
        0x90..=0x9f => Token::Array((marker & 0xf).into()),
        0xa0..=0xbf => Token::Str(take(input, usize::from(marker & 0x1f))?),
        0xe0..=0xff => Token::Int(i64::from(marker.cast_signed())),
        _ => return read_marked(marker, input),
    })
}

/// Reads what follows a marker that says nothing but the type.
fn read_marked<'a>(marker: u8, input: &mut &'a [u8]) -> Option<Token<'a>> {
    Some(match marker {
        0xc0 => Token::Nil,
        0xc2 => Token::Bool(false),
        0xc3 => Token::Bool(true),
        0xc4 => Token::Bin(take_sized::<1>(input)?),
        0xc5 => Token::Bin(take_sized::<2>(input)?),
        0xc6 => Token::Bin(take_sized::<4>(input)?),
        0xc7 => ext(input, number::<1>)?,
        0xc8 => ext(input, number::<2>)?,
        0xc9 => ext(input, number::<4>)?,
        0xca => Token::Float(f32::from_be_bytes(bytes(input)?).into()),
        0xcb => Token::Float(f64::from_be_bytes(bytes(input)?)),
        0xcc => Token::Uint(number::<1>(input)?),
        0xcd => Token::Uint(number::<2>(input)?),
        0xce => Token::Uint(number::<4>(input)?),
        0xcf => Token::Uint(number::<8>(input)?),
        0xd0 => signed(i8::from_be_bytes(bytes(input)?).into()),
        0xd1 => signed(i16::from_be_bytes(bytes(input)?).into()),
        0xd2 => signed(i32::from_be_bytes(bytes(input)?).into()),
        0xd3 => signed(i64::from_be_bytes(bytes(input)?)),
        0xd4..=0xd8 => ext(input, |_| Some(1 << (marker - 0xd4)))?,
        0xd9 => Token::Str(take_sized::<1>(input)?),
        0xda => Token::Str(take_sized::<2>(input)?),
        0xdb => Token::Str(take_sized::<4>(input)?),
        0xdc => Token::Array(u16::from_be_bytes(bytes(input)?).into()),
        0xdd => Token::Array(u32::from_be_bytes(bytes(input)?)),
        0xde => Token::Map(u16::from_be_bytes(bytes(input)?).into()),
        0xdf => Token::Map(u32::from_be_bytes(bytes(input)?)),
        // 0xc1 is never used. The rest was read by the caller.
        _ => return None,
    })
}

/// Advances behind one value with everything in it. `None` if it is malformed.
///
/// It costs a few instructions for each token and nothing for the contents of texts and bytes.
pub(in crate::cluster) fn skip(input: &mut &[u8]) -> Option<()> {
    let mut left: u64 = 1;
    while left > 0 {
        let inside = match read(input)? {
            Token::Array(len) => u64::from(len),
            Token::Map(len) => u64::from(len) * 2,
            _ => 0,
        };
        // At most 2^33 more for each token that there is: it cannot overflow.
        left = (left - 1).saturating_add(inside);
    }
    Some(())
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(taken)
}

fn bytes<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*taken)
}

/// A number of `N` bytes, at most 8.
fn number<const N: usize>(input: &mut &[u8]) -> Option<u64> {
    let bytes: [u8; N] = bytes(input)?;
    Some(bytes.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte)))
}

fn take_sized<'a, const N: usize>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number::<N>(input)?).ok()?;
    take(input, len)
}

fn signed<'a>(number: i64) -> Token<'a> {
    u64::try_from(number).map_or(Token::Int(number), Token::Uint)
}

fn ext<'a>(
    input: &mut &'a [u8],
    len: impl FnOnce(&mut &'a [u8]) -> Option<u64>,
) -> Option<Token<'a>> {
    let len = usize::try_from(len(input)?).ok()?;
    let [kind] = bytes(input)?;
    Some(Token::Ext(kind.cast_signed(), take(input, len)?))
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    fn all(mut input: &[u8]) -> Option<Vec<Token<'_>>> {
        let mut tokens = Vec::new();
        while !input.is_empty() {
            tokens.push(read(&mut input)?);
        }
        Some(tokens)
    }

    #[test]
    fn every_token_of_the_specification_is_read() {
        let table: &[(&[u8], Token<'_>)] = &[
            (b"\x00", Token::Uint(0)),
            (b"\x7f", Token::Uint(127)),
            (b"\xe0", Token::Int(-32)),
            (b"\xff", Token::Int(-1)),
            (b"\x80", Token::Map(0)),
            (b"\x8f", Token::Map(15)),
            (b"\x90", Token::Array(0)),
            (b"\x9f", Token::Array(15)),
            (b"\xa0", Token::Str(b"")),
            (b"\xa2ab", Token::Str(b"ab")),
            (b"\xc0", Token::Nil),
            (b"\xc2", Token::Bool(false)),
            (b"\xc3", Token::Bool(true)),
            (b"\xc4\x01a", Token::Bin(b"a")),
            (b"\xc5\x00\x01a", Token::Bin(b"a")),
            (b"\xc6\x00\x00\x00\x01a", Token::Bin(b"a")),
            (b"\xc7\x01\xffa", Token::Ext(-1, b"a")),
            (b"\xc8\x00\x01\x05a", Token::Ext(5, b"a")),
            (b"\xc9\x00\x00\x00\x01\x05a", Token::Ext(5, b"a")),
            (b"\xca\x3f\xc0\x00\x00", Token::Float(1.5)),
            (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Token::Float(1.5)),
            (b"\xcc\x80", Token::Uint(128)),
            (b"\xcd\x01\x00", Token::Uint(256)),
            (b"\xce\x00\x01\x00\x00", Token::Uint(65_536)),
            (b"\xcf\x00\x00\x01\xa2\x1dY-h", Token::Uint(1_795_788_713_320)),
            (b"\xd0\x80", Token::Int(-128)),
            (b"\xd0\x05", Token::Uint(5)),
            (b"\xd1\x80\x00", Token::Int(-32_768)),
            (b"\xd2\x80\x00\x00\x00", Token::Int(-2_147_483_648)),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Token::Int(i64::MIN)),
            (b"\xd4\x05a", Token::Ext(5, b"a")),
            (b"\xd5\x05ab", Token::Ext(5, b"ab")),
            (b"\xd6\xff\x00\x00\x00\x00", Token::Ext(-1, b"\0\0\0\0")),
            (b"\xd8\x05aaaabbbbccccdddd", Token::Ext(5, b"aaaabbbbccccdddd")),
            (b"\xd9\x01a", Token::Str(b"a")),
            (b"\xda\x00\x01a", Token::Str(b"a")),
            (b"\xdb\x00\x00\x00\x01a", Token::Str(b"a")),
            (b"\xdc\x00\x10", Token::Array(16)),
            (b"\xdd\xff\xff\xff\xff", Token::Array(u32::MAX)),
            (b"\xde\x00\x10", Token::Map(16)),
            (b"\xdf\xff\xff\xff\xff", Token::Map(u32::MAX)),
        ];
        for (bytes, token) in table {
            assert_eq!(all(bytes), Some(vec![*token]), "{bytes:x?}");
            for len in 0..bytes.len() {
                let mut part = &bytes[..len];
                assert_eq!(read(&mut part), None, "{:x?}", &bytes[..len]);
            }
        }
        assert_eq!(read(&mut &b"\xc1"[..]), None, "never used");
    }

    #[test]
    fn a_value_is_skipped_with_what_is_in_it() {
        let skipped = |bytes: &[u8]| {
            let mut rest = bytes;
            skip(&mut rest).map(|()| bytes.len() - rest.len())
        };
        assert_eq!(skipped(b"\x01\x02"), Some(1));
        assert_eq!(skipped(b"\x92\x01\x81\xa1a\x92\xc0\xc4\x02\xff\xff\x05"), Some(11));
        assert_eq!(skipped(b"\x92\x01"), None);
        // Lengths that lie, and deep nesting, cost what there is to read.
        assert_eq!(skipped(b"\xdd\xff\xff\xff\xff\x01"), None);
        assert_eq!(skipped(b"\xc6\xff\xff\xff\xff\x01"), None);
        assert_eq!(skipped(&vec![0x91; 1 << 20]), None);
        assert_eq!(skipped(&[vec![0x91; 1 << 20], vec![0xc0]].concat()), Some((1 << 20) + 1));
        assert_eq!(skipped(&b"\xdf\xff\xff\xff\xff".repeat(1000)), None);
    }
}
