//! Addresses at which no model server answers: one that refuses, one that never completes a connect.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A loopback address that nothing listens on: connecting is refused at once.
///
/// # Panics
/// When loopback cannot be listened on.
pub async fn refused_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
    listener.local_addr().expect("a bound address")
}

/// A loopback address at which a connect neither succeeds nor fails: its queue of pending connections
/// is full and nobody accepts. For connect timeouts.
#[derive(Debug)]
pub struct Unreachable {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Unreachable {
    /// Takes a free port and fills its queue.
    ///
    /// # Errors
    /// When loopback cannot be listened on.
    pub async fn start() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        // The kernel lets a few more in than the backlog says; the first connect that hangs tells
        // that the queue is full.
        let patience = Duration::from_millis(200);
        while let Ok(connected) = tokio::time::timeout(patience, TcpStream::connect(address)).await
        {
            waiting.push(connected?);
        }
        Ok(Self { address, _listener: listener, _waiting: waiting })
    }

    /// Where connects hang.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as an `http` URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
