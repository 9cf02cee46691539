//! The Pods that serve, all in one thread, each in its own network.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener as Listener},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use etm_bench::processor::{self, Role};
use etm_testkit::Pod;
use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{self, Handle},
    task::JoinHandle,
    time::sleep,
};

/// The port of every Pod.
pub(crate) const TARGET: u16 = 8080;

/// How long a slow Pod takes for an answer.
pub(crate) const SLOWNESS: Duration = Duration::from_millis(500);

/// How a Pod treats a connection that it has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Manner {
    /// Answers a byte with a byte.
    Answers,
    /// Resets it.
    Resets,
    /// Answers after [`SLOWNESS`].
    IsSlow,
}

/// Where servers run; they end with this process.
pub(crate) struct Servers(Handle);

/// A Pod with its server.
pub(crate) struct Server {
    pub(crate) pod: Pod,
    handle: Handle,
    manner: Arc<AtomicU8>,
    listening: Option<JoinHandle<()>>,
}

impl Servers {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        Ok(Self(handle))
    }

    /// Serves a Pod's port.
    pub(crate) fn serve(&self, pod: Pod) -> anyhow::Result<Server> {
        let manner = Arc::new(AtomicU8::new(Manner::Answers as u8));
        let mut server = Server { pod, handle: self.0.clone(), manner, listening: None };
        server.listen()?;
        Ok(server)
    }
}

impl Server {
    /// Listens, where it does not.
    pub(crate) fn listen(&mut self) -> anyhow::Result<()> {
        if self.listening.is_some() {
            return Ok(());
        }
        let bind = || Listener::bind((Ipv4Addr::UNSPECIFIED, TARGET));
        let listener = self.pod.place().in_network(bind)?;
        listener.set_nonblocking(true)?;
        let _inside = self.handle.enter();
        let accepting = accept(TcpListener::from_std(listener)?, Arc::clone(&self.manner));
        self.listening = Some(self.handle.spawn(accepting));
        Ok(())
    }

    /// Closes the listener: from the return on, connections are refused.
    pub(crate) fn refuse(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = self.handle.block_on(listening);
        }
    }

    /// Has this and all others run on another processor than callers that call in turns.
    pub(crate) fn keep_away(&self) -> anyhow::Result<()> {
        let pinned = self.handle.spawn(async { processor::pin(Role::Server) });
        Ok(self.handle.block_on(pinned)??)
    }

    /// Treats connections so from now on.
    pub(crate) fn behave(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, manner: Arc<AtomicU8>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if manner.load(Ordering::Relaxed) == Manner::Resets as u8 => {
                let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
            Ok((stream, _)) => {
                let slow = manner.load(Ordering::Relaxed) == Manner::IsSlow as u8;
                tokio::spawn(answer(stream, slow));
            }
            Err(error) => {
                eprintln!("server: {error}");
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Callers that give up are what the bench does on purpose.
async fn answer(stream: TcpStream, slow: bool) {
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut [0; 1]) {
            Ok(1) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            _ => return,
        }
        if slow {
            sleep(SLOWNESS).await;
        }
        if stream.try_write(b"!").is_err() {
            return;
        }
    }
}
