//! The process' own resources as metrics, under the names that Prometheus' client libraries use.

use procfs::process::Process;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// Reads `/proc/self` whenever the metrics are gathered.
pub(crate) struct ProcessMetrics {
    cpu_seconds: Counter,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start_time_seconds: Gauge,
}

impl ProcessMetrics {
    /// The metrics; they read zero until they are gathered.
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu_seconds: Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )?,
            resident_bytes: Gauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            virtual_bytes: Gauge::new("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            open_fds: Gauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            threads: Gauge::new("process_threads", "Number of OS threads in the process.")?,
            start_time_seconds: Gauge::new(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            )?,
        })
    }

    fn refresh(&self) -> procfs::ProcResult<()> {
        let this = Process::myself()?;
        let stat = this.stat()?;
        let ticks_per_second = procfs::ticks_per_second() as f64;
        let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks_per_second;
        self.cpu_seconds.inc_by((cpu_seconds - self.cpu_seconds.get()).max(0.0));
        self.resident_bytes.set((stat.rss * procfs::page_size()) as f64);
        self.virtual_bytes.set(stat.vsize as f64);
        self.threads.set(stat.num_threads as f64);
        self.open_fds.set(this.fd_count()? as f64);
        if let procfs::process::LimitValue::Value(n) = this.limits()?.max_open_files.soft_limit {
            self.max_fds.set(n as f64);
        }
        if self.start_time_seconds.get() == 0.0 {
            let boot_seconds = procfs::boot_time_secs()? as f64;
            self.start_time_seconds.set(boot_seconds + stat.starttime as f64 / ticks_per_second);
        }
        Ok(())
    }

    fn collectors(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu_seconds,
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.open_fds,
            &self.max_fds,
            &self.threads,
            &self.start_time_seconds,
        ]
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "cannot read the process' own resources");
        }
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
