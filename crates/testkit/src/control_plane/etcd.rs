//! What a test asks of etcd itself.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::Error;

/// Forgets all revisions before the newest, so that whoever asks for one of them is told that it
/// is gone (410).
pub(super) fn compact(socket: &Path) -> Result<(), Error> {
    // Any key will do: each answer tells the newest revision.
    let answer = call(socket, "/v3/kv/range", &json!({"key": "AA==", "count_only": true}))?;
    let revision = &answer["header"]["revision"];
    call(socket, "/v3/kv/compaction", &json!({"revision": revision, "physical": true})).map(drop)
}

/// A call of etcd's JSON gateway.
fn call(socket: &Path, path: &str, body: &Value) -> Result<Value, Error> {
    let failed = || Error::io(format!("call {path} of etcd"));
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    let done = UnixStream::connect(socket).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.read_to_string(&mut answer)
    });
    done.map_err(failed())?;
    // Short answers are not sent in chunks: the body is all that follows the header.
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    match serde_json::from_str(body) {
        Ok(value) if answer.starts_with("HTTP/1.1 200 ") => Ok(value),
        _ => Err(failed()(std::io::Error::other(answer))),
    }
}
