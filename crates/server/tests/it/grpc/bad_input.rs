//! Bytes that are no messages. The process goes on and says whose fault it was.

use std::{io::Write, time::Duration};

use bartizan_server::grpc::{
    MAX_MESSAGE_BYTES,
    wire::{ClientMessage, HealthRequest, InvocationRequest},
};
use futures::StreamExt;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, codec::CompressionEncoding, transport::Channel};
use tower::{Service, ServiceExt};

use super::support::{World, connect, error_of, message, text, world};

const CONVERSE: &str = "/omnia.runtime.v1.RuntimeService/Converse";
const INVOKE: &str = "/omnia.runtime.v1.RuntimeService/Invoke";

/// Posts these bytes as the body of a call and returns the status that it ends with.
async fn post(channel: &mut Channel, path: &str, body: Vec<u8>, encoding: &str) -> Code {
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", encoding)
        .body(tonic::body::Body::new(axum::body::Body::from(body)))
        .unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    let status = |headers: &http::HeaderMap| {
        headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
    };
    if let Some(code) = status(response.headers()) {
        return code;
    }
    let mut body = axum::body::Body::new(response.into_body());
    loop {
        use axum::body::HttpBody;
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(status) {
                    return code;
                }
            }
            other => panic!("the call ended without a status: {other:?}"),
        }
    }
}

/// A gRPC frame of these bytes.
fn framed(flag: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame
}

/// Numbers without a pattern and the same in every run (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.next() % most;
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A body that is wrong in one of several ways.
fn garbage(noise: &mut Noise) -> Vec<u8> {
    let valid = message("s-1", "a message that is cut or bent").encode_to_vec();
    match noise.next() % 5 {
        // No protobuf.
        0 => framed(0, &noise.bytes(64)),
        // No frame.
        1 => noise.bytes(64),
        // A frame cut short.
        2 => {
            let whole = framed(0, &valid);
            let cut = 1 + usize::try_from(noise.next()).unwrap_or(7) % (whole.len() - 1);
            whole[..cut].to_vec()
        }
        // A message with one byte bent.
        3 => {
            let mut bent = valid;
            let place = usize::try_from(noise.next()).unwrap_or(3) % bent.len();
            bent[place] ^= 0x80;
            framed(0, &bent)
        }
        // Said to be compressed and is not.
        _ => framed(1, &noise.bytes(64)),
    }
}

async fn survives(world: &World, frames: u64) {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let channel = world.channel().await;
    let calls = (0..frames).map(|index| {
        let body = garbage(&mut noise);
        let mut channel = channel.clone();
        let path = if index % 2 == 0 { CONVERSE } else { INVOKE };
        async move { post(&mut channel, path, body, "gzip").await }
    });
    let mut codes = futures::stream::iter(calls).buffer_unordered(64);
    while let Some(code) = codes.next().await {
        // Some noise happens to be a message without a session, which is refused on protocol.
        assert!(matches!(code, Code::InvalidArgument | Code::Ok), "{code:?}");
    }
    let health = world.client().await.health(HealthRequest {}).await.unwrap().into_inner();
    assert!(health.healthy);
}

#[tokio::test]
async fn ten_thousand_malformed_calls_do_no_harm() {
    survives(&world(|_, _| text("unharmed")).await, 10_000).await;
}

#[tokio::test]
#[ignore = "the same, ten times as long"]
async fn a_hundred_thousand_malformed_calls_do_no_harm() {
    survives(&world(|_, _| text("unharmed")).await, 100_000).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_named() {
    let world = world(|_, _| text("unasked")).await;
    let mut client = tonic::client::Grpc::new(world.channel().await);
    client.ready().await.unwrap();
    // Field 1, invocation text cut in the middle of a character.
    let broken = Raw(vec![0x0A, 2, 0xC3, 0x28]);
    let path = http::uri::PathAndQuery::from_static(INVOKE);
    let outcome = client.unary(tonic::Request::new(broken), path, RawCodec).await;
    let status = outcome.map(|_| ()).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("InvocationRequest.input_json"), "{status}");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let world = world(|_, _| text("unasked")).await;
    let mut channel = world.channel().await;
    let request =
        InvocationRequest { input_json: "x".repeat(MAX_MESSAGE_BYTES + 1), ..Default::default() };
    let large = framed(0, &request.encode_to_vec());
    assert_eq!(post(&mut channel, INVOKE, large, "identity").await, Code::InvalidArgument);

    // Small on the wire and large here.
    let client = world.client().await.send_compressed(CompressionEncoding::Gzip);
    let bomb = client.max_encoding_message_size(usize::MAX).invoke(request).await;
    assert_eq!(bomb.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_unknown_compression_is_unimplemented() {
    let world = world(|_, _| text("unasked")).await;
    let mut channel = world.channel().await;
    let body = framed(1, b"?");
    assert_eq!(post(&mut channel, INVOKE, body, "snappy").await, Code::Unimplemented);
}

#[tokio::test]
async fn metadata_of_a_call_may_be_long() {
    let world = world(|_, _| text("hi")).await;
    let mut request = tonic::Request::new(InvocationRequest {
        input_json: "1".into(),
        invocation_id: "i-1".into(),
        ..Default::default()
    });
    for number in 0..40 {
        let name = format!("x-omnia-claim-{number}");
        let name = name.parse::<tonic::metadata::AsciiMetadataKey>().unwrap();
        request.metadata_mut().insert(name, "v".repeat(1000).parse().unwrap());
    }
    world.client().await.invoke(request).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_never_begins_is_not_waited_for() {
    let world = world(|_, _| text("unasked")).await;
    let address = world.address.strip_prefix("http://").unwrap_or(&world.address);
    let hang_ups = ["", "PRI * HTTP/2.0\r\n"].map(|beginning| async move {
        let mut stream = connect(address.parse().unwrap()).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        // However it is hung up on: a reset is an end, too.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let hang_ups = futures::future::join_all(hang_ups);
    tokio::time::timeout(Duration::from_secs(60), hang_ups).await.expect("a hang-up");
}

#[tokio::test]
async fn too_many_parts_and_entries_are_refused() {
    let world = world(|_, _| text("unasked")).await;
    let mut many = message("s-1", "Hello");
    many.metadata = (0..65).map(|index| (index.to_string(), String::new())).collect();
    assert_eq!(error_of(&world.say(many).await).0, "TOO_LARGE");
    let many = ClientMessage { parts: vec![Default::default(); 257], ..message("s-1", "") };
    assert_eq!(error_of(&world.say(many).await).0, "TOO_LARGE");
}

#[tokio::test]
async fn parts_that_make_no_sense_are_named() {
    use bartizan_server::grpc::wire::{ContentPart, MediaContent};
    let world = world(|_, _| text("unasked")).await;
    let media = |data: &str, url: &str, mime_type: &str| {
        Some(MediaContent {
            data: data.into(),
            url: url.into(),
            mime_type: mime_type.into(),
            ..Default::default()
        })
    };
    let cases = [
        ("smell", None, "parts[0].type"),
        ("image", None, "parts[0].media"),
        ("image", media("AAAA", "", ""), "parts[0].media.mime_type"),
        ("image", media("AAAA", "", "audio/wav"), "parts[0].media.mime_type"),
        ("image", media("AAAA", "", "image/png\r\nx"), "parts[0].media.mime_type"),
        ("text", None, "parts"),
        ("image", media("not base64!", "", "image/png"), "parts[0].media.data"),
        ("image", media("", "", "image/png"), "parts[0].media.data"),
        ("image", media("", "file:///etc/passwd", "image/png"), "parts[0].media.url"),
        ("text", media("AAAA", "", "image/png"), "parts[0].media"),
    ];
    for (kind, media, field) in cases {
        let part = ContentPart { r#type: kind.into(), text: String::new(), media };
        let (_, said) =
            error_of(&world.say(ClientMessage { parts: vec![part], ..message("s-1", "") }).await);
        assert!(said.starts_with(&format!("{field}: ")), "{said}");
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the test speaks no HTTP, so no client will do")]
async fn noise_on_the_socket_does_no_harm() {
    let world = world(|_, _| text("unharmed")).await;
    let address = world.address.trim_start_matches("http://").to_owned();
    tokio::task::spawn_blocking(move || {
        let mut noise = Noise(42);
        for _ in 0..200 {
            let mut socket = std::net::TcpStream::connect(&address).unwrap();
            // The server may hang up in the middle, as it should.
            let _ = socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            let _ = socket.write_all(&noise.bytes(512));
        }
    })
    .await
    .unwrap();
    assert!(world.client().await.health(HealthRequest {}).await.unwrap().into_inner().healthy);
}

/// Bytes sent as they are.
struct Raw(Vec<u8>);

#[derive(Default)]
struct RawCodec;

impl tonic::codec::Codec for RawCodec {
    type Encode = Raw;
    type Decode = Raw;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for RawCodec {
    type Item = Raw;
    type Error = tonic::Status;

    fn encode(
        &mut self,
        item: Raw,
        buffer: &mut tonic::codec::EncodeBuf<'_>,
    ) -> Result<(), tonic::Status> {
        bytes::BufMut::put_slice(buffer, &item.0);
        Ok(())
    }
}

impl tonic::codec::Decoder for RawCodec {
    type Item = Raw;
    type Error = tonic::Status;

    fn decode(
        &mut self,
        buffer: &mut tonic::codec::DecodeBuf<'_>,
    ) -> Result<Option<Raw>, tonic::Status> {
        use bytes::Buf;
        let length = buffer.remaining();
        Ok(Some(Raw(buffer.copy_to_bytes(length).to_vec())))
    }
}
