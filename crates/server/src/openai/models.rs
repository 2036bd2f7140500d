//! `/v1/models`: the agents, as models.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use bartizan_engine::agent::Catalogue;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    errors::{ApiError, ErrorBody},
    http::{Doors, Loaded, extract::Path},
};

/// The agents, as models.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    /// Every pack and every prompt of it.
    data: Vec<Model>,
}

/// An agent, as a model.
#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// `pack/prompt`, or `pack` alone for its entry.
    #[schema(example = "support/triage")]
    id: String,
    /// Always `model`.
    #[schema(example = "model")]
    object: &'static str,
    /// When the pack was loaded, in seconds since 1970: packs do not say when they were made.
    created: i64,
    /// The pack.
    owned_by: String,
}

impl Model {
    fn new(id: &str, loaded: Loaded) -> Self {
        let pack = id.split('/').next().unwrap_or(id);
        Self {
            id: id.to_owned(),
            object: "model",
            created: loaded.0.as_second(),
            owned_by: pack.to_owned(),
        }
    }

    /// The model of exactly this name: what the list shows is what there is.
    fn find(catalogue: &Catalogue, id: &str, loaded: Loaded) -> Result<Self, ApiError> {
        let is_entry = catalogue.entries().any(|(pack, _)| pack == id);
        if is_entry {
            return Ok(Self::new(id, loaded));
        }
        let agent = catalogue.find(id)?;
        Ok(Self::new(&agent.name, loaded))
    }
}

/// The agents, as models
#[utoipa::path(
    get, path = "/v1/models", tag = "OpenAI",
    responses(
        (status = 200, body = ModelList, description = "The agents"),
    ),
)]
pub(crate) async fn list(
    State(doors): State<Arc<Doors>>,
    Extension(loaded): Extension<Loaded>,
) -> Json<ModelList> {
    let catalogue = doors.engine.catalogue();
    let entries = catalogue.entries().map(|(pack, _)| Model::new(pack, loaded));
    let agents = catalogue.agents().map(|agent| Model::new(&agent.name, loaded));
    Json(ModelList { object: "list", data: entries.chain(agents).collect() })
}

/// One agent, by its pack's name or its own (with the slash written as %2F)
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "OpenAI",
    params(("model" = String, Path, description = "`pack`, or `pack%2Fprompt`")),
    responses(
        (status = 200, body = Model, description = "The agent"),
        (status = 400, body = ErrorBody, description = "The name is not UTF-8"),
        (status = 404, body = ErrorBody, description = "No such agent"),
    ),
)]
pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    Extension(loaded): Extension<Loaded>,
    Path(model): Path<String>,
) -> Result<Json<Model>, ApiError> {
    Model::find(doors.engine.catalogue(), &model, loaded).map(Json)
}

/// One agent, by its pack and prompt
#[utoipa::path(
    get, path = "/v1/models/{pack}/{prompt}", tag = "OpenAI", operation_id = "get_model_of_prompt",
    params(("pack" = String, Path), ("prompt" = String, Path)),
    responses(
        (status = 200, body = Model, description = "The agent"),
        (status = 400, body = ErrorBody, description = "The name is not UTF-8"),
        (status = 404, body = ErrorBody, description = "No such agent"),
    ),
)]
pub(crate) async fn get_prompt(
    State(doors): State<Arc<Doors>>,
    Extension(loaded): Extension<Loaded>,
    Path((pack, prompt)): Path<(String, String)>,
) -> Result<Json<Model>, ApiError> {
    Model::find(doors.engine.catalogue(), &format!("{pack}/{prompt}"), loaded).map(Json)
}
