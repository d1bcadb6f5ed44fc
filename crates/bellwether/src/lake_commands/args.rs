//! Options of `bellwether lake`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use server::process::{LakeRequest, LakeTask};

/// Options of `bellwether lake`.
#[derive(Debug, Clone, Args)]
pub struct Lake {
    /// What to do.
    #[command(subcommand)]
    pub command: LakeCommand,
}

/// What can be done with stored data.
#[derive(Debug, Clone, Subcommand)]
pub enum LakeCommand {
    /// List what is stored: segments, rows, bytes and times by table, tenant and date.
    Ls(Ls),
    /// Say what takes the space: rows, samples, columns, logs.
    Stat(Stat),
    /// Check every segment and every record of the logs; exit with 1 if something is wrong.
    Verify(Verify),
    /// Merge segments until there is nothing left to merge. Keeps everything that is stored.
    Compact(Compact),
    /// Delete files that nothing refers to.
    Vacuum(Vacuum),
}

impl From<&LakeRequest> for LakeCommand {
    fn from(request: &LakeRequest) -> Self {
        let target = Target {
            storage_path: String::new(),
            storage_wal_path: None,
            server: None,
            table: request.table.clone(),
            format: if request.as_json { Format::Json } else { Format::Text },
        };
        match request.task {
            LakeTask::Ls { segments } => Self::Ls(Ls { target, segments }),
            LakeTask::Stat => Self::Stat(Stat { target }),
            LakeTask::Verify => Self::Verify(Verify { target }),
            LakeTask::Compact => Self::Compact(Compact { target }),
            LakeTask::Vacuum { dry_run } => Self::Vacuum(Vacuum { target, dry_run }),
        }
    }
}

impl LakeCommand {
    /// Where the data is, and how the result is written.
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Ls(o) => &o.target,
            Self::Stat(o) => &o.target,
            Self::Verify(o) => &o.target,
            Self::Compact(o) => &o.target,
            Self::Vacuum(o) => &o.target,
        }
    }

    /// Whether it changes what is stored.
    pub(crate) fn changes(&self) -> bool {
        matches!(self, Self::Compact(_) | Self::Vacuum(Vacuum { dry_run: false, .. }))
    }
}

/// Where the data is, and how the result is written.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Folder or bucket that holds the data: DIR, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix. No server may
    /// be using the folder; a bucket may be in use.
    #[arg(
        long = "storage.path",
        value_name = "DIR|URL",
        default_value = "./data",
        alias = "storage.tsdb.path"
    )]
    pub storage_path: String,

    /// Let the server at this URL do it with the data that it is using; it must have been started with --web.enable-admin-api.
    #[arg(long, value_name = "URL", conflicts_with_all = ["storage_path", "storage_wal_path"])]
    pub server: Option<String>,

    /// Local folder of what is not in the bucket yet; only with a bucket. Without it only the bucket is looked at.
    #[arg(long = "storage.wal-path", value_name = "DIR")]
    pub storage_wal_path: Option<PathBuf>,

    /// Only this table.
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,

    /// How the result is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// Options of `bellwether lake ls`.
#[derive(Debug, Clone, Args)]
pub struct Ls {
    /// Where and how.
    #[command(flatten)]
    pub target: Target,

    /// List every segment.
    #[arg(long)]
    pub segments: bool,
}

/// Options of `bellwether lake stat`.
#[derive(Debug, Clone, Args)]
pub struct Stat {
    /// Where and how.
    #[command(flatten)]
    pub target: Target,
}

/// Options of `bellwether lake verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Where and how.
    #[command(flatten)]
    pub target: Target,
}

/// Options of `bellwether lake compact`.
#[derive(Debug, Clone, Args)]
pub struct Compact {
    /// Where and how.
    #[command(flatten)]
    pub target: Target,
}

/// Options of `bellwether lake vacuum`.
#[derive(Debug, Clone, Args)]
pub struct Vacuum {
    /// Where and how.
    #[command(flatten)]
    pub target: Target,

    /// Say what would be deleted, and delete nothing.
    #[arg(long)]
    pub dry_run: bool,
}
