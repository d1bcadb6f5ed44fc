//! Frames: how a record lies in a WAL file. `docs/format/wal.md` is the specification.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::Fs;
use crate::limits::{MAX_FRAME_BYTES, REPLAY_BUFFER_BYTES};

/// The version of the format, which stands within the header: bytes behind it tell a torn header from a newer one.
const VERSION: u8 = 1;
const VERSION_AT: usize = 5;

/// Opens every WAL file.
pub(crate) const FILE_HEADER: [u8; 8] = *b"BWWAL\x01\r\n";

/// Opens every frame, so that a reader finds the next one behind a damaged one.
const MARKER: [u8; 4] = [0xb3, b'F', 0x1e, 0xd7];

/// Marker, length of the payload, crc32c of length and payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 12;

/// Appends a frame whose payload `write` appends.
pub(crate) fn put_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0; 8]);
    write(out);
    let payload = out.len() - start - FRAME_HEADER_BYTES;
    assert!((1..=MAX_FRAME_BYTES).contains(&payload), "writers split their batches below MAX_FRAME_BYTES");
    let len = u32::try_from(payload).expect("checked above").to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len), &out[start + FRAME_HEADER_BYTES..]);
    out[start + 4..start + 8].copy_from_slice(&len);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// What lies at a position of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A good frame; its payload is in [`FrameReader::payload`].
    Frame,
    /// The end of the file, right behind a good frame.
    End,
    /// Anything else.
    Bad,
}

/// Reads one WAL file from front to back in bounded memory.
pub(crate) struct FrameReader {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    buf: Vec<u8>,
    buf_start: u64,
    /// Where the next frame is expected.
    pub(crate) offset: u64,
    payload: (usize, usize),
}

impl FrameReader {
    pub(crate) fn new(fs: Arc<dyn Fs>, path: &Path) -> Self {
        Self { fs, path: path.into(), buf: Vec::new(), buf_start: 0, offset: 0, payload: (0, 0) }
    }

    /// Reads the file's header. `Bad` if it is not one.
    pub(crate) fn header(&mut self) -> io::Result<At> {
        let head = self.bytes(0, FILE_HEADER.len())?;
        if head.is_empty() {
            return Ok(At::End);
        }
        let mut of_this_version = head.to_vec();
        if let Some(version) = of_this_version.get_mut(VERSION_AT) {
            let found = std::mem::replace(version, VERSION);
            if of_this_version == FILE_HEADER && found != VERSION {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("its format has version {found}, this program reads version {VERSION}"),
                ));
            }
        }
        if head != FILE_HEADER {
            return Ok(At::Bad);
        }
        self.offset = FILE_HEADER.len() as u64;
        Ok(At::Frame)
    }

    /// Gives the memory back until the next call.
    pub(crate) fn release(&mut self) {
        (self.buf, self.buf_start) = (Vec::new(), 0);
    }

    /// Reads the frame at [`Self::offset`] and moves behind it if it is good.
    pub(crate) fn next(&mut self) -> io::Result<At> {
        let at = self.offset;
        let found = self.frame_at(at)?;
        if found == At::Frame {
            self.offset = at + (FRAME_HEADER_BYTES + self.payload.1 - self.payload.0) as u64;
        }
        Ok(found)
    }

    /// The payload of the frame that [`Self::next`] found.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.buf[self.payload.0..self.payload.1]
    }

    /// Moves to the first good frame behind a bad one. `false`, and no move, if there is none.
    pub(crate) fn resync(&mut self) -> io::Result<bool> {
        let mut at = self.offset + 1;
        loop {
            let window = self.bytes(at, REPLAY_BUFFER_BYTES)?;
            let window_len = window.len();
            match memchr::memmem::find(window, &MARKER) {
                Some(i) => {
                    at += i as u64;
                    if self.frame_at(at)? == At::Frame {
                        self.offset = at;
                        return Ok(true);
                    }
                    at += 1;
                }
                None if window_len < REPLAY_BUFFER_BYTES => return Ok(false),
                // A marker may lie across the window's end.
                None => at += (window_len - MARKER.len() + 1) as u64,
            }
        }
    }

    /// Bytes of the file.
    pub(crate) fn file_len(&mut self) -> io::Result<u64> {
        let mut at = self.offset;
        loop {
            let n = self.bytes(at, REPLAY_BUFFER_BYTES)?.len();
            at += n as u64;
            if n < REPLAY_BUFFER_BYTES {
                return Ok(at);
            }
        }
    }

    fn frame_at(&mut self, at: u64) -> io::Result<At> {
        let head = self.bytes(at, FRAME_HEADER_BYTES)?;
        if head.is_empty() {
            return Ok(At::End);
        }
        if head.len() < FRAME_HEADER_BYTES || head[..4] != MARKER {
            return Ok(At::Bad);
        }
        let len_bytes: [u8; 4] = head[4..8].try_into().expect("four bytes");
        let crc = u32::from_le_bytes(head[8..12].try_into().expect("four bytes"));
        let len = u32::from_le_bytes(len_bytes) as usize;
        if len == 0 || len > MAX_FRAME_BYTES {
            return Ok(At::Bad);
        }
        let body = self.bytes(at, FRAME_HEADER_BYTES + len)?;
        if body.len() < FRAME_HEADER_BYTES + len
            || crc32c::crc32c_append(crc32c::crc32c(&len_bytes), &body[FRAME_HEADER_BYTES..]) != crc
        {
            return Ok(At::Bad);
        }
        let start = usize::try_from(at - self.buf_start).expect("within the buffer");
        self.payload = (start + FRAME_HEADER_BYTES, start + FRAME_HEADER_BYTES + len);
        Ok(At::Frame)
    }

    /// Up to `n` bytes from `at` on; fewer only where the file ends.
    fn bytes(&mut self, at: u64, n: usize) -> io::Result<&[u8]> {
        let have = self.buf_start..self.buf_start + self.buf.len() as u64;
        if at < have.start || at + n as u64 > have.end {
            self.buf.resize(n.max(REPLAY_BUFFER_BYTES), 0);
            // Until the read has succeeded the buffer holds nothing.
            let read = match self.fs.read_at(&self.path, at, &mut self.buf) {
                Ok(read) => read,
                Err(e) => {
                    self.buf.clear();
                    return Err(e);
                }
            };
            self.buf.truncate(read);
            self.buf_start = at;
        }
        let start = usize::try_from(at - self.buf_start).expect("within the buffer");
        Ok(&self.buf[start..self.buf.len().min(start + n)])
    }
}
