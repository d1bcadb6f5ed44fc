//! `bellwether lake … --server URL`: the server does it with the data that it is using, and this program shows what it says.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use base::{Error, Result};
use serde_json::Value;

use super::args::{Format, LakeCommand};
use super::text;
use crate::query::client::{Client, Failure};

/// How long a server has: checking or merging everything that it stores takes minutes for every hundred gigabytes.
const TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Asks the server, writes what it says to standard output, and says whether everything is in order.
pub(super) fn run(server: &str, command: &LakeCommand) -> Result<bool> {
    let client = Client::new(server, None, &[])?.with_timeout(TIMEOUT);
    let (task, mut parameters) = match command {
        LakeCommand::Ls(o) => ("ls", vec![("segments", o.segments.to_string())]),
        LakeCommand::Stat(_) => ("stat", Vec::new()),
        LakeCommand::Verify(_) => ("verify", Vec::new()),
        LakeCommand::Compact(_) => ("compact", Vec::new()),
        LakeCommand::Vacuum(o) => ("vacuum", vec![("dry_run", o.dry_run.to_string())]),
    };
    let target = command.target();
    parameters.extend(target.table.clone().map(|table| ("table", table)));
    let format = if target.format == Format::Json { "json" } else { "text" };
    parameters.push(("format", format.to_owned()));
    let path = format!("/api/v1/admin/lake/{task}");
    let answer = while_waiting(task, || client.api(&path, &parameters, command.changes()));
    let (data, _) = answer.map_err(|failure| refused(task, server, failure))?;
    let (Some(in_order), Some(report)) = (data["inOrder"].as_bool(), data["report"].as_str()) else {
        return Err(unknown(task, server, &data));
    };
    text::print(report)?;
    Ok(in_order)
}

fn refused(task: &str, server: &str, failure: Failure) -> Error {
    match failure {
        Failure::NoAnswer(e) => e,
        Failure::Refused { text, .. } if text == "admin APIs disabled" => Error::invalid(format!(
            "cannot {task} the lake of {server}: its admin API is off; start it with --web.enable-admin-api, or stop it and name \
             its data with --storage.path"
        )),
        Failure::Refused { text, .. } if text == "client error: 404" => Error::invalid(format!(
            "cannot {task} the lake of {server}: it is no Bellwether, for it knows no such request"
        )),
        Failure::Refused { text, .. } => {
            Error::unavailable(format!("cannot {task} the lake of {server}: {text}"))
        }
    }
}

fn unknown(task: &str, server: &str, data: &Value) -> Error {
    let start: String = data.to_string().chars().take(100).collect();
    Error::invalid(format!("cannot {task} the lake of {server}: it answers something else: {start}"))
}

/// Shows on a terminal how long the server has been at it.
fn while_waiting<T>(task: &str, ask: impl FnOnce() -> T) -> T {
    if !stderr().is_terminal() {
        return ask();
    }
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut seconds = 0;
            while is_done.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                seconds += 1;
                // Progress that cannot be told is no reason to stop.
                let _ = write!(stderr(), "\r\x1b[Kthe server is at it: {task}, {seconds} s");
            }
            let _ = write!(stderr(), "\r\x1b[K");
        });
        let answer = ask();
        drop(done);
        answer
    })
}
