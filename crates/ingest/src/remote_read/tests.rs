//! Requests are read, and what is answered reads back with the decoders of foreign folders.

use base::{CUSTOM_BUCKETS_SCHEMA, Histogram, Labels, Sample, Span};
use proptest::prelude::*;

use super::*;
use crate::prometheus_tsdb::{SeriesSamples, decode_chunk};
use crate::put;
use crate::testing::compress;

fn request(
    range: (i64, i64),
    matchers: &[(u64, &str, &str)],
    hints: &[(u64, i64)],
    accepted: &[u64],
) -> Vec<u8> {
    let mut out = Vec::new();
    put::message(&mut out, 1, |query| {
        put::number(query, 1, range.0 as u64);
        put::number(query, 2, range.1 as u64);
        for (op, name, value) in matchers {
            put::message(query, 3, |m| {
                put::number(m, 1, *op);
                put::bytes(m, 2, name.as_bytes());
                put::bytes(m, 3, value.as_bytes());
            });
        }
        if !hints.is_empty() {
            put::message(query, 4, |h| hints.iter().for_each(|(field, n)| put::number(h, *field, *n as u64)));
        }
    });
    put::message(&mut out, 2, |packed| accepted.iter().for_each(|n| put::varint(packed, *n)));
    compress(&out)
}

#[test]
fn requests_say_what_is_wanted() {
    let matchers = [(0, "__name__", "up"), (1, "a", "b"), (2, "c", "d.*"), (3, "e", "f")];
    let got = decode(&request((-5, 10), &matchers, &[], &[7, 1, 0])).unwrap();
    assert_eq!(got.response_type, ResponseType::StreamedXorChunks);
    assert_eq!(got.queries[0].range, TimeRange::new(-5, 10));
    let shown: Vec<String> = got.queries[0].matchers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, [r#"__name__="up""#, r#"a!="b""#, r#"c=~"d.*""#, r#"e!~"f""#]);
    let hinted = decode(&request((0, 10), &[], &[(3, 2), (4, 8)], &[])).unwrap();
    assert_eq!(
        (hinted.queries[0].range, hinted.response_type),
        (TimeRange::new(2, 8), ResponseType::Samples)
    );
    assert_eq!(
        decode(&request((0, 10), &[], &[(1, 5)], &[])).unwrap().queries[0].range,
        TimeRange::new(0, 10)
    );
}

#[test]
fn requests_that_cannot_be_answered_are_refused() {
    let check = |body: &[u8], want: &str| {
        let error = decode(body).unwrap_err();
        assert!(error.message().contains(want), "{error}");
    };
    check(&request((0, 1), &[], &[], &[9]), "does not support any of the requested response types");
    check(&request((0, 1), &[(4, "a", "b")], &[], &[]), "invalid matcher type");
    check(&request((0, 1), &[(2, "a", "(")], &[], &[]), "cannot compile regular expression");
    check(&request((0, 1), &vec![(0, "a", "b"); READ_MATCHERS + 1], &[], &[]), "limit read_matchers");
    check(&compress(b"\x0a\x05ab"), "cannot decode remote read request: unexpected EOF");
    check(b"\xff", "snappy");
}

/// Query, labels and samples of a frame.
type Frame = (u64, Vec<(String, String)>, SeriesSamples);

/// The samples of a stream of frames, whose checksums are looked at, by query and series.
fn read_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let mut reader = Reader::new(bytes);
        let len = usize::try_from(reader.varint().unwrap()).unwrap();
        let (crc, rest) = reader.rest().split_first_chunk::<4>().unwrap();
        let (message, rest) = rest.split_at(len);
        assert_eq!(u32::from_be_bytes(*crc), crc32c::crc32c(message));
        bytes = rest;
        let (mut query, mut labels, mut samples) = (0, Vec::new(), SeriesSamples::default());
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field().unwrap() {
            match number {
                1 => read_series(value.bytes().unwrap(), &mut labels, &mut samples),
                _ => query = value.varint().unwrap(),
            }
        }
        all.push((query, labels, samples));
    }
    all
}

fn read_series(message: &[u8], labels: &mut Vec<(String, String)>, samples: &mut SeriesSamples) {
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field().unwrap() {
        let mut fields: Vec<Value<'_>> = Vec::new();
        let mut inner = Reader::new(value.bytes().unwrap());
        while let Some((_, value)) = inner.field().unwrap() {
            fields.push(value);
        }
        if number == 1 {
            let text = |v: Value<'_>| String::from_utf8(v.bytes().unwrap().to_vec()).unwrap();
            labels.push((text(fields[0]), text(fields[1])));
            continue;
        }
        let before = (samples.floats.len(), samples.histograms.len());
        let encoding = u8::try_from(fields[2].varint().unwrap()).unwrap();
        decode_chunk(encoding, fields[3].bytes().unwrap(), samples).unwrap();
        let times: Vec<i64> = match encoding {
            1 => samples.floats[before.0..].iter().map(|s| s.t_ms).collect(),
            _ => samples.histograms[before.1..].iter().map(|(t, _)| *t).collect(),
        };
        let said = (fields[0].int64().unwrap(), fields[1].int64().unwrap());
        assert_eq!(said, (times[0], *times.last().unwrap()));
    }
}

fn histogram(is_float: bool) -> Histogram {
    Histogram {
        is_float,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 20.0,
        sum: -1.5,
        positive_spans: vec![Span { offset: -3, length: 2 }, Span { offset: 4, length: 1 }],
        positive: vec![5.0, 1.0, 7.0],
        negative_spans: vec![Span { offset: 0, length: 2 }],
        negative: vec![4.0, 1.0],
        ..Histogram::default()
    }
}

#[test]
fn streams_have_histograms_of_every_kind() {
    let custom = Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3.0,
        sum: 9.0,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive: vec![1.0, 2.0],
        custom_bounds: [0.5, 1.0].into(),
        counter_reset_hint: base::CounterResetHint::Gauge,
        ..Histogram::default()
    };
    let sent = [(10, histogram(false)), (20, histogram(true)), (30, custom), (40, Histogram::stale())];
    let labels = Labels::from_pairs([("__name__", "h"), ("a", "ü")]);
    let mut out = ChunkedResponse::new();
    out.series(3, &labels, &[Sample { t_ms: 15, value: 1.5 }], &sent);
    let got = read_frames(&out.take());
    assert_eq!(got.len(), 1);
    let (query, names, samples) = &got[0];
    assert_eq!((*query, names.len()), (3, 2));
    assert_eq!(samples.floats, [Sample { t_ms: 15, value: 1.5 }]);
    assert_eq!(samples.histograms, sent);
}

#[test]
fn whole_answers_have_every_query_and_sample() {
    let labels = Labels::from_pairs([("__name__", "h"), ("a", "ü")]);
    let samples = [Sample { t_ms: -15, value: 1.5 }, Sample { t_ms: 20, value: f64::NEG_INFINITY }];
    let histograms = [(10, histogram(false)), (20, histogram(true))];
    let mut out = SampleResponse::new();
    out.series(&labels, &samples, &histograms);
    out.series(&Labels::from_pairs([("__name__", "none")]), &[], &[]);
    out.end_query();
    out.end_query();
    let mut buffer = Vec::new();
    let body = out.body().unwrap();
    let message = snappy::decompress(&body, &mut buffer).unwrap();
    let mut reader = Reader::new(message);
    let mut results = Vec::new();
    while let Some((number, value)) = reader.field().unwrap() {
        assert_eq!(number, 1);
        results.push(value.bytes().unwrap().to_vec());
    }
    assert_eq!((results.len(), results[1].len()), (2, 0));
    // The result of a query has its series where a write request has them.
    let decoded = crate::remote_write::Decoder::new(crate::LabelLimits::default())
        .decode(&compress(&results[0]), crate::remote_write::Message::V1);
    let decoded = decoded.unwrap();
    let series: Vec<_> = decoded.batch.series().collect();
    assert_eq!((series.len(), series[0].to_labels()), (2, labels));
    assert_eq!((series[0].samples, series[0].histograms), (&samples[..], &histograms[..]));
    assert!(series[1].samples.is_empty() && series[1].histograms.is_empty());
}

#[test]
fn long_series_are_divided_over_frames() {
    let value = |i: i64| Sample { t_ms: i * 15_000 + i * i % 977, value: (i as f64).sin() };
    let samples: Vec<Sample> = (0..300_000).map(value).collect();
    let labels = Labels::from_pairs([("__name__", "m")]);
    let mut out = ChunkedResponse::new();
    out.series(0, &labels, &samples, &[]);
    let frames = read_frames(&out.take());
    assert!(frames.len() > 1, "{} frames", frames.len());
    let got: Vec<Sample> = frames.into_iter().flat_map(|(_, _, s)| s.floats).collect();
    assert_eq!(got, samples);
    out.series(0, &labels, &[], &[]);
    assert!(out.is_empty(), "a series without samples has no frame");
}

proptest! {
    #[test]
    fn floats_read_back_bit_for_bit(
        start in -(1i64 << 50)..1i64 << 50,
        steps in prop::collection::vec((1i64..1 << 40, any::<u64>(), 0u32..64), 0..300),
    ) {
        let mut t_ms = start;
        let samples: Vec<Sample> = steps
            .iter()
            .map(|(step, bits, shift)| {
                t_ms += step >> (shift % 40);
                // Values of few and of many different bits.
                Sample { t_ms, value: f64::from_bits(bits >> shift << shift) }
            })
            .collect();
        let mut out = ChunkedResponse::new();
        out.series(0, &Labels::empty(), &samples, &[]);
        let got: Vec<(i64, u64)> = read_frames(&out.take())
            .into_iter()
            .flat_map(|(_, _, s)| s.floats)
            .map(|s| (s.t_ms, s.value.to_bits()))
            .collect();
        let want: Vec<(i64, u64)> = samples.iter().map(|s| (s.t_ms, s.value.to_bits())).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn bytes_that_are_no_request_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // Whether it is a request does not matter here; that it ends does.
        let _ = decode(&compress(&bytes));
    }
}
