//! What every HTTP answer passes on its way out: the request's id, the shape of errors, headers
//! that browsers heed, and a net under panics.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use uuid::Uuid;

use crate::errors::ApiError;

/// Carries the request's id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a caller.
const LONGEST_REQUEST_ID: usize = 128;

/// The name of a request in the log and in error bodies.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    /// The caller's own, if it is one that can safely be put into a log line.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let plain = |id: &&str| {
            (1..=LONGEST_REQUEST_ID).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        };
        match given.filter(plain) {
            Some(id) => Self(id.into()),
            None => {
                let mut text = [0; uuid::fmt::Simple::LENGTH];
                Self(Arc::from(&*Uuid::now_v7().simple().encode_lower(&mut text)))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let id = parts.extensions.get::<Self>().cloned();
        id.ok_or_else(|| ApiError::internal("a route without the edge around it"))
    }
}

/// The outermost layer of a router.
pub(crate) async fn edge(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = response.unwrap_or_else(|panic| {
        let detail = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        ApiError::internal(detail).into_response()
    });
    name_error(&mut response, &method, &uri);
    write_error(&mut response, &id);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Gives an error that the router made by itself (no such path, no such method) our shape.
fn name_error(response: &mut Response, method: &Method, uri: &Uri) {
    const LONGEST_PATH: usize = 200;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || response.extensions().get::<ApiError>().is_some() || has_type(response) {
        return;
    }
    let path: String = uri.path().chars().take(LONGEST_PATH).collect();
    let error = match status {
        StatusCode::NOT_FOUND => ApiError::no_route(&path),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::method_not_allowed(method, &path),
        _ => ApiError::internal(format!("{method} {path} was answered {status} without a reason")),
    };
    *response.status_mut() = error.status();
    response.extensions_mut().insert(error);
}

/// Whether a handler wrote a body of its own.
fn has_type(response: &Response) -> bool {
    response.headers().contains_key(header::CONTENT_TYPE)
}

fn write_error(response: &mut Response, id: &RequestId) {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return };
    let run_id = response.headers().get(super::X_RUN_ID).and_then(|id| id.to_str().ok());
    error.log(&id.0, run_id);
    *response.body_mut() = Body::from(error.body(&id.0));
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn broken() -> &'static str {
        panic!("the cause, with a secret")
    }

    #[tokio::test]
    async fn a_panic_is_one_answer_without_its_cause() {
        let router = Router::new().route("/", get(broken)).layer(middleware::from_fn(edge));
        for _ in 0..2 {
            let request = Request::get("/").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.contains(r#""code":"internal""#) && !body.contains("secret"), "{body}");
        }
    }
}
