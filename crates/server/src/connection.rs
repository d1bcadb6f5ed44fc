//! A connection that was accepted: its place among those allowed, and its bytes with request lines mended and refusals explained.

use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::refusal::with_reason;
use crate::request_line::RequestLines;

/// See the module.
pub(crate) struct Connection {
    stream: TcpStream,
    lines: RequestLines,
    /// What was read and mended, and did not fit: at most three times as much as one read.
    mended: Bytes,
    /// What is yet to be written in place of the bytes that the caller gives.
    instead: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// A connection of which nothing was read.
    pub(crate) fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            lines: RequestLines::new(),
            mended: Bytes::new(),
            instead: Bytes::new(),
            _permit: permit,
        }
    }

    /// The connection itself, to be looked at.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Moves what is mended to the buffer, as far as there is room.
    fn put_mended(&mut self, buf: &mut ReadBuf<'_>) {
        let fits = self.mended.len().min(buf.remaining());
        buf.put_slice(&self.mended[..fits]);
        self.mended.advance(fits);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.mended.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let Some((first, instead)) = self.lines.mend(&buf.filled()[before..]) else {
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before + first);
            self.mended = Bytes::from(instead);
        }
        self.put_mended(buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        if self.instead.is_empty() {
            match with_reason(buf) {
                None => return Pin::new(&mut self.stream).poll_write(cx, buf),
                Some(instead) => self.instead = instead,
            }
        }
        // Until all of it is written the caller comes again with the same bytes.
        let this = &mut *self;
        while !this.instead.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &this.instead))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            this.instead.advance(written);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        // Without a body, an answer is in one piece.
        let mut parts = bufs.iter().filter(|part| !part.is_empty());
        if let (Some(only), None) = (parts.next(), parts.next()) {
            return self.poll_write(cx, only);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
