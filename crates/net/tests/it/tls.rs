use std::{io::Write, path::Path, sync::Arc};

use bartizan_net::{Client, ClientError, ClientOptions};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{get, names, policy};

/// A server whose certificate is for `tls.example` and signed by nobody else; its port, and its
/// certificate as PEM.
async fn self_signed() -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["tls.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let configuration =
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(configuration));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate leaves in the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nreached";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, made.cert.pem())
}

fn trusting(roots: Option<&Path>) -> Result<Client, ClientError> {
    let options =
        ClientOptions { extra_roots: roots.map(Path::to_owned), ..ClientOptions::default() };
    let known = names(&[("tls.example", &["127.0.0.1"]), ("other.example", &["127.0.0.1"])]);
    Client::with_lookup(policy(&["*.example"]), &options, known)
}

#[tokio::test]
async fn a_certificate_is_verified_against_the_roots_and_the_name() {
    let (port, pem) = self_signed().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let url = format!("https://tls.example:{port}/");

    let error = get(&trusting(None).unwrap(), &url).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let client = trusting(Some(file.path())).unwrap();
    assert_eq!(get(&client, &url).await.unwrap(), "200 reached");
    let error = get(&client, &format!("https://other.example:{port}/")).await.unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
}

#[test]
fn roots_that_are_none_are_an_error_that_names_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = trusting(Some(file.path())).unwrap_err().to_string();
    assert!(error.contains("holds no PEM certificate"), "{error}");
    let error = trusting(Some(Path::new("missing.pem"))).unwrap_err().to_string();
    assert!(error.starts_with("missing.pem: "), "{error}");
}
