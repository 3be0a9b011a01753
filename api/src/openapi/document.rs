//! The document: what the routes tell, and what all of them have in common.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Required, Response,
    ResponseBuilder, SecurityRequirement,
};

use super::describe::Told;
use crate::error::Problem;
use crate::routes::{api_routes, open_routes};
use crate::series::TYPES;
use crate::sign_in::Needs;

const DESCRIPTION: &str = "The record of patients who are watched over at home. Times are RFC 3339 in UTC, values in the \
    units that answers name, by UCUM codes. Errors are problem documents (RFC 9457). Every read and change is written \
    down, for the patient to see; without a reason on file a patient is answered for as one who does not exist. A POST \
    with an Idempotency-Key is done once, however often it is sent. The same record is FHIR R4 resources under \
    /fhir/R4, whose CapabilityStatement is at /fhir/R4/metadata.";

/// Of every route for a role.
const REFUSALS: [StatusCode; 6] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Of those that change something: it may not be possible as things stand.
const REFUSED_CHANGES: [StatusCode; 2] = [StatusCode::CONFLICT, StatusCode::PAYLOAD_TOO_LARGE];

pub(super) fn document() -> OpenApi {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    let mut paths = PathsBuilder::new();
    for route in api_routes()
        .iter()
        .filter(|route| route.path.starts_with("/api/"))
    {
        let mut told = Told::default();
        (route.tell)(&mut told);
        told.refusals.extend(REFUSALS);
        if !route.method.is_safe() {
            told.refusals.extend(REFUSED_CHANGES);
        }
        if route.method == Method::POST {
            told.parameters.push(idempotency_key());
            // The key is that of another request.
            told.refusals.push(StatusCode::UNPROCESSABLE_ENTITY);
        }
        schemas.extend(std::mem::take(&mut told.schemas));
        let operation =
            operation(&route.method, route.path, route.says, told).securities(Some(credentials()));
        paths = paths.path(route.path, PathItem::new(of(&route.method), operation));
    }
    for route in open_routes() {
        let Some(tell) = route.tell else { continue };
        let mut told = Told::default();
        tell(&mut told);
        told.refusals.extend(REFUSALS);
        if !route.method.is_safe() {
            told.refusals.extend(REFUSED_CHANGES);
        }
        schemas.extend(std::mem::take(&mut told.schemas));
        let mut operation = operation(&route.method, route.path, route.says, told);
        if route.needs == Needs::Session {
            operation = operation.security(SecurityRequirement::new("session", NO_SCOPES));
        }
        paths = paths.path(route.path, PathItem::new(of(&route.method), operation));
    }
    schemas.insert("Problem".to_owned(), <Problem as utoipa::PartialSchema>::schema());
    let mut nested = Vec::new();
    Problem::schemas(&mut nested);
    schemas.extend(nested);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .response("Problem", problem("What went wrong"))
        .security_scheme("token", bearer())
        .security_scheme("session", session());
    let info = InfoBuilder::new()
        .title("Homeward")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION));
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn operation(method: &Method, path: &str, says: &str, told: Told) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{method} {path}")))
        .tag(tag(path))
        .summary(Some(says));
    for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        operation = operation.parameter(in_path(name));
    }
    for parameter in told.parameters {
        operation = operation.parameter(parameter);
    }
    if let Some(schema) = told.body {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", content);
        operation = operation.request_body(Some(body.build()));
    }
    if let Some((status, response)) = told.success {
        operation = operation.response(status.as_str(), response.build());
    }
    for status in told.refusals {
        let why = status.canonical_reason().unwrap_or("Refused");
        operation = operation.response(status.as_str(), problem(why));
    }
    operation
}

/// The part of the path by which routes belong together.
fn tag(path: &str) -> &str {
    let mut parts = path.trim_start_matches("/api/v1/").split('/');
    let first = parts.next().unwrap_or(path);
    match (first, parts.nth(1)) {
        ("patients", Some(part)) => part,
        _ => first,
    }
}

fn of(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// A parameter of a path, by its name: numbers of the record, but for a few.
fn in_path(name: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let schema: Schema = match name {
        "type" => text.enum_values(Some(TYPES.map(|(name, _)| name))).build().into(),
        "code" | "provider" | "share" | "secret" => text.build().into(),
        _ => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .build()
            .into(),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

fn idempotency_key() -> Parameter {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Drawn anew for each request: with it, what is sent twice is done once",
        ))
        .schema(Some(text.build()))
        .build()
}

/// What is answered to whoever is refused.
fn problem(why: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(why)
        .content("application/problem+json", content)
        .build()
}

const NO_SCOPES: [&str; 0] = [];

/// Either will do.
fn credentials() -> [SecurityRequirement; 2] {
    [
        SecurityRequirement::new("token", NO_SCOPES),
        SecurityRequirement::new("session", NO_SCOPES),
    ]
}

fn bearer() -> SecurityScheme {
    let description = "A token of a program: `homeward token add`";
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(description));
    SecurityScheme::Http(bearer.build())
}

fn session() -> SecurityScheme {
    let description = "Somebody who has signed in; what changes something also needs X-CSRF-Token, as /api/v1/session says it";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
        crate::access::SESSION_COOKIE,
        description,
    )))
}
