//! As much HTTP/1.1 as a call needs, over any stream.

use std::io::{self, ErrorKind, Read};

use etm_testkit::Answer;

/// A request that leaves the connection open.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: testkit\r\n\r\n";

/// Collects a response as its bytes come in.
#[derive(Default)]
pub(crate) struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// Reads until the response is complete.
    pub(crate) fn read(mut self, stream: &mut impl Read) -> io::Result<Answer> {
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer)?;
            if let Some(answer) = self.push(&buffer[..length])? {
                return Ok(answer);
            }
        }
    }

    /// Takes what a read returned; an empty slice is the end of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> io::Result<Option<Answer>> {
        if bytes.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) =
            response.parse(&self.bytes).map_err(io::Error::other)?
        else {
            return Ok(None);
        };
        let length = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok())
            .ok_or_else(|| io::Error::other("a response without a length"))?;
        let body = &self.bytes[start..];
        if body.len() < length {
            return Ok(None);
        }
        serde_json::from_slice(&body[..length]).map(Some).map_err(io::Error::from)
    }
}
