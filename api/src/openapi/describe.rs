//! What the types of handlers say.

use axum::Json;
use axum::extract::State;
use axum::http::header::{HeaderName, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, Header, RefOr, Required, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Exchange, ShownOnce};
use crate::error::ApiError;
use crate::etag::{IfMatch, Tagged};
use crate::fhir::{Resource, Search};
use crate::pages::Form;
use crate::request::{Body, Path, Query, WholeBody};
use crate::sign_in::{SignedIn, Visit, WithCookie};

/// What is told of one route.
#[derive(Default)]
pub(crate) struct Told {
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RefOr<Schema>>,
    /// The answer of a success: its status, and what is in it.
    pub(super) success: Option<(StatusCode, ResponseBuilder)>,
    /// Refusals beyond those of every route.
    pub(super) refusals: Vec<StatusCode>,
    /// Schemas to which others refer, by their names.
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Told {
    fn schema_of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        T::schema()
    }

    fn answers(&mut self, status: StatusCode, description: &str) {
        let response = ResponseBuilder::new().description(description);
        self.success = Some((status, response));
    }

    /// Changes the answer of a success.
    fn change(&mut self, change: impl FnOnce(StatusCode, ResponseBuilder) -> (StatusCode, ResponseBuilder)) {
        let (status, response) = self.success.take().unwrap_or_default();
        self.success = Some(change(status, response));
    }

    fn header(&mut self, name: &HeaderName, description: &str) {
        let header = text_header(description);
        self.change(|status, response| (status, response.header(name.as_str(), header)));
    }
}

fn text_header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new()
        .schema(Some(text))
        .description(Some(description))
        .build()
}

/// What a handler takes.
pub(crate) trait Input {
    fn tell(told: &mut Told);
}

macro_rules! says_nothing {
    ($($input:ty),*) => {$(
        impl Input for $input {
            fn tell(_: &mut Told) {}
        }
    )*};
}

says_nothing!(
    Exchange, Path, Visit, SignedIn, HeaderMap, Uri, Search, WholeBody, Form
);

impl<T> Input for State<T> {
    fn tell(_: &mut Told) {}
}

impl<T: IntoParams> Input for Query<T> {
    fn tell(told: &mut Told) {
        told.parameters
            .extend(T::into_params(|| Some(ParameterIn::Query)));
    }
}

impl<T: ToSchema> Input for Body<T> {
    fn tell(told: &mut Told) {
        told.body = Some(told.schema_of::<T>());
        // What it says may be more than makes sense, or what cannot be done.
        let refusals = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
        told.refusals.extend(refusals);
    }
}

impl Input for IfMatch {
    fn tell(told: &mut Told) {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let header = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some("The ETag of what you have read, or *"))
            .schema(Some(text));
        told.parameters.push(header.build());
        let refusals = [StatusCode::PRECONDITION_FAILED, StatusCode::PRECONDITION_REQUIRED];
        told.refusals.extend(refusals);
    }
}

/// What a handler answers.
pub(crate) trait Output {
    fn tell(told: &mut Told);
}

impl<T: Output> Output for Result<T, ApiError> {
    fn tell(told: &mut Told) {
        T::tell(told);
    }
}

impl<T: ToSchema> Output for Json<T> {
    fn tell(told: &mut Told) {
        let schema = told.schema_of::<T>();
        told.answers(StatusCode::OK, "Done");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        told.change(|status, response| (status, response.content("application/json", content)));
    }
}

impl<T: ToSchema> Output for Tagged<T> {
    fn tell(told: &mut Told) {
        Json::<T>::tell(told);
        told.header(&axum::http::header::ETAG, "The version of what is shown");
    }
}

impl<T: Output> Output for ShownOnce<T> {
    fn tell(told: &mut Told) {
        T::tell(told);
    }
}

impl<T: Output> Output for WithCookie<T> {
    fn tell(told: &mut Told) {
        T::tell(told);
        told.header(&SET_COOKIE, "The session");
    }
}

/// Pages are for people; resources of FHIR are described by the CapabilityStatement.
impl Output for Response {
    fn tell(_: &mut Told) {}
}

/// Resources are described by the CapabilityStatement.
impl Output for Resource {
    fn tell(_: &mut Told) {}
}

/// Nothing more is said than that it was done.
impl Output for StatusCode {
    fn tell(told: &mut Told) {
        told.answers(StatusCode::NO_CONTENT, "Done");
    }
}

impl<S> Output for Sse<S> {
    fn tell(told: &mut Told) {
        told.answers(StatusCode::OK, "Events, as they happen");
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let content = ContentBuilder::new().schema(Some(text)).build();
        told.change(|status, response| (status, response.content("text/event-stream", content)));
    }
}

/// Something that was made, and where it is.
pub(crate) struct Created<T> {
    /// The path, where there is one.
    pub(crate) location: Option<String>,
    pub(crate) body: T,
}

impl<T: IntoResponse> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let location = self.location.map(|location| [(LOCATION, location)]);
        match location {
            Some(location) => (StatusCode::CREATED, location, self.body).into_response(),
            None => (StatusCode::CREATED, self.body).into_response(),
        }
    }
}

impl<T: Output> Output for Created<T> {
    fn tell(told: &mut Told) {
        T::tell(told);
        told.change(|_, response| (StatusCode::CREATED, response.description("Made")));
        told.header(&LOCATION, "Where it is, if it has a path of its own");
    }
}

/// A handler that says what it takes and answers. `T` is the tuple of what it takes.
pub(crate) trait Documented<T> {
    fn tell(told: &mut Told);
}

macro_rules! documented {
    ($($input:ident),*) => {
        impl<F, Fut, O, $($input),*> Documented<($($input,)*)> for F
        where
            F: Fn($($input),*) -> Fut,
            Fut: Future<Output = O>,
            O: Output,
            $($input: Input),*
        {
            fn tell(told: &mut Told) {
                $($input::tell(told);)*
                O::tell(told);
            }
        }
    };
}

documented!();
documented!(A);
documented!(A, B);
documented!(A, B, C);
documented!(A, B, C, D);
documented!(A, B, C, D, E);
documented!(A, B, C, D, E, G);
