//! `notifications`: what an operator should know now, once or as a stream of events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::json;
use crate::limits::NOTIFICATION_INTERVAL;
use crate::process::Notification;
use crate::state::ServerState;

#[derive(Serialize, Clone, PartialEq, Eq)]
struct NotificationJson {
    text: String,
    date: String,
    active: bool,
}

impl NotificationJson {
    fn of(n: Notification, active: bool) -> Self {
        Self { text: n.text, date: json::rfc3339(n.since_ms), active }
    }
}

fn current(state: &ServerState) -> Vec<NotificationJson> {
    state.process.notifications().into_iter().map(|n| NotificationJson::of(n, true)).collect()
}

pub(crate) async fn notifications(State(state): State<Arc<ServerState>>) -> Response {
    json::success(&current(&state))
}

/// What a stream of events has told, and what it has yet to tell.
struct Told {
    state: Arc<ServerState>,
    shown: Vec<NotificationJson>,
    queue: Vec<NotificationJson>,
    first: bool,
    _place: OwnedSemaphorePermit,
}

pub(crate) async fn live(State(state): State<Arc<ServerState>>) -> Response {
    let Ok(place) = Arc::clone(&state.notification_places).try_acquire_owned() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let told = Told { state, shown: Vec::new(), queue: Vec::new(), first: true, _place: place };
    let events = stream::unfold(told, async |mut told| {
        while told.queue.is_empty() {
            if !told.first {
                tokio::time::sleep(NOTIFICATION_INTERVAL).await;
            }
            told.first = false;
            // A stream that never ends would hold up the end of the process.
            if !told.state.readiness.get() {
                return None;
            }
            told.look();
        }
        let event = serde_json::to_string(&told.queue.remove(0)).expect("our shapes have string keys");
        Some((Ok::<_, Infallible>(Event::default().data(event)), told))
    });
    // A client that vanished is noticed by what cannot be written to it, and gives its place back.
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

impl Told {
    /// Queues what is new, and what is over.
    fn look(&mut self) {
        let now = current(&self.state);
        self.queue.extend(now.iter().filter(|n| !self.shown.contains(n)).cloned());
        let over = self.shown.iter().filter(|n| !now.iter().any(|m| m.text == n.text));
        self.queue.extend(over.map(|n| NotificationJson { active: false, ..n.clone() }));
        self.shown = now;
    }
}
