//! The API's description (OpenAPI 3.1): made of the handlers, which name their parameters, bodies and answers, and of what
//! holds for all of them.

use std::sync::LazyLock;

use axum::Json;
use utoipa::{
    Modify, OpenApi, PartialSchema,
    openapi::{
        Content, Ref, RefOr, Response, ResponseBuilder,
        header::Header,
        path::{Operation, ParameterIn, PathItem},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    api::{
        error::ErrorCode,
        problem::{MEDIA_TYPE, REQUEST_ID},
        types::Problem,
    },
    server,
};

/// What a ticket may be named by in a path.
pub const TICKET: &str =
    "The ledger's UUID, the workflow's id in Temporal, or the ticket's id where it is unique.";

/// What errors are called in the description, as answers and as their content.
const PROBLEM: &str = "Problem";

/// What the handlers cannot say of themselves.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Sallyport",
        description = "Takes tickets to merged pull requests: reads how they stand, decides at their gates, commands them.\n\n\
            Every answer that is no success is a problem document (RFC 9457); its `instance` is the request's id, which \
            stands in the log and in the header `X-Request-Id`.",
        license(name = "UNLICENSED"),
    ),
    components(schemas(Problem)),
    tags(
        (name = "workflows", description = "Tickets, each attempt one workflow"),
        (name = "approvals", description = "Gates: what is asked, and the answers"),
        (name = "agent", description = "What the coding agent does"),
        (name = "webhooks", description = "What ticket systems send"),
        (name = "health", description = "How the starter itself stands"),
    ),
    modifiers(&Shared),
)]
pub struct Description;

/// What the operations share: who is known by what, and how errors look.
struct Shared;

impl Modify for Shared {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of a person with a role, made by `sallyport token create`. Each operation names the lowest role: \
                 viewer, approver, admin.",
            ))
            .build();
        components
            .responses
            .insert(PROBLEM.to_owned(), RefOr::T(problem()));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let signature = ApiKeyValue::with_description(
            "X-FluxLens-Signature",
            "`sha256=` and the HMAC-SHA-256 of the raw body under the source's secret, in hexadecimal.",
        );
        components.add_security_scheme(
            "flux_lens_signature",
            SecurityScheme::ApiKey(ApiKey::Header(signature)),
        );
    }
}

/// The whole description, with the errors of every operation.
pub fn description() -> utoipa::openapi::OpenApi {
    let mut openapi = server::routes().into_openapi();
    for item in openapi.paths.paths.values_mut() {
        for (operation, is_get) in operations(item) {
            add_errors(operation, is_get);
        }
    }
    openapi
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    operation_id = "get_openapi",
    responses((status = OK, description = "An OpenAPI document.", body = Object)),
)]
pub async fn document() -> Json<&'static utoipa::openapi::OpenApi> {
    static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(description);
    Json(&*DOCUMENT)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let get = item.get.as_mut().map(|operation| (operation, true));
    let post = item.post.as_mut().map(|operation| (operation, false));
    get.into_iter().chain(post)
}

/// Adds the errors that follow from what an operation takes.
fn add_errors(operation: &mut Operation, is_get: bool) {
    use ErrorCode::*;
    let takes = |kind: ParameterIn| {
        operation.parameters.iter().flatten().any(
            |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == kind),
        )
    };
    let mut codes = vec![Internal, DatabaseUnavailable];
    if takes(ParameterIn::Path) {
        codes.extend([BadRequest, NotFound, Ambiguous]);
    }
    if takes(ParameterIn::Query) || takes(ParameterIn::Header) {
        codes.push(BadRequest);
    }
    if operation.request_body.is_some() {
        codes.extend([BadRequest, TooSlow, TooLarge, Invalid]);
    }
    if operation.security.is_some() {
        codes.push(Unauthorized);
    }
    if !is_get {
        codes.extend([Forbidden, Refused, TooMany]);
    }
    for code in codes {
        let status = code.status().as_str().to_owned();
        let said = operation.responses.responses.entry(status);
        said.or_insert_with(|| Ref::from_response_name(PROBLEM).into());
    }
}

fn problem() -> Response {
    ResponseBuilder::new()
        .description("A problem document: `detail` says what was tried, on what, and what to do.")
        .content(
            MEDIA_TYPE,
            Content::new(Some(Ref::from_schema_name(PROBLEM))),
        )
        .header(REQUEST_ID.as_str(), Header::new(String::schema()))
        .build()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_description_is_fresh() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap();
        let made = description().to_pretty_json().unwrap();
        assert!(
            committed.trim_end() == made,
            "run `cargo xtask generate` and commit docs/openapi.json"
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_which_errors_it_has() {
        let mut openapi = description();
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in &mut openapi.paths.paths {
            for (operation, _) in operations(item) {
                let name = operation.operation_id.clone().unwrap();
                assert!(names.insert(name), "{path}: {:?}", operation.operation_id);
                assert!(operation.responses.responses.contains_key("500"), "{path}");
            }
        }
    }
}
