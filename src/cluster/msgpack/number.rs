//! Numbers as JavaScript writes them.

use alloc::{format, string::String};

/// Appends a number as `JSON.stringify` writes it.
pub(in crate::cluster) fn push_number(out: &mut String, number: f64) {
    if !number.is_finite() {
        out.push_str("null");
        return;
    }
    if number == 0.0 {
        // Also minus zero.
        out.push('0');
        return;
    }
    // The shortest digits that read back as the same number, as in JavaScript: `-d.ddde-7`.
    let shortest = format!("{number:e}");
    let (sign, shortest) = match shortest.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", shortest.as_str()),
    };
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    out.push_str(sign);
    push_digits(out, first, rest, exponent);
}

/// Places the point. `first` is one digit, and `rest` are those behind the point.
fn push_digits(out: &mut String, first: &str, rest: &str, exponent: i32) {
    match usize::try_from(exponent) {
        Ok(before @ ..=20) => {
            out.push_str(first);
            let (whole, fraction) = rest.split_at_checked(before).unwrap_or((rest, ""));
            out.push_str(whole);
            out.extend(core::iter::repeat_n('0', before.saturating_sub(whole.len())));
            if !fraction.is_empty() {
                out.push('.');
                out.push_str(fraction);
            }
        }
        Err(_) if exponent >= -6 => {
            let zeros = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
            out.push_str("0.");
            out.extend(core::iter::repeat_n('0', zeros.saturating_sub(1)));
            out.push_str(first);
            out.push_str(rest);
        }
        _ => {
            out.push_str(first);
            if !rest.is_empty() {
                out.push('.');
                out.push_str(rest);
            }
            let sign = if exponent < 0 { '-' } else { '+' };
            let exponent = format!("e{sign}{}", exponent.unsigned_abs());
            out.push_str(&exponent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_javascript() {
        // What `JSON.stringify` of Node.js 20 writes.
        let table = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (100.0, "100"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e20, "100000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e21, "1.5e+21"),
            (-1.5e300, "-1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-6, "0.0000015"),
            (1e-7, "1e-7"),
            (-1.25e-7, "-1.25e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "null"),
            (f64::NAN, "null"),
        ];
        for (number, text) in table {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, text);
            assert!(text == "null" || text.parse() == Ok(number));
        }
    }
}
