//! The columns of a row: those of chunks, and a form for values that another column nearly tells.
//!
//! A counter's least value is its first, its greatest its last, and its first is little above the last of the bucket before.

use base::{Error, NO_TIME, Result};

use crate::chunk::sealed::{self, Effort};

// First bytes that no sealed column begins with: the high half would be its version.
const PREDICTED: u8 = 0x20;
const OFF_BY: u8 = 0x21;

/// Encodes values, of which `predicted` are guesses.
pub(super) fn encode_values(values: &[f64], predicted: &[f64]) -> Vec<u8> {
    if values.iter().zip(predicted).all(|(v, p)| v.to_bits() == p.to_bits()) {
        return vec![PREDICTED];
    }
    let plain = sealed::encode_values(values, Effort::Thorough);
    let off_by: Vec<f64> = values.iter().zip(predicted).map(|(v, p)| v - p).collect();
    let exact = values.iter().zip(predicted).zip(&off_by).all(|((v, p), d)| (p + d).to_bits() == v.to_bits());
    if exact {
        let differences = sealed::encode_values(&off_by, Effort::Thorough);
        if differences.len() + 1 < plain.len() {
            let mut out = vec![OFF_BY];
            out.extend_from_slice(&differences);
            return out;
        }
    }
    plain
}

/// Whether decoding needs the guesses.
pub(super) fn needs_prediction(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(&(PREDICTED | OFF_BY)))
}

/// Appends `count` values to `out`.
pub(super) fn decode_values(bytes: &[u8], count: usize, predicted: &[f64], out: &mut Vec<f64>) -> Result<()> {
    let start = out.len();
    match bytes.split_first() {
        Some((&PREDICTED, [])) if predicted.len() == count => out.extend_from_slice(predicted),
        Some((&OFF_BY, differences)) if predicted.len() == count => {
            sealed::decode_values(differences, count, out)?;
            out[start..].iter_mut().zip(predicted).for_each(|(v, p)| *v += p);
        }
        Some((&(PREDICTED | OFF_BY), _)) => return Err(corrupt("values do not fit what predicts them")),
        _ => sealed::decode_values(bytes, count, out)?,
    }
    Ok(())
}

/// Encodes numbers of samples.
pub(super) fn encode_counts(counts: &[u32]) -> Vec<u8> {
    let counts: Vec<f64> = counts.iter().map(|n| f64::from(*n)).collect();
    sealed::encode_values(&counts, Effort::Thorough)
}

/// Appends `count` numbers of samples to `out`.
pub(super) fn decode_counts(bytes: &[u8], count: usize, out: &mut Vec<u32>) -> Result<()> {
    let mut numbers = Vec::with_capacity(count);
    sealed::decode_values(bytes, count, &mut numbers)?;
    for n in numbers {
        if !(0.0..=f64::from(u32::MAX)).contains(&n) || n.fract() != 0.0 {
            return Err(corrupt("a number of samples is none"));
        }
        out.push(n as u32);
    }
    Ok(())
}

/// Encodes the times of staleness markers: nothing at all if there are none, which is so for nearly every row.
pub(super) fn encode_stale(stale_ms: &[i64], ends_ms: &[i64]) -> Vec<u8> {
    if stale_ms.iter().all(|t| *t == NO_TIME) {
        return Vec::new();
    }
    let before_end = |(t, end): (&i64, &i64)| if *t == NO_TIME { -1.0 } else { (end - t) as f64 };
    let before_ends: Vec<f64> = stale_ms.iter().zip(ends_ms).map(before_end).collect();
    sealed::encode_values(&before_ends, Effort::Thorough)
}

/// Appends the times of staleness markers, one for each end.
pub(super) fn decode_stale(bytes: &[u8], ends_ms: &[i64], out: &mut Vec<i64>) -> Result<()> {
    if bytes.is_empty() {
        out.resize(out.len() + ends_ms.len(), NO_TIME);
        return Ok(());
    }
    let mut before_end = Vec::with_capacity(ends_ms.len());
    sealed::decode_values(bytes, ends_ms.len(), &mut before_end)?;
    for (before, end) in before_end.iter().zip(ends_ms) {
        out.push(if *before < 0.0 { NO_TIME } else { end.saturating_sub(*before as i64) });
    }
    Ok(())
}

pub(super) fn corrupt(what: &str) -> Error {
    Error::corrupt(format!("cannot decode rollup: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_keep_their_bits(
            pairs in prop::collection::vec((any::<f64>(), any::<f64>(), 0u8..3), 1..60),
        ) {
            let values: Vec<f64> = pairs.iter().map(|p| p.0).collect();
            let predicted: Vec<f64> =
                pairs.iter().map(|(v, other, how)| if *how == 0 { *other } else { *v }).collect();
            let bytes = encode_values(&values, &predicted);
            let mut out = Vec::new();
            decode_values(&bytes, values.len(), &predicted, &mut out).unwrap();
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&out), bits(&values));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..40), count in 0usize..50) {
            let ends: Vec<i64> = (0..count as i64).collect();
            decode_values(&bytes, count, &vec![0.0; count], &mut Vec::new()).ok();
            decode_values(&bytes, count, &[], &mut Vec::new()).ok();
            decode_counts(&bytes, count, &mut Vec::new()).ok();
            decode_stale(&bytes, &ends, &mut Vec::new()).ok();
        }
    }

    #[test]
    fn what_is_predicted_costs_a_byte_and_what_nearly_is_costs_little() {
        let predicted: Vec<f64> =
            (0..288u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) % 100_000)).collect();
        assert_eq!(encode_values(&predicted, &predicted), [PREDICTED]);
        let near: Vec<f64> = predicted.iter().enumerate().map(|(i, p)| p + f64::from(i as u32 % 2)).collect();
        assert!(
            encode_values(&near, &predicted).len() < sealed::encode_values(&near, Effort::Thorough).len() / 2
        );
    }

    #[test]
    fn markers_and_counts_read_back() {
        let (ends, stale) = ([300, 600, 900], [NO_TIME, 450, 900]);
        let mut out = Vec::new();
        decode_stale(&encode_stale(&stale, &ends), &ends, &mut out).unwrap();
        assert_eq!(out, stale);
        assert!(encode_stale(&[NO_TIME; 3], &ends).is_empty());
        let mut counts = Vec::new();
        decode_counts(&encode_counts(&[0, 20, u32::MAX]), 3, &mut counts).unwrap();
        assert_eq!(counts, [0, 20, u32::MAX]);
        assert!(decode_counts(&sealed::encode_values(&[0.5], Effort::Thorough), 1, &mut counts).is_err());
    }
}
