use axum::{Router, body::Body, http::header, routing::get};
use bartizan_net::{BodyError, read_limited, read_prefix};
use reqwest::Method;
use url::Url;

use crate::{client, names, serve};

/// 4 KiB of zeros as gzip: 38 bytes, written out because nothing here compresses.
const ZEROS: [u8; 38] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00,
    0x00, 0xc2, 0xa0, 0xf7, 0x4f, 0x6d, 0x0f, 0x07, 0x14, 0x00, 0x00, 0x00, 0xf0, 0x6e, 0x11, 0x00,
    0x1c, 0xc7, 0x00, 0x10, 0x00, 0x00,
];

async fn response(path: &str) -> reqwest::Response {
    let routes = Router::new()
        .route("/sized", get(|| async { "x".repeat(100) }))
        .route(
            "/streamed",
            get(|| async {
                let pieces = (0..10).map(|_| Ok::<_, std::convert::Infallible>("x".repeat(10)));
                Body::from_stream(futures::stream::iter(pieces))
            }),
        )
        .route(
            "/zipped",
            get(|| async { ([(header::CONTENT_ENCODING, "gzip")], ZEROS.as_slice()) }),
        );
    let port = serve(routes).await;
    let url = Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap();
    let client = client(&["127.0.0.1"], names(&[]), 0);
    client.request(Method::GET, url).unwrap().send().await.unwrap()
}

#[tokio::test]
async fn a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
    for path in ["/sized", "/streamed"] {
        assert_eq!(read_limited(response(path).await, 100).await.unwrap().len(), 100, "{path}");
        let error = read_limited(response(path).await, 99).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { most: 99 }), "{path}: {error}");
    }
}

#[tokio::test]
async fn bytes_are_counted_after_decompression() {
    let error = read_limited(response("/zipped").await, 1000).await.unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_prefix_is_cut_without_an_error() {
    assert_eq!(read_prefix(response("/streamed").await, 33).await.unwrap().len(), 33);
    assert_eq!(read_prefix(response("/sized").await, 1000).await.unwrap().len(), 100);
}
