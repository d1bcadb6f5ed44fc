//! Sums of deltas.

use super::*;

fn times(start_ns: u64, end_ns: u64) -> Times {
    Times { start_ns, end_ns }
}

fn add<T: Addend>(sums: &Accumulator, at: Times, value: &T, now_ms: i64) -> Result<T> {
    let (mut at, mut value) = (at, value.clone());
    sums.add(7, &mut at, &mut value, now_ms)?;
    Ok(value)
}

#[test]
fn numbers_add_up_and_a_retry_adds_nothing() {
    let sums = Accumulator::default();
    let of = |at, n| add(&sums, at, &Number::Int(n), 0);
    assert_eq!(of(times(1, 10), 5), Ok(Number::Int(5)));
    assert_eq!(of(times(1, 20), 7), Ok(Number::Int(12)));
    assert_eq!(of(times(1, 20), 7), Ok(Number::Int(12)));
    let said = of(times(1, 15), 1).unwrap_err();
    assert!(said.message().starts_with("out of order"), "{said}");
    assert_eq!(add(&sums, times(1, 30), &Number::Double(0.5), 0), Ok(Number::Double(12.5)));
    assert_eq!(sums.len(), 1);
}

#[test]
fn each_delta_begins_where_the_one_before_ended() {
    let sums = Accumulator::default();
    let of = |start_ns, end_ns, n| {
        let (mut at, mut value) = (times(start_ns, end_ns), Number::Int(n));
        sums.add(7, &mut at, &mut value, 0)?;
        Ok::<_, Error>((at.start_ns, at.end_ns, value))
    };
    assert_eq!(of(5, 10, 5), Ok((5, 10, Number::Int(5))));
    assert_eq!(of(10, 20, 7), Ok((5, 20, Number::Int(12))));
    assert_eq!(of(10, 20, 7), Ok((5, 20, Number::Int(12))), "a retry");
    assert_eq!(of(0, 30, 1), Ok((5, 30, Number::Int(13))), "nobody said since when");
    assert_eq!(of(50, 60, 1), Ok((5, 60, Number::Int(14))), "what comes after a gap is added, too");
    for (start_ns, end_ns) in [(4, 70), (55, 60), (50, 59)] {
        let said = of(start_ns, end_ns, 1).unwrap_err();
        assert!(said.message().starts_with("out of order"), "{said}");
    }
    assert_eq!(of(60, 70, 1), Ok((5, 70, Number::Int(15))));
}

#[test]
fn what_nobody_adds_to_is_forgotten() {
    let sums = Accumulator::default();
    let of = |end_ns, now_ms| add(&sums, times(1, end_ns), &Number::Int(1), now_ms);
    assert_eq!(of(10, 0), Ok(Number::Int(1)));
    assert_eq!(of(20, DELTA_STALE_MS), Ok(Number::Int(2)));
    assert_eq!(of(30, 2 * DELTA_STALE_MS + DELTA_SWEEP_MS), Ok(Number::Int(1)));
}

#[test]
fn memory_is_bounded_and_what_is_known_goes_on() {
    let sums = Accumulator::default();
    let mut large = Bounded { counts: vec![1; DELTA_STATE_BYTES / 8 - 100], ..Bounded::default() };
    assert!(sums.add(1, &mut times(1, 1), &mut large.clone(), 0).is_ok());
    let said = sums.add(2, &mut times(1, 1), &mut Bounded { counts: vec![1; 200], ..Bounded::default() }, 0);
    assert!(said.unwrap_err().message().contains("limit delta_state_bytes"));
    assert!(sums.add(1, &mut times(1, 2), &mut large, 0).is_ok());
    assert!(sums.add(2, &mut times(1, 1), &mut Number::Int(1), DELTA_STALE_MS + DELTA_SWEEP_MS).is_ok());
}

#[test]
fn histograms_with_the_same_bounds_add_up() {
    let sums = Accumulator::default();
    let of = |end_ns, counts: [u64; 2], bound: f64, sum: Option<f64>| {
        let count = counts.iter().sum();
        add(&sums, times(1, end_ns), &Bounded { count, sum, counts: counts.into(), bounds: vec![bound] }, 0)
            .unwrap()
    };
    of(10, [1, 2], 0.5, Some(3.0));
    let total = of(20, [4, 0], 0.5, Some(1.0));
    assert_eq!(total, Bounded { count: 7, sum: Some(4.0), counts: vec![5, 2], bounds: vec![0.5] });
    assert_eq!(of(30, [1, 0], 0.5, None).sum, None, "an unknown part makes the sum unknown");
    let anew = of(40, [1, 1], 2.0, Some(1.0));
    assert_eq!((anew.count, anew.bounds), (2, vec![2.0]));
    let goes_on = of(50, [1, 1], 2.0, Some(1.0));
    assert_eq!((goes_on.count, goes_on.sum), (4, Some(2.0)));
}

#[test]
fn exponential_histograms_add_up_at_the_coarser_scale() {
    let h = |scale, positive: &[(i32, u64)]| Exponential {
        count: positive.iter().map(|p| p.1).sum(),
        scale,
        positive: positive.into(),
        ..Exponential::default()
    };
    let mut a = h(1, &[(-1, 1), (0, 2), (1, 3), (2, 4)]);
    a.add(&h(0, &[(0, 10), (5, 1)]));
    assert_eq!((a.scale, a.count, a.positive.as_slice()), (0, 21, &[(-1, 1), (0, 15), (1, 4), (5, 1)][..]));
    // What lies far apart needs wider buckets.
    let mut a = h(3, &[(0, 1)]);
    a.add(&h(3, &[(1000, 1)]));
    assert_eq!((a.scale, a.positive.as_slice()), (0, &[(0, 1), (125, 1)][..]));
    let mut a = h(20, &[(i32::MIN, 1)]);
    a.add(&h(20, &[(i32::MAX - 1, 1)]));
    assert!(width(&a.positive) <= DELTA_BUCKETS, "{a:?}");
}

#[test]
fn a_wider_zero_takes_the_buckets_that_it_reaches_into() {
    let mut a = Exponential {
        count: 6,
        zero_count: 1,
        positive: vec![(-2, 2), (0, 3)],
        negative: vec![(-1, 4)],
        ..Exponential::default()
    };
    // Bucket -2 is (0.25, 0.5], bucket -1 is (0.5, 1].
    let more = Exponential { count: 1, zero_count: 1, zero_threshold: 0.3, ..Exponential::default() };
    a.add(&more);
    assert_eq!((a.zero_count, a.zero_threshold), (4, 0.5));
    assert_eq!((a.positive.as_slice(), a.negative.as_slice()), (&[(0, 3)][..], &[(-1, 4)][..]));
}
