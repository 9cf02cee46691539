//! An echo over UDP that also tells who answers, and whom it sees.

use std::rc::Rc;

use etm_testkit::Answer;
use tokio::net::UdpSocket;

use crate::listen::plain;

/// Answers every datagram.
pub(crate) async fn serve(socket: UdpSocket, name: Rc<str>) {
    let mut buffer = vec![0; 65_535];
    loop {
        match reply(&socket, &name, &mut buffer).await {
            Ok(()) => {}
            // An ICMP error for an earlier reply to a caller that has gone.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => eprintln!("testkit-pod: echo: {error}"),
        }
    }
}

async fn reply(socket: &UdpSocket, name: &str, buffer: &mut [u8]) -> std::io::Result<()> {
    let (length, peer) = socket.recv_from(buffer).await?;
    let answer = Answer {
        pod: name.to_owned(),
        peer: plain(peer),
        local: plain(socket.local_addr()?),
        echo: Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
        relayed: None,
    };
    socket.send_to(&serde_json::to_vec(&answer)?, peer).await.map(drop)
}
