//! Sockets that stay open on one place of the table.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::{peer, socket};

/// Rounds of the table to give up after: each has a cookie for every place, but other processes
/// make sockets as well.
const ROUNDS: u64 = 64;

/// Open sockets, in the order in which they were connected.
pub(crate) struct Crowd {
    sockets: Vec<Socket>,
    made: u64,
}

impl Crowd {
    /// Cookies and peers, in order, and how many sockets it took.
    pub(crate) fn report(&self) -> io::Result<Value> {
        let cookies: Vec<u64> =
            self.sockets.iter().map(Socket::cookie).collect::<Result<_, _>>()?;
        let peers: Vec<_> = self.sockets.iter().map(peer).collect::<Result<_, _>>()?;
        Ok(json!({"cookies": cookies, "peers": peers, "made": self.made}))
    }
}

/// Connects one over TCP, then as many more as the table has places, and on until enough of them
/// have the first one's place; all others are closed at once.
pub(crate) fn gather(target: SocketAddr, rivals: usize, slots: u64) -> io::Result<Crowd> {
    let first = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    first.connect(&target.into())?;
    let place = first.cookie()? % slots;
    let mut crowd = Crowd { sockets: vec![first], made: 1 };
    while crowd.made <= slots || crowd.sockets.len() <= rivals {
        crowd.made += 1;
        let short = socket(target)?;
        let rival = short.cookie()? % slots == place;
        if rival && crowd.sockets.len() > rivals {
            continue;
        }
        short.connect(&target.into())?;
        if peer(&short)? != Some(target) {
            return Err(io::Error::other(format!("a peer is {:?}", peer(&short)?)));
        }
        if rival {
            crowd.sockets.push(short);
        }
        if crowd.made > slots * ROUNDS {
            return Err(io::Error::other("no cookie has the first one's place"));
        }
    }
    Ok(crowd)
}
