//! The tool file as it is written: camelCase, every key optional, unknown keys refused.
//!
//! The format is Omnia's `tools.yaml`. A key that is null or an empty string counts as absent,
//! because the operator that writes such files leaves them so.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) handlers: Option<Vec<Handler>>,
    /// From before there were handlers; read by nobody.
    pub(crate) tools: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Handler {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) tool: Option<Tool>,
    pub(crate) http_config: Option<HttpConfig>,
    pub(crate) grpc_config: Option<IgnoredAny>,
    pub(crate) mcp_config: Option<IgnoredAny>,
    #[serde(rename = "openAPIConfig")]
    pub(crate) open_api_config: Option<IgnoredAny>,
    pub(crate) client_config: Option<ClientConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) input_schema: Option<Value>,
    #[serde(rename = "outputSchema")]
    pub(crate) _output_schema: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClientConfig {
    pub(crate) consent_message: Option<String>,
    pub(crate) categories: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpConfig {
    pub(crate) endpoint: Option<String>,
    pub(crate) url_template: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) headers: Option<BTreeMap<String, String>>,
    pub(crate) content_type: Option<String>,
    pub(crate) auth_type: Option<String>,
    pub(crate) auth_token: Option<String>,
    pub(crate) auth_token_path: Option<String>,
    pub(crate) auth_header: Option<String>,
    #[serde(rename = "authCloud")]
    pub(crate) _auth_cloud: Option<String>,
    #[serde(rename = "authAudience")]
    pub(crate) _auth_audience: Option<String>,
    pub(crate) query_params: Option<Vec<String>>,
    pub(crate) header_params: Option<BTreeMap<String, String>>,
    pub(crate) static_query: Option<BTreeMap<String, String>>,
    pub(crate) static_body: Option<Value>,
    pub(crate) body_mapping: Option<String>,
    pub(crate) response_mapping: Option<String>,
    pub(crate) redact: Option<Vec<String>>,
    pub(crate) retry_policy: Option<RetryPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RetryPolicy {
    pub(crate) max_attempts: Option<u32>,
    pub(crate) initial_backoff: Option<String>,
    pub(crate) backoff_multiplier: Option<f64>,
    pub(crate) max_backoff: Option<String>,
    pub(crate) retry_on: Option<Vec<u16>>,
    pub(crate) retry_on_network_error: Option<bool>,
    pub(crate) respect_retry_after: Option<bool>,
}
