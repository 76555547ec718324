//! Times as JavaScript writes them.

use alloc::{format, string::String};

/// The type of the extension for times.
pub(super) const TIMESTAMP: i8 = -1;

/// The last millisecond of a `Date`, before and after 1970.
const MAX_MS: i128 = 8_640_000_000_000_000;
const DAY_MS: i128 = 86_400_000;

/// Appends a time as `JSON.stringify` writes a `Date`. Returns `false` if the bytes are not a
/// timestamp.
pub(super) fn push_timestamp(out: &mut String, bytes: &[u8]) -> bool {
    let Some((seconds, nanoseconds)) = timestamp(bytes) else {
        return false;
    };
    // A `Date` counts whole milliseconds, and cuts the rest off towards 1970.
    let ns = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let ms = ns / 1_000_000;
    if ms.abs() > MAX_MS {
        out.push_str("null");
        return true;
    }
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let ms = ms.rem_euclid(DAY_MS);
    let (s, ms) = (ms / 1000, ms % 1000);
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ if year < 0 => format!("-{:06}", year.unsigned_abs()),
        _ => format!("+{year:06}"),
    };
    let text = format!("\"{year}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z\"");
    out.push_str(&text);
    true
}

/// The seconds since 1970 and the nanoseconds behind them.
fn timestamp(bytes: &[u8]) -> Option<(i64, u32)> {
    if let Ok(short) = <[u8; 4]>::try_from(bytes) {
        return Some((u32::from_be_bytes(short).into(), 0));
    }
    if let Ok(medium) = <[u8; 8]>::try_from(bytes) {
        let both = u64::from_be_bytes(medium);
        let seconds = both & 0x3_ffff_ffff;
        return Some((seconds.cast_signed(), u32::try_from(both >> 34).ok()?));
    }
    let (nanoseconds, rest) = bytes.split_first_chunk::<4>()?;
    let seconds = <[u8; 8]>::try_from(rest).ok()?;
    Some((i64::from_be_bytes(seconds), u32::from_be_bytes(*nanoseconds)))
}

/// The date in the Gregorian calendar, so many days after the first of January 1970.
fn civil(days: i128) -> (i128, i128, i128) {
    // Days since the first of March of the year 0, so that a leap day ends a year.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i128::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn long(nanoseconds: u32, seconds: i64) -> Vec<u8> {
        [&nanoseconds.to_be_bytes()[..], &seconds.to_be_bytes()].concat()
    }

    #[test]
    fn times_look_as_in_javascript() {
        let medium = |ns: u64, s: u64| (ns << 34 | s).to_be_bytes().to_vec();
        let table = [
            ([0; 4].to_vec(), "\"1970-01-01T00:00:00.000Z\""),
            (u32::MAX.to_be_bytes().to_vec(), "\"2106-02-07T06:28:15.000Z\""),
            (medium(123_999_999, 1_709_210_096), "\"2024-02-29T12:34:56.123Z\""),
            (long(0, -1), "\"1969-12-31T23:59:59.000Z\""),
            (long(999_000_000, -62_167_219_201), "\"-000001-12-31T23:59:59.999Z\""),
            (long(0, 8_640_000_000_000), "\"+275760-09-13T00:00:00.000Z\""),
            (long(0, -8_640_000_000_000), "\"-271821-04-20T00:00:00.000Z\""),
            (long(1_000_000, 8_640_000_000_000), "null"),
            (long(u32::MAX, i64::MAX), "null"),
            (long(0, i64::MIN), "null"),
        ];
        for (bytes, text) in table {
            let mut out = String::new();
            assert!(push_timestamp(&mut out, &bytes));
            assert_eq!(out, text);
        }
        for len in [0, 1, 3, 5, 7, 9, 11, 13] {
            assert!(!push_timestamp(&mut String::new(), &alloc::vec![0; len]), "{len}");
        }
    }
}
