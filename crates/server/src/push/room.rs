//! Room for pushed requests in memory. A request takes room for its bytes before they are read, and for what they unfold to before they
//! are decompressed. One that finds none for a while is sent away to come again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use base::{Error, Result};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use prometheus::{IntCounter, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PushFailure;
use crate::limits::{
    WRITE_BODY_BYTES, WRITE_DECODED_BYTES, WRITE_GROWING_BYTES, WRITE_READ_TIMEOUT, WRITE_ROOM_LEAST_BYTES,
    WRITE_WAIT,
};

/// Room that all receivers share.
pub struct Room {
    bodies: Arc<Semaphore>,
    body_bytes: usize,
    decoded: Arc<Semaphore>,
    decoded_bytes: usize,
    wait: Duration,
    shed: IntCounter,
}

impl Room {
    /// Divides `room_bytes`, at least as much as one request of a usual size needs.
    pub fn register(room_bytes: usize, registry: &Registry) -> Result<Self> {
        let room_bytes = room_bytes.max(WRITE_ROOM_LEAST_BYTES);
        let body_bytes = (room_bytes / 3).min(WRITE_BODY_BYTES);
        let decoded_bytes = (room_bytes / 3 * 2).min(WRITE_DECODED_BYTES);
        let shed = IntCounter::new(
            "bellwether_push_shed_requests_total",
            "Pushed requests sent away because others filled the room for them.",
        );
        let registered = shed.and_then(|shed| registry.register(Box::new(shed.clone())).map(|()| shed));
        let shed = registered
            .map_err(|e| Error::internal(format!("cannot register metrics of pushed requests: {e}")))?;
        Ok(Self {
            bodies: Arc::new(Semaphore::new(body_bytes)),
            body_bytes,
            decoded: Arc::new(Semaphore::new(decoded_bytes)),
            decoded_bytes,
            wait: WRITE_WAIT,
            shed,
        })
    }

    async fn take(&self, of: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, PushFailure> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match tokio::time::timeout(self.wait, Arc::clone(of).acquire_many_owned(permits)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                self.shed.inc();
                Err(PushFailure::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!(
                        "cannot take request: others fill the room for {bytes} bytes (limits write_body_bytes and write_decoded_bytes); try again later"
                    ),
                ))
            }
        }
    }

    /// Bytes that one body may have.
    fn most_of_body(&self) -> usize {
        ingest::limits::COMPRESSED_BYTES.min(self.body_bytes)
    }

    fn too_large(&self) -> PushFailure {
        let most = self.most_of_body();
        let text = format!(
            "cannot take request: it has more than {most} bytes (limit compressed_bytes, or a thirtieth of limits.memory)"
        );
        PushFailure::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// Takes room for a body. One that is larger than any may be is refused for good.
    pub(crate) async fn for_body(&self, bytes: usize) -> Result<OwnedSemaphorePermit, PushFailure> {
        if bytes > self.most_of_body() {
            return Err(self.too_large());
        }
        self.take(&self.bodies, bytes).await
    }

    /// Bytes that one request may unfold to.
    pub(crate) fn most_decoded(&self) -> usize {
        self.decoded_bytes
    }

    /// Takes room for what a request unfolds to. One that is larger than all of it is refused for good.
    pub(crate) async fn for_decoded(&self, bytes: usize) -> Result<OwnedSemaphorePermit, PushFailure> {
        let most = self.decoded_bytes;
        if bytes > most {
            return Err(PushFailure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "cannot take request: it has {bytes} bytes once decompressed, a fifteenth of limits.memory is {most}"
                ),
            ));
        }
        self.take(&self.decoded, bytes).await
    }

    /// Reads a body once there is room for it: all of it if its length is known, else as it grows.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, OwnedSemaphorePermit), PushFailure> {
        let claimed = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let first = claimed.unwrap_or_else(|| WRITE_GROWING_BYTES.min(self.most_of_body()));
        let room = self.for_body(first).await?;
        match tokio::time::timeout(WRITE_READ_TIMEOUT, Box::pin(self.gather(body, first, room))).await {
            Ok(read) => read,
            Err(_) => {
                let text = format!("cannot read request: it took more than {WRITE_READ_TIMEOUT:?}");
                Err(PushFailure::new(StatusCode::REQUEST_TIMEOUT, text))
            }
        }
    }

    /// Reads a body that has room for so many bytes. More is taken twice as much at a time, before the bytes are kept; who waits for more in vain
    /// gives back what he has, so that two that wait for each other do so for no longer than any other.
    async fn gather(
        &self,
        mut body: Body,
        mut has: usize,
        mut room: OwnedSemaphorePermit,
    ) -> Result<(Bytes, OwnedSemaphorePermit), PushFailure> {
        let most = self.most_of_body();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| {
                PushFailure::new(StatusCode::BAD_REQUEST, format!("cannot read request: {e}"))
            })?;
            let Ok(part) = frame.into_data() else { continue };
            let len = whole.len() + part.len();
            if len > most {
                return Err(self.too_large());
            }
            if len > has {
                let more = len.next_power_of_two().min(most) - has;
                room.merge(self.take(&self.bodies, more).await?);
                has += more;
            }
            if whole.is_empty() && body.is_end_stream() {
                return Ok((part, room));
            }
            whole.extend_from_slice(&part);
        }
        // What was taken ahead is free for others.
        drop(room.split(has - whole.len()));
        Ok((whole.freeze(), room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_cut_is_not_one_that_is_too_large() {
        let room = Room::register(0, &Registry::new()).unwrap();
        let read = async |parts: Vec<std::io::Result<Bytes>>| {
            let body = Body::from_stream(futures::stream::iter(parts));
            room.read(&HeaderMap::new(), body)
                .await
                .map(|(bytes, _)| bytes.len())
                .map_err(|f| (f.status, f.text))
        };
        assert_eq!(read(vec![Ok(Bytes::from_static(b"ab"))]).await, Ok(2));
        let (status, text) = read(vec![Err(std::io::Error::other("reset"))]).await.unwrap_err();
        assert_eq!((status, text.contains("reset")), (StatusCode::BAD_REQUEST, true), "{text}");
        let large = vec![0; room.most_of_body() + 1];
        let (status, text) = read(vec![Ok(large.into())]).await.unwrap_err();
        assert_eq!(
            (status, text.contains("compressed_bytes")),
            (StatusCode::PAYLOAD_TOO_LARGE, true),
            "{text}"
        );
    }

    /// A body whose parts are sent by hand.
    fn trickling() -> (futures::channel::mpsc::UnboundedSender<std::io::Result<Bytes>>, Body) {
        let (sender, parts) = futures::channel::mpsc::unbounded();
        (sender, Body::from_stream(parts))
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_takes_room_as_it_grows() {
        let room = Arc::new(Room::register(0, &Registry::new()).unwrap());
        let free = || room.bodies.available_permits();
        let all = free();
        let (sender, body) = trickling();
        let reading = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.read(&HeaderMap::new(), body).await }
        });
        let settled = async || {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        };
        settled().await;
        assert_eq!(all - free(), WRITE_GROWING_BYTES, "a small one takes little");
        sender.unbounded_send(Ok(vec![1; WRITE_GROWING_BYTES].into())).unwrap();
        settled().await;
        assert_eq!(all - free(), WRITE_GROWING_BYTES);
        sender.unbounded_send(Ok(vec![2; 1].into())).unwrap();
        settled().await;
        assert_eq!(all - free(), 2 * WRITE_GROWING_BYTES);
        drop(sender);
        let (bytes, permit) = reading.await.unwrap().unwrap();
        assert_eq!((bytes.len(), all - free()), (WRITE_GROWING_BYTES + 1, WRITE_GROWING_BYTES + 1));
        drop(permit);
        assert_eq!(free(), all);
    }

    #[tokio::test]
    async fn a_body_that_finds_no_room_to_grow_is_sent_away_and_gives_back_what_it_has() {
        let room = Room { wait: Duration::from_millis(10), ..Room::register(0, &Registry::new()).unwrap() };
        let all = room.bodies.available_permits();
        let others =
            Arc::clone(&room.bodies).try_acquire_many_owned((all - WRITE_GROWING_BYTES) as u32).unwrap();
        let parts = [Ok::<_, std::io::Error>(Bytes::from(vec![0; WRITE_GROWING_BYTES])), Ok("more".into())];
        let body = Body::from_stream(futures::stream::iter(parts));
        let failure = room.read(&HeaderMap::new(), body).await.unwrap_err();
        assert_eq!(
            (failure.status, room.shed.get()),
            (StatusCode::SERVICE_UNAVAILABLE, 1),
            "{}",
            failure.text
        );
        drop(others);
        assert_eq!(room.bodies.available_permits(), all);
    }
}
