//! The demo service of PromLabs, whose metrics the compliance queries ask for, in simulated time; and series that are odd on purpose.
//!
//! Every value has few significant bits, so that sums are exact in any order and a difference between two servers is one of meaning.

use crate::random_numbers::Random;

/// Simulated time between two states.
pub(crate) const TICK_MS: i64 = 10_000;
/// How many instances there are.
pub(crate) const INSTANCES: usize = 3;

/// Ticks before which there is no `demo_late_total`, a counter that begins near zero.
const LATE: i64 = 460;

/// Buckets of a request's duration: 25 bounds that grow by half, as the demo service has them, and the last one.
const BUCKETS: usize = 26;

/// Takes a series: its metric's name, its labels but `job` and `instance`, and its value.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(&str, Labels<'_>, f64);
/// Names and values.
pub(crate) type Labels<'l> = &'l [(&'l str, &'l str)];

struct Requests {
    method: &'static str,
    path: &'static str,
    status: &'static str,
    /// How many there are in a tick, at most.
    busy: usize,
    /// The bucket that most of them fall into.
    middle: usize,
}

#[rustfmt::skip]
const REQUESTS: [Requests; 9] = [
    Requests { method: "GET", path: "/api/foo", status: "200", busy: 400, middle: 12 },
    Requests { method: "GET", path: "/api/foo", status: "500", busy: 4, middle: 13 },
    Requests { method: "POST", path: "/api/foo", status: "200", busy: 40, middle: 14 },
    Requests { method: "POST", path: "/api/foo", status: "500", busy: 2, middle: 15 },
    Requests { method: "GET", path: "/api/bar", status: "200", busy: 250, middle: 13 },
    Requests { method: "GET", path: "/api/bar", status: "500", busy: 1, middle: 16 },
    Requests { method: "POST", path: "/api/bar", status: "200", busy: 60, middle: 16 },
    Requests { method: "POST", path: "/api/bar", status: "500", busy: 3, middle: 18 },
    Requests { method: "GET", path: "/api/nonexistent", status: "404", busy: 10, middle: 2 },
];

/// Histograms of requests: how many fell into each bucket, and the sum of their durations.
#[derive(Debug, Clone)]
struct Histogram {
    counts: [u64; BUCKETS],
    sum: f64,
}

/// One instance of the service.
#[derive(Debug, Clone)]
pub(crate) struct Demo {
    instance: usize,
    random: Random,
    ticks: i64,
    requests: Vec<Histogram>,
    in_progress: f64,
    /// By mode: user, system, idle.
    cpu_seconds: [f64; 3],
    disk_used: f64,
    items: f64,
    holiday: f64,
    /// By type: used, cached, buffers.
    memory: [f64; 3],
    /// Last run, last success, duration, bytes.
    batch: [f64; 4],
    resetting: f64,
    wandering: f64,
    /// What is odd in this tick: a number for each of the odd series to make of what it likes.
    dice: [usize; 6],
}

const MIB: f64 = 1_048_576.0;
const MEMORY: [f64; 3] = [1200.0 * MIB, 2500.0 * MIB, 165.0 * MIB];

/// The upper bound of a bucket.
fn bound(bucket: usize) -> f64 {
    0.0001 * 1.5_f64.powi(i32::try_from(bucket).expect("there are few buckets"))
}

impl Demo {
    /// An instance as it is after some time: counters are far from zero, near which versions of Prometheus extrapolate differently.
    pub(crate) fn new(instance: usize) -> Self {
        let base = 10_000 * (instance as u64 + 1);
        let histogram = |r: &Requests| {
            let mut counts = [1000 + base / 100; BUCKETS];
            counts[r.middle] += base;
            Histogram { counts, sum: base as f64 }
        };
        let mut this = Self {
            instance,
            random: Random::new(instance as u64 + 1),
            ticks: -1,
            requests: REQUESTS.iter().map(histogram).collect(),
            in_progress: 3.0,
            cpu_seconds: [5e4, 3e4, 9e5],
            disk_used: 3e10,
            items: 1e5,
            holiday: 0.0,
            memory: MEMORY,
            batch: [0.0; 4],
            resetting: 1e5,
            wandering: 0.0,
            dice: [0; 6],
        };
        this.tick(0);
        this
    }

    /// Lets ten seconds pass, until the given time.
    pub(crate) fn tick(&mut self, now_ms: i64) {
        self.ticks += 1;
        let r = &mut self.random;
        for (histogram, of) in self.requests.iter_mut().zip(&REQUESTS) {
            for _ in 0..r.below(of.busy + 1) {
                // The sum of two dice is a hill.
                let bucket = (of.middle + r.below(4) + r.below(4)).saturating_sub(3).min(BUCKETS - 1);
                histogram.counts[bucket] += 1;
                histogram.sum += (bucket + 1) as f64 / 1024.0;
            }
        }
        self.in_progress = r.below(12) as f64;
        for (seconds, share) in self.cpu_seconds.iter_mut().zip([12, 8, 20]) {
            *seconds += (share * 8 + r.below(64)) as f64 / 16.0;
        }
        self.disk_used += (r.below(1 << 12) as f64 + 2048.0) * 2048.0;
        self.items += r.below(70) as f64;
        if self.ticks % 30 == 0 {
            self.holiday = f64::from(u8::from(r.percent(20)));
        }
        for (used, base) in self.memory.iter_mut().zip(MEMORY) {
            *used += (r.below(60 * 1024) as f64 - 30.0 * 1024.0) * 1024.0;
            if (*used - base).abs() > base / 2.0 {
                *used = base;
            }
        }
        if self.ticks % 6 == 0 {
            let now = (now_ms / 1000) as f64;
            self.batch[2] = 60.0 + r.below(64) as f64 / 8.0;
            self.batch[0] = now;
            if r.percent(75) {
                self.batch[1] = now;
                self.batch[3] = 1e6 + r.below(100_000) as f64;
            }
        }
        self.resetting = if r.percent(6) { 1e4 } else { self.resetting + r.below(500) as f64 / 4.0 };
        self.wandering += (r.below(129) as f64 - 64.0) / 8.0;
        self.dice = std::array::from_fn(|_| r.below(100));
    }

    /// Hands over every series that there is.
    pub(crate) fn each(&self, sink: Sink<'_>) {
        self.requests(sink);
        sink("demo_api_http_requests_in_progress", &[], self.in_progress);
        let batch =
            ["last_run_timestamp_seconds", "last_success_timestamp_seconds", "last_run_duration_seconds"];
        for (name, value) in batch.into_iter().chain(["last_run_processed_bytes"]).zip(self.batch) {
            sink(&format!("demo_batch_{name}"), &[], value);
        }
        sink("demo_num_cpus", &[], 4.0);
        for (mode, seconds) in ["user", "system", "idle"].iter().zip(self.cpu_seconds) {
            sink("demo_cpu_usage_seconds_total", &[("mode", mode)], seconds);
        }
        sink("demo_disk_total_bytes", &[], 1.6e11);
        sink("demo_disk_usage_bytes", &[], self.disk_used);
        sink("demo_is_holiday", &[], self.holiday);
        sink("demo_items_shipped_total", &[], self.items);
        for (kind, bytes) in ["used", "cached", "buffers"].iter().zip(self.memory) {
            sink("demo_memory_usage_bytes", &[("type", kind)], bytes);
        }
        let free = 8192.0 * MIB - self.memory.iter().sum::<f64>();
        sink("demo_memory_usage_bytes", &[("type", "free")], free);
        if self.ticks / 6 % 2 == 0 {
            sink("demo_intermittent_metric", &[], 1.0);
        }
        self.odd(sink);
    }

    fn requests(&self, sink: Sink<'_>) {
        const NAME: &str = "demo_api_request_duration_seconds";
        for (histogram, of) in self.requests.iter().zip(&REQUESTS) {
            let labels = [("method", of.method), ("path", of.path), ("status", of.status)];
            let mut seen = 0;
            for (bucket, count) in histogram.counts.iter().enumerate() {
                seen += count;
                let le = if bucket + 1 == BUCKETS { "+Inf".to_owned() } else { bound(bucket).to_string() };
                let [method, path, status] = labels;
                sink(&format!("{NAME}_bucket"), &[("le", &le), method, path, status], seen as f64);
            }
            sink(&format!("{NAME}_sum"), &labels, histogram.sum);
            sink(&format!("{NAME}_count"), &labels, seen as f64);
        }
    }

    /// Series that are not as one would wish.
    fn odd(&self, sink: Sink<'_>) {
        let [a, b, c, d, e, f] = self.dice;
        let mut gauge = |kind: &str, value: f64| sink("demo_odd_gauge", &[("kind", kind)], value);
        gauge("constant", 42.0);
        gauge("wandering", self.wandering);
        gauge("not \"a\\b\" number", if a < 20 { f64::NAN } else { a as f64 });
        gauge(
            "infinite",
            if b < 10 {
                f64::INFINITY
            } else if b < 20 {
                f64::NEG_INFINITY
            } else {
                b as f64
            },
        );
        gauge("null", if c < 50 { 0.0 } else { -0.0 });
        // Of each value there are many.
        gauge("coarse", (d / 25) as f64);
        if e < 40 {
            gauge("sparse", e as f64);
        }
        // Instances that come late and go early.
        if (self.ticks / 40 + self.instance as i64) % 3 != 0 {
            gauge("töpfe 🪣", f as f64 - 50.0);
        }
        sink("demo_odd_total", &[("kind", "resetting")], self.resetting);
        sink("demo_odd_total", &[("kind", "standing")], 1e6);
        sink("demo_odd_total", &[("kind", "steady")], 1e6 + 8.0 * self.ticks as f64);
        if self.ticks >= LATE {
            sink("demo_late_total", &[], 7.0 + 8.0 * (self.ticks - LATE) as f64);
        }
    }
}

/// The name of an instance, as the compliance queries have it.
pub(crate) fn instance_name(instance: usize) -> String {
    format!("demo.promlabs.com:1000{instance}")
}

/// When an instance is looked at after a tick began: targets are not looked at all at once. No sample lies on a whole second.
pub(crate) fn offset_ms(instance: usize) -> i64 {
    [300, 3_300, 7_300][instance]
}

/// The exposition of an instance, with a timestamp at each sample.
pub(crate) fn page(demo: &Demo, t_ms: i64) -> String {
    use std::fmt::Write;
    let (mut page, mut last) = (String::new(), String::new());
    demo.each(&mut |name, labels, value| {
        if name != last {
            let kind = match name {
                n if n.ends_with("_bucket") => "untyped",
                n if n.ends_with("_total") => "counter",
                _ => "gauge",
            };
            writeln!(page, "# TYPE {name} {kind}").expect("a string takes everything");
            last = name.to_owned();
        }
        page.push_str(name);
        let mut separator = '{';
        for (label, text) in labels {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            write!(page, "{separator}{label}=\"{text}\"").expect("a string takes everything");
            separator = ',';
        }
        if separator == ',' {
            page.push('}');
        }
        writeln!(page, " {value} {t_ms}").expect("a string takes everything");
    });
    page
}
