//! Every bound of scraping, each with its unit and its reason.

use std::time::Duration;

/// Bytes of one uncompressed body where the configuration sets no limit. The largest exposition seen in the field
/// (kube-state-metrics of a large cluster) is about 200 MB; a compression bomb stops here.
pub const BODY_SIZE_BYTES_MAX: usize = 256 << 20;

/// Dropped targets that a pool remembers where the configuration sets no limit: enough for any page, and an endpoint
/// discovery that drops 100,000 targets does not hold their labels in memory.
pub const DROPPED_TARGETS_MAX: usize = 1_000;

/// Series that one scrape may bring in where the configuration sets no `sample_limit`: a scrape with more fails as a
/// whole. Ten times what the largest targets of the field expose; with 200 bytes a series this bounds a target's cache
/// to some 400 MB.
pub const SERIES_PER_SCRAPE_MAX: usize = 2_000_000;

/// Buckets of native histograms that one scrape may bring in: it fails as a whole with more. A hundred thousand histograms with the 160
/// buckets at which clients stop; on the wire a bucket may take a byte, and takes eight here.
pub const NATIVE_BUCKETS_PER_SCRAPE_MAX: usize = 16_000_000;

/// Exemplars that one native histogram may have: a scrape with more fails. Go's client keeps ten.
pub const HISTOGRAM_EXEMPLARS_MAX: usize = 1_000;

/// How much larger than after the last good scrape a target's cache may grow over failing scrapes before what the
/// latest one did not show is dropped: twice, and this many series more. Taken from Prometheus.
pub const CACHE_SLACK_SERIES: usize = 1_000;

/// Metric families that one target's metadata holds: more is a target with names made of data.
pub const METADATA_FAMILIES_MAX: usize = 100_000;

/// Bytes of one help text that are kept.
pub const METADATA_HELP_BYTES_MAX: usize = 16 << 10;

/// Scrapes after which metadata of a family that is no longer exposed is dropped, as in Prometheus.
pub const METADATA_IDLE_SCRAPES: u64 = 10;

/// How far into the future a target's own timestamp may lie, as in Prometheus: beyond it the sample is left out.
pub const AHEAD_MAX: Duration = Duration::from_secs(10 * 60);

/// How far a scrape's start may lie behind its schedule and still be stamped with the scheduled time: equal distances
/// between timestamps compress to nearly nothing. Taken from Prometheus; at most one percent of the interval.
pub const ALIGN_TOLERANCE: Duration = Duration::from_millis(2);

/// Redirects that a scrape follows, as Go's HTTP client.
pub const REDIRECTS_MAX: usize = 10;

/// Bytes of one target file.
pub const TARGET_FILE_BYTES_MAX: u64 = 64 << 20;

/// Targets that one pool accepts from discovery: beyond it the rest is left out and the log says so.
pub const POOL_TARGETS_MAX: usize = 200_000;

/// Time between two looks at the modification times of target files. Prometheus is told by inotify; asking costs one
/// `stat` a file and works on every file system, network and overlay ones included.
pub const FILE_POLL: Duration = Duration::from_secs(2);

/// Bytes of a secret's file.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// Bytes of an error that a target causes, as the targets page shows it: a message quotes what could not be parsed,
/// and a line may be as long as the body.
pub const ERROR_BYTES_MAX: usize = 1_024;

/// Idle connections kept per host: a scrape of a host is seldom more than one at a time.
pub const IDLE_CONNECTIONS_PER_HOST: usize = 2;

/// HTTP clients kept, one for each different set of settings of TLS and proxies.
pub const HTTP_CLIENTS_MAX: usize = 64;

/// How long a pool waits for the first list of a discovery before it starts without it.
pub const FIRST_LIST_WAIT: Duration = Duration::from_secs(5);

/// An in-process target is scraped at once, and not only at its phase, where the phase is further away than this: a
/// program that has just started shows something at once, and no network is there to be flooded.
pub const IN_PROCESS_WAIT: Duration = Duration::from_secs(1);

/// Scrape intervals remembered for the quantiles of `prometheus_target_interval_length_seconds`.
pub const INTERVAL_OBSERVATIONS: usize = 1_024;

/// Bytes of a stored text that are parsed at once: a piece is whole lines of about this size.
pub const STREAM_PIECE_BYTES: usize = 1 << 20;

/// Bytes of one line of a stored text. Labels may have a megabyte.
pub const STREAM_LINE_BYTES: usize = 16 << 20;

/// Bytes of label sets that are kept while a stored text is read: its lines repeat them.
pub const STREAM_CACHE_BYTES: usize = 64 << 20;

/// Bytes that are kept of the answer to a body that was sent: enough for a message.
pub const POST_ANSWER_BYTES_MAX: usize = 4 << 10;

/// How long remote write waits before it reads a log again that could not be read.
pub const REMOTE_WRITE_READ_PAUSE: Duration = Duration::from_secs(5);

/// How long remote write waits before a queue begins anew that failed by a fault of this program: what fails at once again so costs little.
pub const REMOTE_WRITE_RESTART_PAUSE: Duration = Duration::from_secs(5);

/// The least pause before remote write repeats a request, whatever the configuration says: without one an endpoint that is away would
/// keep a core busy, and the log of messages full.
pub const REMOTE_WRITE_PAUSE_LEAST: Duration = Duration::from_millis(10);

/// The longest pause that a receiver may ask remote write for; of a longer one this much is waited. Receivers that are overloaded ask for
/// seconds or minutes. What is not sent is kept only within limits, and a date by a clock that is wrong would have an endpoint go without
/// samples for years.
pub const REMOTE_WRITE_ASKED_PAUSE_MAX: Duration = Duration::from_secs(600);

/// Records of the log that one queue has under way, those included of which relabelling left nothing: some hundred bytes each, which nothing else bounds
/// while an endpoint is away that gets a few of very many series.
pub const REMOTE_WRITE_RECORDS_UNDER_WAY: usize = 100_000;

/// How often the position of an endpoint in the log is made durable. A power failure so has at most this much sent twice; any other
/// crash only what was under way.
pub const REMOTE_WRITE_POSITION_SYNC: Duration = Duration::from_secs(10);

/// How often descriptions of metrics are gathered that are sent along with samples.
pub const REMOTE_WRITE_METADATA_REFRESH: Duration = Duration::from_secs(15);

/// How long a reload waits for the samples of a queue that changes. What is not sent then the next one sends, from the log.
pub const REMOTE_WRITE_RELOAD_FLUSH: Duration = Duration::from_secs(5);

/// Bytes of the head of what a proxy answers when it is asked for a tunnel. Go's client takes as many.
pub const PROXY_ANSWER_BYTES_MAX: usize = 256 << 10;

/// Tokens and keys that are kept, one for each different configuration; one more has the oldest got anew.
pub const TOKENS_MAX: usize = 1_024;

/// Bytes of an answer with a token. Go's client takes as many.
pub const TOKEN_ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long a request waits for its token. Less than the timeout of what needs it, so that the error names what did not answer.
pub const TOKEN_WAIT: Duration = Duration::from_secs(20);

/// How long before its end a token is got anew: it has to be valid when the request arrives. Taken from Go's client.
pub const TOKEN_RENEWED_BEFORE: Duration = Duration::from_secs(10);

/// The same of a key of AWS. Taken from Prometheus.
pub const AWS_KEY_RENEWED_BEFORE: Duration = Duration::from_secs(30);

/// How long nobody asks for a token again after a first failure; with each further one twice as long.
pub const TOKEN_RETRY_MIN: Duration = Duration::from_secs(1);

/// And at most: a scrape interval or two, so that nothing fails for long once the server is back.
pub const TOKEN_RETRY_MAX: Duration = Duration::from_secs(30);

/// How long what a client signs to get a token is valid. Taken from Prometheus; clocks may differ by some minutes.
pub const JWT_LASTS: Duration = Duration::from_secs(600);

/// How long a role of AWS is taken for. The least that there is, and what the SDKs ask for.
pub const AWS_ROLE_LASTS: Duration = Duration::from_secs(900);

/// How long a service of the machine itself may take to answer on the way to a token: one that is not there answers never.
pub const METADATA_WAIT: Duration = Duration::from_secs(3);

/// Bytes of a list of targets that a server gives, uncompressed; as for a file of targets.
pub const HTTP_SD_BODY_BYTES_MAX: usize = 64 << 20;

/// Targets in one list that a server gives: no pool takes more. A longer list is refused as a whole, and the last good one stays.
pub const HTTP_SD_TARGETS_MAX: usize = POOL_TARGETS_MAX;

/// Exemplars that one shard of version 2 keeps until a sample of their series comes; with more they go alone, and are likely refused.
/// Ten thousand take a few megabytes.
pub const REMOTE_WRITE_WAITING_EXEMPLARS: usize = 10_000;

/// How long they wait. Longer than the usual scrape interval of a minute, which brings the next sample.
pub const REMOTE_WRITE_EXEMPLAR_WAIT: Duration = Duration::from_secs(90);
