//! The chunk codecs: exact round trips, and no panic on any bytes.

use base::STALE_NAN;
use proptest::prelude::*;
use tsdb::chunk::sealed::Effort;
use tsdb::chunk::{head, sealed};

/// Any bits, and values as real series have them.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0u32..1000).prop_map(f64::from),
        (-1000i32..1000).prop_map(|n| f64::from(n) * 0.1),
        prop::sample::select(vec![
            f64::from_bits(STALE_NAN),
            f64::from_bits(0x7ff8_0000_0000_0001),
            f64::from_bits(0xfff0_dead_beef_0001),
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            f64::MIN_POSITIVE / 8.0,
            f64::MAX,
        ]),
    ]
}

/// Columns of samples: regular, jittered or wild steps; constant, smooth or wild values.
fn samples() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    let steps =
        prop_oneof![Just((15_000i64, 1i64)), Just((15_000, 5)), Just((1, 1_000_000)), Just((1, 1 << 40)),];
    let values = prop_oneof![
        prop::collection::vec(value(), 1..300),
        (value(), 1..300usize).prop_map(|(v, n)| vec![v; n]),
        prop::collection::vec((value(), 1..80usize), 1..8)
            .prop_map(|runs| runs.into_iter().flat_map(|(v, n)| std::iter::repeat_n(v, n)).collect()),
        (0u32..1000, 1..300u32).prop_map(|(a, n)| (0..n).map(|i| f64::from(a + i * 7)).collect()),
    ];
    (-10_000_000_000_000i64..10_000_000_000_000, steps, values, any::<u64>()).prop_map(
        |(first, (step, jitter), values, seed)| {
            let mut random = lake::testing::Random::new(seed);
            let mut t = first;
            let timestamps = values.iter().map(|_| {
                t += step + random.below(jitter as u64) as i64;
                t
            });
            (timestamps.collect(), values)
        },
    )
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn head_chunks_round_trip((timestamps, values) in samples()) {
        let mut chunk = head::OpenChunk::new(timestamps[0], values[0]);
        for (t, v) in timestamps.iter().zip(&values).skip(1) {
            chunk.push(*t, *v);
        }
        let (mut t, mut v) = (vec![7], vec![7.0]);
        head::decode(chunk.bytes(), usize::from(chunk.count()), &mut t, &mut v).unwrap();
        prop_assert_eq!(&t[1..], &timestamps[..]);
        prop_assert_eq!(bits(&v[1..]), bits(&values));
    }

    #[test]
    fn sealed_columns_round_trip((timestamps, values) in samples()) {
        let (mut t, mut v) = (vec![7], vec![7.0]);
        sealed::decode_timestamps(&sealed::encode_timestamps(&timestamps, Effort::Thorough), timestamps.len(), &mut t).unwrap();
        sealed::decode_values(&sealed::encode_values(&values, Effort::Thorough), values.len(), &mut v).unwrap();
        prop_assert_eq!(&t[1..], &timestamps[..]);
        prop_assert_eq!(bits(&v[1..]), bits(&values));
    }

    #[test]
    fn decoders_take_any_bytes(
        kind in 0x0fu8..0x18,
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        count in 0usize..9000,
    ) {
        decode_all(&bytes, count);
        bytes.insert(0, kind);
        decode_all(&bytes, count);
    }

    #[test]
    fn decoders_take_damaged_chunks(
        (timestamps, values) in samples(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let encoded = sealed::encode_values(&values, Effort::Thorough);
        let started = sealed::with_starts(encoded.clone(), &timestamps);
        for mut bytes in [sealed::encode_timestamps(&timestamps, Effort::Thorough), encoded, started] {
            let i = at.index(bytes.len());
            bytes[i] ^= flip;
            decode_all(&bytes, timestamps.len());
            bytes.truncate(cut.index(bytes.len()));
            decode_all(&bytes, timestamps.len());
        }
    }
}

/// Whatever these return is right as long as they return, and what they give has the length asked for.
fn decode_all(bytes: &[u8], count: usize) {
    let (mut t, mut v) = (Vec::new(), Vec::new());
    if head::decode(bytes, count, &mut t, &mut v).is_ok() {
        assert_eq!((t.len(), v.len()), (count, count));
    }
    let (mut t, mut v) = (Vec::new(), Vec::new());
    if sealed::decode_timestamps(bytes, count, &mut t).is_ok() {
        assert_eq!(t.len(), count);
    }
    if sealed::decode_values(bytes, count, &mut v).is_ok() {
        assert_eq!(v.len(), count);
    }
    let mut starts = Vec::new();
    if sealed::decode_starts(bytes, count, &mut starts).is_ok() {
        assert_eq!(starts.len(), count);
    }
}

#[test]
fn values_without_starts_have_the_bytes_that_they_had() {
    let values = [1.5, 2.5, 2.5];
    let bytes = sealed::encode_values(&values, Effort::Thorough);
    assert_eq!(sealed::with_starts(bytes.clone(), &[]), bytes);
    assert_eq!(sealed::with_starts(bytes.clone(), &[0; 3]), bytes);
    let started = sealed::with_starts(bytes.clone(), &[0, 7, 7]);
    assert!(sealed::has_starts(&started) && !sealed::has_starts(&bytes));
    let (mut got, mut starts) = (Vec::new(), Vec::new());
    sealed::decode_values(&started, 3, &mut got).unwrap();
    sealed::decode_starts(&started, 3, &mut starts).unwrap();
    sealed::decode_starts(&bytes, 3, &mut starts).unwrap();
    assert_eq!((&got[..], &starts[..]), (&values[..], &[0, 7, 7, 0, 0, 0][..]));
}

#[test]
fn values_that_stay_for_a_while_cost_a_few_bytes() {
    let changes = |period: usize| -> Vec<f64> { (0..480).map(|i| ((i / period) % 2) as f64).collect() };
    for (period, most) in [(240, 8), (100, 20), (24, 60)] {
        let encoded = sealed::encode_values(&changes(period), Effort::Thorough);
        assert!(encoded[0] == 0x16 && encoded.len() <= most, "{period}: {encoded:?}");
    }
    // What changes all the time is no run.
    assert_eq!(sealed::encode_values(&changes(1), Effort::Thorough)[0], 0x11);
}

#[test]
fn runs_have_as_many_values_as_there_are_samples() {
    let decode = |bytes: &[u8], count| sealed::decode_values(bytes, count, &mut Vec::new());
    let of_three = sealed::encode_values(&[1.0, 1.0, 0.0], Effort::Quick);
    assert!(of_three[0] == 0x16 && decode(&of_three, 3).is_ok());
    for (bytes, count) in [
        (&of_three[..], 2),
        (&of_three[..], 4),
        (&of_three[..2], 3),
        (&[0x16], 1),
        (&[0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0], 3),
    ] {
        assert!(decode(bytes, count).is_err(), "{bytes:?}, {count}");
    }
}

#[test]
fn a_regular_scrape_costs_a_few_bytes_and_equal_times_have_equal_bytes() {
    let timestamps: Vec<i64> = (0..480).map(|i| 1_767_225_600_000 + i * 15_000).collect();
    let encoded = sealed::encode_timestamps(&timestamps, Effort::Thorough);
    assert!(encoded.len() <= 12, "{}", encoded.len());
    assert_eq!(encoded, sealed::encode_timestamps(&timestamps, Effort::Thorough));
    assert_eq!(sealed::encode_values(&[1.5; 480], Effort::Quick).len(), 9);
}
