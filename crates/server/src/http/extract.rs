//! What handlers take from a request: JSON bodies, queries and paths, with our errors.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::{Doors, limits::check_depth};
use crate::errors::ApiError;

/// A JSON body, read within the limits.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Doors>> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, doors: &Arc<Doors>) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type());
        }
        let bytes = read_body(request, doors).await?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            ApiError::invalid(format!("the body is not UTF-8 at byte {}", error.valid_up_to()))
        })?;
        check_depth(text, doors.limits.json_depth)?;
        parse(text).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read_body(request: Request, doors: &Doors) -> Result<Bytes, ApiError> {
    let most = doors.limits.body_bytes;
    let mut body = request.into_body();
    let read = async {
        // The declared length is not looked at: a client that is still sending would see its
        // connection reset instead of the answer, so what is too large is read on, up to a
        // point, and thrown away.
        match Limited::new(&mut body, most).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                let _ = Limited::new(&mut body, most.saturating_mul(3)).collect_nothing().await;
                Err(ApiError::too_large(format!("the body is larger than {most} bytes")))
            }
            Err(_) => Err(ApiError::invalid("the body broke off")),
        }
    };
    tokio::time::timeout(doors.limits.body_time, read)
        .await
        .unwrap_or_else(|_| Err(ApiError::request_timed_out()))
}

/// Reads a body to its end without keeping it.
trait CollectNothing {
    async fn collect_nothing(self);
}

impl<B: http_body_util::BodyExt + Unpin> CollectNothing for B {
    async fn collect_nothing(mut self) {
        while let Some(Ok(_)) = self.frame().await {}
    }
}

/// Parses JSON. An error names the field.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    // The second, slower parse that knows where it is happens only for the error's sake.
    serde_json::from_str(text).or_else(|_| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let cause = error.into_inner();
            if cause.is_data() && path != "." {
                ApiError::invalid(format!("{path}: {cause}")).param(path)
            } else {
                ApiError::invalid(format!("the body is not the JSON expected: {cause}"))
            }
        })?;
        deserializer.end().map_err(|cause| {
            ApiError::invalid(format!("the body is not the JSON expected: {cause}"))
        })?;
        Ok(value)
    })
}

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))
    }
}

/// The variable pieces of a request's path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))
    }
}
