//! Folders written by hand, byte by byte as the formats say, read and damaged.

use std::fs;
use std::path::Path;

use base::{Histogram, Labels, STALE_NAN, Sample, Span, TimeRange};
use proptest::prelude::*;

use super::chunk::decode;
use super::record::{self, Entry, Wanted};
use super::*;

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    fn put(&mut self, bits: u64, width: usize) -> &mut Self {
        for i in (0..width).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((bits >> i & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    fn varint(&mut self, n: i64) -> &mut Self {
        for byte in varint(n) {
            self.put(byte.into(), 8);
        }
        self
    }
}

fn uvarint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn varint(n: i64) -> Vec<u8> {
    uvarint(((n << 1) ^ (n >> 63)) as u64)
}

fn prefixed(text: &str) -> Vec<u8> {
    [uvarint(text.len() as u64), text.as_bytes().to_vec()].concat()
}

fn with_sum(body: &[u8]) -> Vec<u8> {
    [body, &crc32c::crc32c(body).to_be_bytes()].concat()
}

/// An `XOR` chunk of ascending whole seconds with one value.
fn xor_chunk(first_ms: i64, count: u16) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.varint(first_ms).put(1.5f64.to_bits(), 64);
    for i in 1..count {
        if i == 1 {
            bits.put(0b1110_1000, 8).put(7, 8);
        } else {
            bits.put(0, 1);
        }
        bits.put(0, 1);
    }
    [&count.to_be_bytes()[..], &bits.bytes].concat()
}

fn floats(encoding: u8, data: &[u8]) -> Vec<(i64, u64)> {
    let mut samples = SeriesSamples::default();
    decode(encoding, data, &mut samples).unwrap();
    samples.floats.iter().map(|s| (s.t_ms, s.value.to_bits())).collect()
}

#[test]
fn reads_xor2_with_all_its_prefixes_and_start_times() {
    let mut bits = BitWriter::default();
    let (a, b) = (1.0f64.to_bits(), 2.5f64.to_bits());
    let change = a ^ b;
    let (leading, trailing) = (u64::from(change.leading_zeros()), change.trailing_zeros() as usize);
    let width = 64 - leading as usize - trailing;
    // The first sample has a start time; from the second on (sample 1) each has one.
    bits.varint(1000).put(a, 64).varint(500);
    bits.put(0b1110_1000, 8).put(7, 8).put(0, 1).put(0, 1);
    // Neither time nor value change the step: t=3000.
    bits.put(0, 1).put(0, 1);
    // A new window for a value at the same step: t=4000, v=2.5.
    bits.put(0b10, 2).put(1, 1).put(leading, 5).put(width as u64, 6).put(change >> trailing, width);
    bits.put(0b10, 2).put(0b001, 3);
    // The window again: t=5000, v=1.0.
    bits.put(0b10, 2).put(0, 1).put(change >> trailing, width).put(0, 1);
    // 13 bits: step 1000 - 3, stale. 20 bits: step 997 + 5000, value as before the marker. 64 bits: step 1000.
    bits.put(0b110, 3).put((-3i64 & 0x1fff) as u64, 13).put(0b111, 3).put(0, 1);
    bits.put(0b1110, 4).put(5000, 20).put(0, 1).put(0, 1);
    bits.put(0b11110, 5).put(-4997i64 as u64, 64).put(0b10, 2).put(change >> trailing, width).put(0, 1);
    // The marker at the same step.
    bits.put(0b11111, 5).put(0, 1);
    let data = [&[0, 9, 0x81][..], &bits.bytes].concat();
    let want = [
        (1000, a),
        (2000, a),
        (3000, a),
        (4000, b),
        (5000, a),
        (5997, STALE_NAN),
        (11_994, a),
        (12_994, b),
        (13_994, STALE_NAN),
    ];
    assert_eq!(floats(4, &data), want);
}

#[test]
fn reads_histograms_with_start_times() {
    let mut bits = BitWriter::default();
    // Zero threshold 2^-128, schema 3 (varbit), one positive span of 2 at offset -1, no negative spans.
    bits.put(116, 8).put(0b10_011, 5).put(0b10_001, 5).put(0b10_010, 5).put(0b10_111, 5).put(0, 1);
    // Time 4, count 5, zero count 1, sum 2.0, buckets 3 and 1.
    bits.put(0b10_100, 5).put(0b10_101, 5).put(0b10_001, 5).put(2.0f64.to_bits(), 64);
    bits.put(0b10_011, 5).put(0b10_110, 5);
    // Sample 1: time +4, count +2, zero +0, the same sum, first bucket +1, second (difference) +0; its start time.
    bits.put(0b10_100, 5).put(0b10_010, 5).put(0, 1).put(0, 1).put(0b10_001, 5).put(0, 1).put(0b10_001, 5);
    let data = [&[0x00, 2, 0x01][..], &bits.bytes].concat();
    let mut samples = SeriesSamples::default();
    decode(5, &data, &mut samples).unwrap();
    let first = Histogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: 1.0,
        count: 5.0,
        sum: 2.0,
        positive_spans: vec![Span { offset: -1, length: 2 }],
        positive: vec![3.0, 1.0],
        ..Histogram::default()
    };
    let second = Histogram {
        counter_reset_hint: base::CounterResetHint::NotReset,
        count: 7.0,
        positive: vec![4.0, 2.0],
        ..first.clone()
    };
    assert_eq!(samples.histograms, [(4, first), (8, second)]);
}

/// Writes a block with two series of one chunk each, whose labels are out of the table's order.
fn write_block(folder: &Path, version: u8) {
    fs::create_dir_all(folder.join("chunks")).unwrap();
    let chunk = |first_ms| {
        let data = xor_chunk(first_ms, 10);
        let body = [&[1][..], &data].concat();
        [uvarint(data.len() as u64), with_sum(&body)].concat()
    };
    let header = [&0x85BD_40DDu32.to_be_bytes()[..], &[1, 0, 0, 0]].concat();
    let chunks = [header, chunk(0), chunk(5000)].concat();
    let second_at = 8 + chunk(0).len() as u64;
    fs::write(folder.join("chunks/000001"), chunks).unwrap();

    let symbols = ["", "Zone", "__name__", "a", "b", "z"];
    let mut table = (symbols.len() as u32).to_be_bytes().to_vec();
    let mut places = Vec::new();
    for symbol in symbols {
        places.push(if version == 1 { 5 + 4 + table.len() as u64 } else { places.len() as u64 });
        table.extend(prefixed(symbol));
    }
    let mut index = [&0xBAAA_D700u32.to_be_bytes()[..], &[version]].concat();
    index.extend((table.len() as u32).to_be_bytes());
    index.extend(with_sum(&table));
    // Prometheus sorts by label names: Zone comes before __name__, but in our table the metric does.
    let series: [(&[usize], i64, u64); 2] = [(&[1, 5, 2, 4], 0, 8), (&[2, 3], 5000, second_at)];
    let (mut series_at, mut last_at) = (None, 0);
    for (labels, min_ms, reference) in series {
        if version > 1 {
            index.resize(index.len().next_multiple_of(16), 0);
        }
        last_at = index.len() as u64;
        series_at.get_or_insert(last_at);
        let mut body = uvarint(labels.len() as u64 / 2);
        labels.iter().for_each(|l| body.extend(uvarint(places[*l])));
        body.extend([uvarint(1), varint(min_ms), uvarint(9000), uvarint(reference)].concat());
        index.extend([uvarint(body.len() as u64), with_sum(&body)].concat());
    }
    let end = index.len() as u64;
    let toc: Vec<u8> =
        [5, series_at.unwrap(), end, end, end, end].into_iter().flat_map(u64::to_be_bytes).collect();
    index.extend(with_sum(&toc));
    fs::write(folder.join("index"), index).unwrap();
    let meta = r#"{"ulid":"01BKGV7JBM69T2G1BGBGM6KB12","minTime":0,"maxTime":14001,"version":1}"#;
    fs::write(folder.join("meta.json"), meta).unwrap();
    // Of the series a, seconds 7 and 8 are deleted.
    let series_a = if version == 1 { last_at } else { last_at / 16 };
    let stone = [uvarint(series_a), varint(7000), varint(8000)].concat();
    let stones = [&0x0130_BA30u32.to_be_bytes()[..], &[1], &with_sum(&stone)].concat();
    fs::write(folder.join("tombstones"), stones).unwrap();
}

fn read_block(folder: &Path, range: TimeRange) -> Result<Vec<(String, Vec<i64>)>> {
    let mut found = Vec::new();
    BlockMeta::read(folder)?;
    Block::open(folder)?.read(range, &mut DamagePolicy::stop(), &mut |labels, samples| {
        found.push((labels.to_string(), samples.floats.iter().map(|s| s.t_ms / 1000).collect()));
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn reads_blocks_of_each_version_in_order_without_what_is_deleted() {
    for version in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        write_block(folder.path(), version);
        let got = read_block(folder.path(), TimeRange::ALL).unwrap();
        let want = [
            ("a".to_string(), vec![5, 6, 9, 10, 11, 12, 13, 14]),
            ("b{Zone=\"z\"}".to_string(), (0..10).collect()),
        ];
        assert_eq!(got, want, "version {version}");
        let some = read_block(folder.path(), TimeRange::new(9000, 9999)).unwrap();
        assert_eq!(some, [("a".to_string(), vec![9]), ("b{Zone=\"z\"}".to_string(), vec![9])]);
    }
}

#[test]
fn damage_anywhere_in_a_block_is_an_error_with_file_and_place_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_block(folder.path(), 2);
    let sound = read_block(folder.path(), TimeRange::ALL).unwrap();
    let (mut errors, mut harmless) = (0, 0);
    for name in ["index", "chunks/000001", "tombstones"] {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            for damaged in
                [bytes[..at].to_vec(), [&bytes[..at], &[bytes[at] ^ 0x10], &bytes[at + 1..]].concat()]
            {
                fs::write(&path, damaged).unwrap();
                match read_block(folder.path(), TimeRange::ALL) {
                    Ok(read) => {
                        // Padding, and the bytes of a header that say nothing.
                        assert_eq!(read, sound, "{name} {at}");
                        harmless += 1;
                    }
                    Err(e) => {
                        assert!(
                            e.message().contains(name) || e.message().contains("file"),
                            "{name} {at}: {e}"
                        );
                        errors += 1;
                    }
                }
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(errors > 10 * harmless, "{errors} errors, {harmless} without effect");
}

fn series_record(series: &[(u64, &str)]) -> Vec<u8> {
    let mut out = vec![1];
    for (number, metric) in series {
        out.extend(number.to_be_bytes());
        out.extend([uvarint(1), prefixed("__name__"), prefixed(metric)].concat());
    }
    out
}

fn samples_record(samples: &[(i64, i64, f64)]) -> Vec<u8> {
    let mut out = [vec![2], 0u64.to_be_bytes().to_vec(), 0u64.to_be_bytes().to_vec()].concat();
    for (series, t_ms, value) in samples {
        out.extend([varint(*series), varint(*t_ms), value.to_bits().to_be_bytes().to_vec()].concat());
    }
    out
}

fn tombstone_record(series: u64, min_ms: i64, max_ms: i64) -> Vec<u8> {
    [vec![3], series.to_be_bytes().to_vec(), varint(min_ms), varint(max_ms)].concat()
}

/// Puts records into pages, each compressed in a way of its own.
fn write_segment(path: &Path, records: &[Vec<u8>]) {
    const PAGE: usize = 32 << 10;
    let mut out: Vec<u8> = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let (flag, packed) = match i % 3 {
            0 => (0, record.clone()),
            1 => (8, snap::raw::Encoder::new().compress_vec(record).unwrap()),
            _ => (16, zstd::encode_all(record.as_slice(), 1).unwrap()),
        };
        let (mut rest, mut first) = (packed.as_slice(), true);
        while first || !rest.is_empty() {
            let mut room = PAGE - out.len() % PAGE;
            if room <= 7 {
                out.resize(out.len() + room, 0);
                room = PAGE;
            }
            let (part, tail) = rest.split_at(rest.len().min(room - 7));
            let kind = match (first, tail.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            out.push(kind | flag);
            out.extend((part.len() as u16).to_be_bytes());
            out.extend(crc32c::crc32c(part).to_be_bytes());
            out.extend(part);
            (rest, first) = (tail, false);
        }
    }
    fs::write(path, out).unwrap();
}

/// Metrics and times of samples, notes, and the number of damages.
type FoundHead = (Vec<(String, i64)>, HeadNotes, usize);

fn read_head(folder: &Path, salvage: bool) -> Result<FoundHead> {
    let head = Folder::open(folder)?.head()?.expect("there is a wal folder");
    let (mut found, mut errors) = (Vec::new(), 0);
    let mut tell = |_| errors += 1;
    let mut policy = if salvage { DamagePolicy::pass_over(&mut tell) } else { DamagePolicy::stop() };
    let notes = head.read(&mut policy, &mut |labels, sample| {
        let HeadSample::Float(Sample { t_ms, .. }) = sample else { panic!("a float") };
        found.push((labels.metric().to_owned(), t_ms));
        Ok(())
    })?;
    Ok((found, notes, errors))
}

fn named(series: &str, times: impl IntoIterator<Item = i64>) -> Vec<(String, i64)> {
    times.into_iter().map(|t_ms| (series.to_owned(), t_ms)).collect()
}

#[test]
fn reads_checkpoints_logs_late_samples_and_mapped_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let wal = folder.path().join("wal");
    for dir in ["wal/checkpoint.00000001", "wbl", "chunks_head"] {
        fs::create_dir_all(folder.path().join(dir)).unwrap();
    }
    // What the checkpoint replaces is there still, and has to be left alone.
    write_segment(&wal.join("00000001"), &[series_record(&[(1, "wrong")])]);
    write_segment(
        &wal.join("checkpoint.00000001/00000000"),
        &[series_record(&[(1, "old")]), samples_record(&[(1, 1000, 1.0), (1, 2000, 1.0)])],
    );
    // Large enough for several pages.
    let many: Vec<(i64, i64, f64)> = (0..6000).map(|i| (2, 3000 + i, i as f64 * 0.37)).collect();
    write_segment(
        &wal.join("00000002"),
        &[series_record(&[(2, "new"), (3, "old")]), samples_record(&many), samples_record(&[(3, 9000, 1.0)])],
    );
    write_segment(&wal.join("00000003"), &[tombstone_record(2, 3001, 8998), samples_record(&[(77, 1, 1.0)])]);
    write_segment(&folder.path().join("wbl/00000000"), &[samples_record(&[(1, 500, 1.0)])]);
    let data = xor_chunk(20_000, 3);
    let mut mapped = [&0x0130_BC91u32.to_be_bytes()[..], &[1, 0, 0, 0]].concat();
    let times = [20_000u64.to_be_bytes(), 22_000u64.to_be_bytes()].concat();
    let chunk = [&1u64.to_be_bytes()[..], &times, &[1], &uvarint(data.len() as u64), &data].concat();
    mapped.extend(with_sum(&chunk));
    mapped.resize(mapped.len() + 200, 0);
    fs::write(folder.path().join("chunks_head/000001"), &mapped).unwrap();

    let (found, notes, _) = read_head(folder.path(), false).unwrap();
    let want = [
        named("old", [1000, 2000]),
        named("new", [3000, 8999]),
        named("old", [9000, 500, 20_000, 21_000, 22_000]),
    ];
    assert_eq!(found, want.concat());
    assert_eq!(notes, HeadNotes { orphans: 1, mapped_chunks: Vec::new() });

    // A mapped chunk that is damaged is only worth a note.
    mapped[40] ^= 1;
    fs::write(folder.path().join("chunks_head/000001"), &mapped).unwrap();
    let (found, notes, _) = read_head(folder.path(), false).unwrap();
    assert_eq!((found.len(), notes.mapped_chunks.len()), (6, 1), "{notes:?}");

    // A gap in the log is damage; a torn end is what a crash leaves.
    fs::rename(wal.join("00000003"), wal.join("00000004")).unwrap();
    let error = read_head(folder.path(), false).unwrap_err();
    assert!(error.message().contains("between 2 and 4 are missing"), "{error}");
    fs::rename(wal.join("00000004"), wal.join("00000003")).unwrap();
    let last = fs::read(wal.join("00000003")).unwrap();
    for len in 0..last.len() {
        fs::write(wal.join("00000003"), &last[..len]).unwrap();
        let (found, ..) = read_head(folder.path(), false).unwrap_or_else(|e| panic!("{len}: {e}"));
        assert!(found.len() >= 6, "{len}");
    }
}

#[test]
fn damage_in_a_log_stops_reading_or_costs_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let wal = folder.path().join("wal");
    fs::create_dir_all(&wal).unwrap();
    let mut records = vec![series_record(&[(1, "a")])];
    // Values that do not compress, so that there are several pages.
    records.extend((0..30).map(|r| {
        let of = |i: i64| (1, r * 1000 + i, ((r * 1000 + i) as f64).sin());
        samples_record(&(0..500).map(of).collect::<Vec<_>>())
    }));
    write_segment(&wal.join("00000000"), &records);
    write_segment(&wal.join("00000001"), &[samples_record(&[(1, 100_000, 1.0)])]);
    let sound = read_head(folder.path(), false).unwrap().0;
    assert_eq!(sound.len(), 15_001);
    let bytes = fs::read(wal.join("00000000")).unwrap();
    assert!(bytes.len() > 100_000);
    for at in (300..bytes.len()).step_by(9973) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x04;
        fs::write(wal.join("00000000"), damaged).unwrap();
        let error = read_head(folder.path(), false).unwrap_err();
        assert!(error.message().contains("00000000 at byte "), "{error}");
        let (found, _, errors) = read_head(folder.path(), true).unwrap();
        assert!(errors > 0 && found.len() > 9_000 && found.len() < sound.len(), "{at}: {}", found.len());
        assert_eq!(found.last(), sound.last());
    }
}

#[test]
fn refuses_folders_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let error = Folder::open(folder.path()).unwrap_err();
    assert!(error.message().contains("neither blocks nor a wal folder"), "{error}");
    assert!(Folder::open(&folder.path().join("none")).is_err());
    fs::create_dir_all(folder.path().join("01BKGV7JBM69T2G1BGBGM6KB12")).unwrap();
    let opened = Folder::open(folder.path()).unwrap();
    assert_eq!((opened.blocks.len(), opened.damaged.len()), (0, 1));
    assert!(opened.head().unwrap().is_none());
}

#[test]
fn reads_records_of_histograms_and_with_start_times() {
    let histogram = |bounds: bool| {
        let mut out = vec![2];
        out.extend(varint(if bounds { -53 } else { 1 }));
        out.extend(0.0f64.to_bits().to_be_bytes());
        out.extend([uvarint(0), uvarint(3)].concat());
        out.extend(4.5f64.to_bits().to_be_bytes());
        out.extend([uvarint(1), varint(0), uvarint(2), uvarint(0)].concat());
        out.extend([uvarint(2), varint(1), varint(1), uvarint(0)].concat());
        if bounds {
            out.extend(uvarint(1));
            out.extend(0.5f64.to_bits().to_be_bytes());
        }
        out
    };
    // Two samples: the first with its own start time, the second with a new one.
    let record = |bounds| {
        let first = [vec![12], varint(7), varint(1000), varint(900), histogram(bounds)].concat();
        [first, varint(1), varint(15), vec![2], varint(5), histogram(bounds)].concat()
    };
    for bounds in [false, true] {
        let mut found = Vec::new();
        record::decode(&record(bounds), Wanted::Samples, &mut |entry| found.push(entry)).unwrap();
        let [Entry::Histogram(7, 1000, a), Entry::Histogram(8, 1015, b)] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(a == b && a.positive == [1.0, 2.0] && a.validate().is_ok(), "{a:?}");
        assert_eq!(a.custom_bounds.len(), usize::from(bounds));
    }
    let unknown = record::decode(&[99], Wanted::Samples, &mut |_| {}).unwrap_err();
    assert_eq!(unknown, "records of type 99 are not known");
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(encoding in 0u8..8, data in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(encoding, &data, &mut SeriesSamples::default());
        for kind in 0..14 {
            let record = [&[kind][..], &data].concat();
            for wanted in [Wanted::Series, Wanted::Samples] {
                let _ = record::decode(&record, wanted, &mut |_| {});
            }
        }
    }

    #[test]
    fn labels_of_a_log_are_read_as_they_are(value in "\\PC{1,40}") {
        let mut found = Vec::new();
        record::decode(&series_record(&[(5, &value)]), Wanted::Series, &mut |e| found.push(e)).unwrap();
        prop_assert_eq!(found, vec![Entry::Series(5, Labels::from_pairs([("__name__", value)]))]);
    }
}
