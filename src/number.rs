//! Numbers as JSON may write them: `25000`, `25000.0` and `2.5e4` are the same.
//!
//! JavaScript has only one type of number, so a peer may write a fraction or an exponent where
//! others write digits. Formats that do not distinguish number types are read in the same way.

use alloc::vec::Vec;
use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Below this value, numbers with a fraction or an exponent are read exactly.
const EXACT: u64 = 1_000_000_000_000_000;

/// The largest whole number that JavaScript represents exactly, and with it every smaller one.
pub(crate) const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The number that decimal digits say. `None` if there is anything but digits, or more than 64 bits can
/// hold.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    /// So many digits are always a number of 64 bits.
    const SAFE: usize = 19;
    if text.is_empty() {
        return None;
    }
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    let (mut number, rest) = (0_u64, text.get(zeros..)?);
    for byte in rest {
        let digit = Some(u64::from(byte.wrapping_sub(b'0'))).filter(|digit| *digit < 10)?;
        number = if rest.len() <= SAFE {
            number.wrapping_mul(10).wrapping_add(digit)
        } else {
            number.checked_mul(10)?.checked_add(digit)?
        };
    }
    Some(number)
}

/// The id behind another one. It begins again at zero where JavaScript would lose count.
pub(crate) const fn next_id(id: u64) -> u64 {
    if id >= INTEGER_MAX { 0 } else { id.saturating_add(1) }
}

/// A value in a place where a number is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// A whole number that is not negative.
    Whole(u64),
    /// Another number, rounded down to a whole number in range. A negative number becomes zero.
    Cut(u64),
    /// `null`.
    Null,
    /// Not a number.
    Other,
}

impl Number {
    pub(crate) fn whole(self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(number),
            Self::Cut(_) | Self::Null | Self::Other => None,
        }
    }

    /// A number with a fraction or an exponent is exact up to 15 digits. Larger ones do not count
    /// as whole.
    fn from_float(value: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what the cast has changed is told apart"
        )]
        let cut = value as u64;
        #[expect(clippy::cast_precision_loss, reason = "a double holds this many digits exactly")]
        #[expect(clippy::float_cmp, reason = "whole or not is an exact question")]
        let is_whole = cut < EXACT && cut as f64 == value;
        if is_whole { Self::Whole(cut) } else { Self::Cut(cut) }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

/// Reads numbers that must all be whole and not negative.
pub(crate) fn whole_numbers(numbers: Vec<Number>) -> Option<Vec<u64>> {
    numbers.into_iter().map(Number::whole).collect()
}

/// For fields that must be whole and not negative: `#[serde(deserialize_with = …)]`.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = deserializer.deserialize_u64(Anything)?;
    number.whole().ok_or_else(|| D::Error::custom("not a whole number"))
}

/// Like [`whole`], for fields that may be `null`.
pub(crate) fn whole_or_null<'de, D>(deserializer: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Field(#[serde(deserialize_with = "whole")] u64);

    let field = Option::<Field>::deserialize(deserializer)?;
    Ok(field.map(|Field(number)| number))
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(u64::try_from(value).map_or(Number::Cut(0), Number::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number::from_float(value))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number::Null)
    }

    fn visit_none<E>(self) -> Result<Number, E> {
        Ok(Number::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_number_if_64_bits_can_hold_it() {
        for (text, number) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("00000000000000000042", Some(42)),
            ("0000000000000000000000000000000000018446744073709551615", Some(u64::MAX)),
            ("1795788713383", Some(1_795_788_713_383)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1a", None),
            ("1:", None),
            ("0/", None),
            (" 1", None),
        ] {
            assert_eq!(digits(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn every_way_to_write_a_number_is_read() {
        let table = [
            ("25000", Number::Whole(25_000)),
            ("25000.0", Number::Whole(25_000)),
            ("2.5E4", Number::Whole(25_000)),
            ("25e+3", Number::Whole(25_000)),
            ("2500000e-2", Number::Whole(25_000)),
            ("0", Number::Whole(0)),
            ("-0", Number::Whole(0)),
            ("-0.0", Number::Whole(0)),
            ("9007199254740991", Number::Whole((1 << 53) - 1)),
            ("999999999999999.0", Number::Whole(999_999_999_999_999)),
            ("1e15", Number::Cut(1_000_000_000_000_000)),
            ("18446744073709551615", Number::Whole(u64::MAX)),
            ("18446744073709551616", Number::Cut(u64::MAX)),
            ("1e300", Number::Cut(u64::MAX)),
            ("25000.5", Number::Cut(25_000)),
            ("-1", Number::Cut(0)),
            ("-1e300", Number::Cut(0)),
            ("null", Number::Null),
            ("\"25000\"", Number::Other),
            ("true", Number::Other),
            ("[1,[2]]", Number::Other),
            ("{\"a\":{}}", Number::Other),
        ];
        for (json, number) in table {
            assert_eq!(serde_json::from_str::<Number>(json).unwrap(), number, "{json}");
        }
        assert!(serde_json::from_str::<Number>("1e999").is_err(), "JSON, but no number");
    }

    #[test]
    fn fields_take_whole_numbers_alone() {
        #[derive(Deserialize)]
        struct Fields {
            #[serde(deserialize_with = "whole")]
            count: u64,
            #[serde(default, deserialize_with = "whole_or_null")]
            id: Option<u64>,
        }

        let read = |json: &str| {
            serde_json::from_str::<Fields>(json).ok().map(|fields| (fields.count, fields.id))
        };
        assert_eq!(read(r#"{"count":5.0,"id":1e1}"#), Some((5, Some(10))));
        assert_eq!(read(r#"{"count":5,"id":null}"#), Some((5, None)));
        assert_eq!(read(r#"{"count":5}"#), Some((5, None)));
        for json in [r#"{"count":5.5}"#, r#"{"count":-1}"#, r#"{"count":null}"#, r#"{"count":"5"}"#]
        {
            assert_eq!(read(json), None, "{json}");
        }
        assert_eq!(read(r#"{"count":5,"id":0.5}"#), None);
    }
}
