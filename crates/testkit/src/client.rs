//! A small HTTP/1.1 client over one kept connection: no pool, no redirects, no retries, so that a
//! benchmark measures the server and a test sees exactly what came back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// One connection to one server.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects, with `TCP_NODELAY`.
    ///
    /// # Errors
    /// When the connection is refused.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // Its error reaches the request that waits on it.
            let _ = connection.await;
        });
        let host = HeaderValue::from_str(&address.to_string()).map_err(io::Error::other)?;
        Ok(Self { sender, host, driver })
    }

    /// Sends a request and returns when the response's head is there.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> io::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(io::Error::other)?;
        let map = request.headers_mut();
        map.insert(HOST, self.host.clone());
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            map.insert(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
        }
        self.sender.ready().await.map_err(io::Error::other)?;
        self.sender.send_request(request).await.map_err(io::Error::other)
    }

    /// Posts a JSON text and returns when the response's head is there.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn post(&mut self, path: &str, body: Bytes) -> io::Result<Response<Incoming>> {
        let json = [(CONTENT_TYPE.as_str(), "application/json")];
        self.send(Method::POST, path, &json, body).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A response read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or `Null`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// Gets `path` over a connection of its own, within `limit`.
///
/// # Errors
/// When the connection is refused or breaks, or the limit passes.
pub async fn get(address: SocketAddr, path: &str, limit: Duration) -> io::Result<Answer> {
    once(address, Method::GET, path, Bytes::new(), limit).await
}

/// Posts a JSON value to `path` over a connection of its own, within `limit`.
///
/// # Errors
/// When the connection is refused or breaks, or the limit passes.
pub async fn post(
    address: SocketAddr,
    path: &str,
    body: &serde_json::Value,
    limit: Duration,
) -> io::Result<Answer> {
    once(address, Method::POST, path, body.to_string().into(), limit).await
}

async fn once(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
    limit: Duration,
) -> io::Result<Answer> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        let headers: &[(&str, &str)] =
            if body.is_empty() { &[] } else { &[(CONTENT_TYPE.as_str(), "application/json")] };
        let response = connection.send(method, path, headers, body).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}
