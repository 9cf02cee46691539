//! What a caller saw of one call.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name of the Pod that answered.
    pub pod: String,
    /// The caller's address as the server saw it.
    pub peer: SocketAddr,
    /// The server's own address of this connection; for UDP its bound address.
    pub local: SocketAddr,
    /// The datagram that this answers, for UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
    /// What answered the server when it asked in its turn, where it is one that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relayed: Option<Box<Answer>>,
}

impl Answer {
    /// The Pods that have answered, this one first, then who was asked by it.
    #[must_use]
    pub fn chain(&self) -> Vec<&str> {
        let further = self.relayed.iter().flat_map(|relayed| relayed.chain());
        std::iter::once(self.pod.as_str()).chain(further).collect()
    }
}

/// One call, as the caller's own system calls reported it.
///
/// Addresses are what the kernel returned: on an IPv6 socket an IPv4 peer is `::ffff:a.b.c.d`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The address that was asked for.
    pub target: SocketAddr,
    /// The errno of the system call that failed; none for a call that was only waited for in vain.
    #[serde(default)]
    pub errno: Option<i32>,
    /// Which step failed, and how: `connect: Connection refused (os error 111)`.
    #[serde(default)]
    pub error: Option<String>,
    /// `getpeername` after connect.
    #[serde(default)]
    pub peer: Option<SocketAddr>,
    /// `getsockname` after connect or send.
    #[serde(default)]
    pub local: Option<SocketAddr>,
    /// The source address that `recvfrom` reported, for UDP.
    #[serde(default)]
    pub source: Option<SocketAddr>,
    /// What the server answered.
    #[serde(default)]
    pub answer: Option<Answer>,
    /// The time that connect took, in microseconds; none where nothing had to be connected.
    #[serde(default)]
    pub connect_us: Option<u64>,
    /// The time of the whole call, in microseconds.
    pub total_us: u64,
}

impl Call {
    /// A call that is about to start.
    #[must_use]
    pub fn to(target: SocketAddr) -> Self {
        Self {
            target,
            errno: None,
            error: None,
            peer: None,
            local: None,
            source: None,
            answer: None,
            connect_us: None,
            total_us: 0,
        }
    }

    /// Takes a datagram that came in; false when it answers another one than `number`.
    #[doc(hidden)]
    pub fn received(&mut self, number: u64, source: SocketAddr, datagram: &[u8]) -> bool {
        let answer = serde_json::from_slice::<Answer>(datagram).ok();
        let answer = answer.filter(|answer| answer.echo == Some(number.to_string()));
        if answer.is_some() {
            self.source = Some(source);
            self.answer = answer;
        }
        self.answered()
    }

    /// Whether it was answered.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.answer.is_some()
    }

    /// The name of the Pod that answered.
    #[must_use]
    pub fn pod(&self) -> Option<&str> {
        self.answer.as_ref().map(|answer| answer.pod.as_str())
    }
}
