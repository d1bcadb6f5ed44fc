//! Cases of the decision, and what holds of every decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::TimeRange;
use proptest::prelude::*;

use super::{Job, Policy, SegmentState, State, TOP_LEVEL, decide};

const HOUR_MS: i64 = 3_600_000;
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

fn segment(path: &str, hour: i64, level: u8) -> SegmentState {
    let start_ms = START_MS + hour * HOUR_MS;
    SegmentState {
        path: path.into(),
        size_bytes: 100,
        rows: 10,
        time: TimeRange::new(start_ms, start_ms + 2 * HOUR_MS - 1),
        tenant: "t".into(),
        date: if hour < 24 { "2026-01-01" } else { "2026-01-02" }.into(),
        writer: Some("w".into()),
        level,
        due_rows: 0,
    }
}

fn merge(paths: &[&str], level: u8) -> Job {
    Job::Merge { segments: paths.iter().map(|p| (*p).to_owned()).collect(), level }
}

fn check(segments: &[SegmentState], now_hour: i64, policy: &Policy, want: &[Job]) {
    let state = State { segments: segments.to_vec() };
    assert_eq!(decide(&state, START_MS + now_hour * HOUR_MS, policy), want);
}

#[test]
fn a_day_is_merged_in_groups_while_it_goes_on_and_as_one_when_it_is_over() {
    let policy = Policy { fan_in: 4, ..Policy::default() };
    let fresh: Vec<SegmentState> =
        ["a", "b", "c", "d", "e"].iter().zip(0..).map(|(p, i)| segment(p, 2 * i, 0)).collect();
    check(&fresh[..3], 8, &policy, &[]);
    check(&fresh, 11, &policy, &[merge(&["a", "b", "c", "d"], 1)]);
    check(&fresh, 25, &policy, &[merge(&["a", "b", "c", "d"], 1)]);
    check(&fresh, 26, &policy, &[merge(&["a", "b", "c", "d", "e"], TOP_LEVEL)]);
    check(&fresh[..1], 26, &policy, &[]);
    check(&fresh[..2], 11, &Policy { force: true, ..policy.clone() }, &[merge(&["a", "b"], TOP_LEVEL)]);
    check(&fresh[..2], 26, &Policy { writer: Some("other".into()), ..policy }, &[]);
}

#[test]
fn what_a_writer_that_is_gone_left_is_looked_after_by_the_others() {
    let policy = Policy { writer: Some("w".into()), ..Policy::default() };
    let mut gone = [segment("a", 0, 0), segment("b", 2, 0), segment("c", 4, 1)];
    gone.iter_mut().for_each(|s| s.writer = Some("gone".into()));
    // A day and two more behind it, to the hour.
    check(&gone, 71, &policy, &[]);
    check(&gone, 72, &policy, &[merge(&["a", "b", "c"], TOP_LEVEL)]);
    // Those who run have merged theirs, which is left alone unless there is something to merge it with.
    let mut other = segment("d", 0, TOP_LEVEL);
    other.writer = Some("other".into());
    check(&[segment("e", 0, TOP_LEVEL), other.clone()], 72, &policy, &[]);
    let [a, b, c] = gone;
    check(&[a, b, c, other], 72, &policy, &[merge(&["a", "d", "b", "c"], TOP_LEVEL)]);
    let mut due = segment("x", 0, TOP_LEVEL);
    (due.writer, due.due_rows) = (None, 5);
    check(std::slice::from_ref(&due), 71, &policy, &[]);
    check(&[due], 72, &policy, &[Job::Rewrite { segment: "x".into(), level: TOP_LEVEL }]);
}

#[test]
fn what_comes_late_waits_until_it_is_worth_it() {
    let policy = Policy { fan_in: 4, ..Policy::default() };
    let mut top = segment("top", 0, TOP_LEVEL);
    top.size_bytes = 1000;
    let late = segment("late", 4, 0);
    check(&[top.clone(), late.clone()], 30, &policy, &[]);
    check(
        &[top.clone(), late.clone()],
        30,
        &Policy { force: true, ..policy.clone() },
        &[merge(&["top", "late"], TOP_LEVEL)],
    );
    let many = [late, segment("l2", 6, 0), segment("l3", 8, 0)];
    let mut all = vec![top.clone()];
    all.extend(many);
    check(&all, 30, &policy, &[merge(&["top", "late", "l2", "l3"], TOP_LEVEL)]);
    // One that is too large to be merged again is left alone, and the late ones join without it.
    let small_jobs = Policy { job_bytes: 500, ..policy };
    check(&all, 30, &small_jobs, &[merge(&["late", "l2", "l3"], TOP_LEVEL)]);
    check(&[top.clone(), SegmentState { path: "top2".into(), ..top }], 30, &small_jobs, &[]);
}

#[test]
fn retention_removes_by_age_then_by_size_and_rewrites_what_is_due() {
    let policy = Policy { fan_in: 0, rewrite_share: 0.5, ..Policy::default() };
    let three = [segment("a", 0, 0), segment("b", 24, 0), segment("c", 26, 0)];
    let aged = Policy { age: Some(Duration::from_secs(3600 * 3)), ..policy.clone() };
    check(&three, 4, &aged, &[]);
    check(&three, 5, &aged, &[Job::Remove { segments: vec!["a".into()] }]);
    let sized = Policy { size_bytes: Some(200), ..policy.clone() };
    check(&three, 6, &sized, &[Job::Remove { segments: vec!["a".into()] }]);
    let mut due = three;
    due[0].due_rows = 10;
    due[1].due_rows = 4;
    due[2].due_rows = 5;
    check(
        &due,
        6,
        &policy,
        &[Job::Remove { segments: vec!["a".into()] }, Job::Rewrite { segment: "c".into(), level: 0 }],
    );
}

fn any_segment() -> impl Strategy<Value = SegmentState> {
    (0..48i64, 1..400u64, 0..=2u8, 0..3usize, 0..3usize, 0..12u64).prop_map(
        |(hour, size, level, tenant, writer, due)| {
            let mut s = segment("", hour, level);
            s.size_bytes = size;
            s.tenant = ["t", "u", "v"][tenant].into();
            s.writer = [Some("w".to_owned()), Some("x".to_owned()), None][writer].clone();
            s.due_rows = due;
            s
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let own = prop_oneof![Just(None), Just(Some("w".to_owned()))];
    let age = prop_oneof![Just(None), (1..60u64).prop_map(|h| Some(Duration::from_secs(3600 * h)))];
    let size = prop_oneof![Just(None), (1..4000u64).prop_map(Some)];
    (own, 0..6usize, age, size, 0.0..1.0f64, 100..1500u64, 2..8usize, any::<bool>()).prop_map(
        |(writer, fan_in, age, size_bytes, rewrite_share, job_bytes, job_inputs, force)| Policy {
            writer,
            fan_in,
            settle: Duration::from_secs(7200),
            age,
            size_bytes,
            rewrite_share,
            job_bytes,
            job_inputs,
            force,
        },
    )
}

/// Does a job as an executor would: merges and rewrites drop what is due.
fn carry_out(state: &mut State, job: &Job, made: &mut usize) {
    let inputs: Vec<SegmentState> =
        state.segments.iter().filter(|s| job.inputs().contains(&s.path)).cloned().collect();
    state.segments.retain(|s| !job.inputs().contains(&s.path));
    let level = match job {
        Job::Remove { .. } => return,
        Job::Rewrite { level, .. } | Job::Merge { level, .. } => (*level).max(1),
    };
    let rows: u64 = inputs.iter().map(|s| s.rows.saturating_sub(s.due_rows)).sum();
    if rows == 0 {
        return;
    }
    *made += 1;
    let start_ms = inputs.iter().map(|s| s.time.start_ms).min().unwrap();
    let end_ms = inputs.iter().map(|s| s.time.end_ms).max().unwrap();
    state.segments.push(SegmentState {
        path: format!("made-{made}"),
        size_bytes: inputs.iter().map(|s| s.size_bytes).sum(),
        rows,
        time: TimeRange::new(start_ms, end_ms),
        level,
        due_rows: 0,
        ..inputs[0].clone()
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_keeps_the_rules(
        mut segments in prop::collection::vec(any_segment(), 0..40),
        policy in any_policy(),
        now_hour in 0..60i64,
    ) {
        for (i, s) in segments.iter_mut().enumerate() {
            s.path = format!("s-{i:02}");
        }
        let now_ms = START_MS + now_hour * HOUR_MS;
        let mut state = State { segments };
        let mut made = 0;
        for round in 0.. {
            prop_assert!(round < 20, "it does not come to an end: {state:?}");
            let jobs = decide(&state, now_ms, &policy);
            let mut shuffled = state.clone();
            shuffled.segments.reverse();
            prop_assert_eq!(&decide(&shuffled, now_ms, &policy), &jobs, "the order of the state decides");
            if jobs.is_empty() {
                break;
            }
            let by_path: BTreeMap<&str, &SegmentState> =
                state.segments.iter().map(|s| (s.path.as_str(), s)).collect();
            let mut seen = BTreeSet::new();
            for job in &jobs {
                let inputs: Vec<&SegmentState> = job.inputs().iter().map(|p| by_path[p.as_str()]).collect();
                prop_assert!(job.inputs().iter().all(|p| seen.insert(p.clone())), "a segment is in two jobs");
                if let Job::Remove { .. } = job {
                    continue;
                }
                let partition = |s: &SegmentState| (s.tenant.clone(), s.date.clone());
                prop_assert!(inputs.iter().all(|s| partition(s) == partition(inputs[0])));
                prop_assert!(inputs.iter().map(|s| s.size_bytes).sum::<u64>() <= policy.job_bytes);
                prop_assert!(inputs.len() <= policy.job_inputs);
                if policy.writer.is_some() {
                    prop_assert!(inputs.iter().all(|s| s.writer == policy.writer));
                }
                match job {
                    Job::Merge { level, .. } => prop_assert!(inputs.len() > 1 && inputs.iter().any(|s| s.level < *level)),
                    Job::Rewrite { .. } => prop_assert!(inputs[0].due_rows > 0),
                    Job::Remove { .. } => {}
                }
            }
            for job in &jobs {
                carry_out(&mut state, job, &mut made);
            }
        }
    }
}
