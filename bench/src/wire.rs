//! Remote write 1.0 on the wire: the protobuf message `prometheus.WriteRequest`, written by hand.
//!
//! Owns bytes only. A series' labels are encoded once and copied into every request that has a sample of it.

/// `WriteRequest.timeseries`, `TimeSeries.labels` and `Label.name`: field 1, length-delimited.
const FIELD_1_BYTES: u8 = 0x0a;
/// `TimeSeries.samples` and `Label.value`: field 2, length-delimited.
const FIELD_2_BYTES: u8 = 0x12;
/// `Sample.value`: field 1, eight bytes.
const FIELD_1_DOUBLE: u8 = 0x09;
/// `Sample.timestamp`: field 2, varint.
const FIELD_2_VARINT: u8 = 0x10;

/// A NaN with this payload says that a series has ended.
pub(crate) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Encodes a label set; the pairs may come in any order, as the receiver wants them sorted by name.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut sorted: Vec<_> = pairs.to_vec();
    sorted.sort_unstable();
    let mut out = Vec::with_capacity(sorted.iter().map(|(n, v)| n.len() + v.len() + 8).sum());
    for (name, value) in sorted {
        out.push(FIELD_1_BYTES);
        let length = 2 + varint_length(name.len() as u64) + name.len();
        varint(&mut out, (length + varint_length(value.len() as u64) + value.len()) as u64);
        out.push(FIELD_1_BYTES);
        text(&mut out, name);
        out.push(FIELD_2_BYTES);
        text(&mut out, value);
    }
    out
}

/// Appends one series with one sample to a request. `labels` comes from [`labels`].
pub(crate) fn series(out: &mut Vec<u8>, labels: &[u8], t_ms: i64, v: f64) {
    // Field numbers of times before 1970 would be ten bytes long; there are none here.
    let t = t_ms as u64;
    let sample = 1 + 8 + 1 + varint_length(t);
    out.push(FIELD_1_BYTES);
    varint(out, (labels.len() + 1 + varint_length(sample as u64) + sample) as u64);
    out.extend_from_slice(labels);
    out.push(FIELD_2_BYTES);
    varint(out, sample as u64);
    out.push(FIELD_1_DOUBLE);
    out.extend_from_slice(&v.to_le_bytes());
    out.push(FIELD_2_VARINT);
    varint(out, t);
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn varint_length(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads what the rest of this file writes, for tests.
#[cfg(test)]
pub(crate) mod decode {
    /// Names and values in the order of the message.
    pub(crate) type Labels = Vec<(String, String)>;

    /// A series of a request.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Series {
        pub(crate) labels: Labels,
        pub(crate) samples: Vec<(i64, f64)>,
    }

    impl Series {
        pub(crate) fn label(&self, name: &str) -> &str {
            self.labels.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
        }
    }

    enum Value<'a> {
        Varint(u64),
        Fixed(u64),
        Bytes(&'a [u8]),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a varint goes on");
            *bytes = rest;
            n |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        n
    }

    /// The fields of a message, by the wire format's own rules and not by what is expected.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Varint(varint(&mut bytes)),
                1 => {
                    let (fixed, rest) = bytes.split_at(8);
                    bytes = rest;
                    Value::Fixed(u64::from_le_bytes(fixed.try_into().expect("eight bytes")))
                }
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (inner, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(inner)
                }
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, value));
        }
        found
    }

    fn pair(bytes: &[u8]) -> (String, String) {
        let mut pair = (String::new(), String::new());
        for field in fields(bytes) {
            match field {
                (1, Value::Bytes(b)) => pair.0 = String::from_utf8(b.to_vec()).expect("UTF-8"),
                (2, Value::Bytes(b)) => pair.1 = String::from_utf8(b.to_vec()).expect("UTF-8"),
                (n, _) => panic!("a label has no field {n} like this"),
            }
        }
        pair
    }

    fn sample(bytes: &[u8]) -> (i64, f64) {
        let mut sample = (0, 0.0);
        for field in fields(bytes) {
            match field {
                (1, Value::Fixed(bits)) => sample.1 = f64::from_bits(bits),
                (2, Value::Varint(t)) => sample.0 = t as i64,
                (n, _) => panic!("a sample has no field {n} like this"),
            }
        }
        sample
    }

    /// The series of an uncompressed request.
    pub(crate) fn request(bytes: &[u8]) -> Vec<Series> {
        let series = |bytes| {
            let mut series = Series { labels: Vec::new(), samples: Vec::new() };
            for field in fields(bytes) {
                match field {
                    (1, Value::Bytes(b)) => series.labels.push(pair(b)),
                    (2, Value::Bytes(b)) => series.samples.push(sample(b)),
                    (n, _) => panic!("a series has no field {n} like this"),
                }
            }
            series
        };
        let inner = fields(bytes).into_iter().map(|f| match f {
            (1, Value::Bytes(b)) => series(b),
            (n, _) => panic!("a request has no field {n} like this"),
        });
        inner.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let long = "x".repeat(300);
        let sets: [&[(&str, &str)]; 3] = [
            &[("job", "node"), ("__name__", "up"), ("instance", "a:1")],
            &[("__name__", "long"), ("value", &long)],
            &[("__name__", "empty"), ("nothing", "")],
        ];
        let samples = [(1_700_000_000_000, 1.5), (0, f64::MAX), (127, -0.0)];
        let mut out = Vec::new();
        for (set, (t, v)) in sets.iter().zip(samples) {
            series(&mut out, &labels(set), t, v);
        }
        let read = decode::request(&out);
        assert_eq!(read.len(), 3);
        for ((series, set), sample) in read.iter().zip(sets).zip(samples) {
            let mut want: Vec<_> = set.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            want.sort();
            assert_eq!(series.labels, want);
            assert_eq!(series.samples, [sample]);
        }
    }

    #[test]
    fn bytes_are_those_of_protobuf() {
        let mut out = Vec::new();
        series(&mut out, &labels(&[("a", "b")]), 300, 1.0);
        assert_eq!(
            out,
            [
                0x0a, 22, // timeseries
                0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', // label
                0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02, // sample
            ]
        );
    }

    #[test]
    fn varints_are_as_long_as_they_say() {
        for n in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, n);
            assert_eq!(out.len(), varint_length(n), "{n}");
        }
    }

    #[test]
    fn the_stale_marker_is_a_nan_of_its_own() {
        assert!(STALE.is_nan() && STALE.to_bits() != f64::NAN.to_bits());
        let mut out = Vec::new();
        series(&mut out, &[], 1, STALE);
        assert_eq!(decode::request(&out)[0].samples[0].1.to_bits(), 0x7ff0_0000_0000_0002);
    }
}
