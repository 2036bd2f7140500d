//! `/openapi.json`: the description of every route, made from the routes themselves.

use std::sync::{Arc, LazyLock};

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::{
    OpenApi,
    openapi::{Info, License, OpenApiBuilder, Tag},
};
use utoipa_axum::router::OpenApiRouter;

use crate::http::{Doors, documented};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = documented().into_openapi();
    document.to_pretty_json().unwrap_or_default()
});

/// The description, as JSON. `openapi.json` at the root of the repository is this text.
pub fn openapi_json() -> &'static str {
    &DOCUMENT
}

#[derive(OpenApi)]
#[openapi(components(schemas(super::shapes::Part)))]
struct Components;

/// A router whose description has a title.
pub(crate) fn opening() -> OpenApiRouter<Arc<Doors>> {
    let mut info = Info::new("Bartizan", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Agents described by PromptPacks, as resources and as OpenAI's models. Every error has \
         the one shape `Error`; its codes are in docs/errors.md."
            .to_owned(),
    );
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    let mut document = OpenApiBuilder::new().info(info).build();
    let about = [
        ("OpenAI", "Agents as models, for clients made for OpenAI."),
        ("Agents", "What there is to talk to."),
        ("Sessions", "Conversations that are kept."),
        ("Runs", "Turns, and what happens in them."),
        ("Meta", "This description."),
    ];
    document.tags = Some(
        about
            .into_iter()
            .map(|(name, description)| {
                let mut tag = Tag::new(name);
                tag.description = Some(description.to_owned());
                tag
            })
            .collect(),
    );
    document.merge(Components::openapi());
    OpenApiRouter::with_openapi(document)
}

/// This description
#[utoipa::path(
    get, path = "/openapi.json", tag = "Meta", operation_id = "get_openapi",
    responses((status = 200, body = Value, description = "OpenAPI 3.1")),
)]
pub(crate) async fn get() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json()).into_response()
}
