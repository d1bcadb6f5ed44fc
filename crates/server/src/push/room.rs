//! Room for pushed requests in memory. A request takes room for its bytes before they are read, and for what they unfold to before they
//! are decompressed. One that finds none for a while is sent away to come again.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use base::{Error, Result};
use bytes::Bytes;
use prometheus::{IntCounter, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PushFailure;
use crate::limits::{
    WRITE_BODY_BYTES, WRITE_DECODED_BYTES, WRITE_READ_TIMEOUT, WRITE_ROOM_LEAST_BYTES, WRITE_WAIT,
};

/// Room that all receivers share.
pub struct Room {
    bodies: Arc<Semaphore>,
    body_bytes: usize,
    decoded: Arc<Semaphore>,
    decoded_bytes: usize,
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
            shed,
        })
    }

    async fn take(&self, of: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, PushFailure> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match tokio::time::timeout(WRITE_WAIT, Arc::clone(of).acquire_many_owned(permits)).await {
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

    /// Reads a body once there is room for it.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, OwnedSemaphorePermit), PushFailure> {
        let claimed = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let len = claimed.unwrap_or_else(|| self.most_of_body());
        let room = self.for_body(len).await?;
        match tokio::time::timeout(WRITE_READ_TIMEOUT, axum::body::to_bytes(body, len)).await {
            Ok(Ok(bytes)) => Ok((bytes, room)),
            Ok(Err(e)) if is_too_long(&e) => Err(self.too_large()),
            Ok(Err(e)) => Err(PushFailure::new(StatusCode::BAD_REQUEST, format!("cannot read request: {e}"))),
            Err(_) => {
                let text = format!("cannot read request: it took more than {WRITE_READ_TIMEOUT:?}");
                Err(PushFailure::new(StatusCode::REQUEST_TIMEOUT, text))
            }
        }
    }
}

/// Whether a body was given up because of its length, and not because its sender did not finish it.
fn is_too_long(e: &axum::Error) -> bool {
    std::error::Error::source(e).is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
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
}
