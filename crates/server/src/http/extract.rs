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
        if request.headers().get(header::CONTENT_ENCODING).is_some_and(|how| how != "identity") {
            return Err(ApiError::unsupported_encoding());
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
            if cause.is_data() {
                misfit("", &path, &cause.to_string())
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

/// The error of a value that is not what `place` expects; `path` is where in it, as
/// `serde_path_to_error` has it, and `cause` is serde's own account.
pub(crate) fn misfit(place: &str, path: &str, cause: &str) -> ApiError {
    let mut param = match (place, path) {
        (_, ".") => place.to_owned(),
        ("", _) => path.to_owned(),
        _ => format!("{place}.{path}"),
    };
    let cause = without_types(cause);
    // serde blames the object for a field that it lacks.
    let missing = cause.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    if let Some((field, _)) = missing {
        let separator = if param.is_empty() { "" } else { "." };
        param = format!("{param}{separator}{field}");
        return ApiError::invalid(format!("{param}: it is missing")).param(param);
    }
    if param.is_empty() {
        return ApiError::invalid(format!("the body is not the JSON expected: {cause}"));
    }
    ApiError::invalid(format!("{param}: {cause}")).param(param)
}

/// Serde's account with the names of our types left out of what was expected.
fn without_types(cause: &str) -> String {
    let Some((found, expected)) = cause.split_once(", expected ") else { return cause.to_owned() };
    let is_type = ["struct ", "internally tagged enum ", "enum "]
        .iter()
        .any(|kind| expected.starts_with(kind));
    if !is_type {
        return cause.to_owned();
    }
    let place = expected.find(" at line ").and_then(|start| expected.get(start..));
    format!("{found}, expected an object{}", place.unwrap_or_default())
}

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                // axum's own words, before the field and the cause.
                let text =
                    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                match text.split_once(": ") {
                    Some((field, cause)) => misfit("", field, cause),
                    None => ApiError::invalid(format!("the query makes no sense: {text}")),
                }
            })
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
