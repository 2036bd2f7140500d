//! An independent client (reqwest) and the workspace's files.

use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::Value;

/// A client of another make than the server under test.
pub fn http() -> reqwest::Client {
    http_builder().build().unwrap()
}

/// The same, to be changed first.
pub fn http_builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Building a client needs one, even for plain HTTP.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    reqwest::Client::builder().no_proxy()
}

/// Posts and returns the status and the whole body.
pub async fn post(url: &str, body: &Value) -> (u16, String) {
    let response = http().post(url).json(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The payloads of a body of server-sent events, `[DONE]` included as a string.
pub fn events(body: &str) -> Vec<Value> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into())).collect()
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    crates.parent().unwrap().to_owned()
}
