//! What is counted about requests, and `GET /metrics`, where Prometheus reads it with the rest.

use std::collections::HashMap;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tracing::Instrument;

use crate::routes::App;

const REQUESTS: &str = "homeward_api_requests_total";
const DURATION: &str = "homeward_api_request_duration_seconds";

/// Names the metrics, and sets the counters of successes to zero, so that their first increase shows.
pub(crate) fn describe<'a>(routes: impl Iterator<Item = (&'a Method, &'static str)>) {
    describe_counter!(REQUESTS, Unit::Count, "HTTP requests answered");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "time from a request's head to that of its response"
    );
    for (method, route) in routes {
        counter!(REQUESTS, "route" => route, "method" => method.to_string(), "status" => "200").absolute(0);
    }
}

/// Counts and times every request, by its route and never by what is in its path, and has what is logged on
/// its way say which route it was.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let method = method_label(request.method());
    let begun = Instant::now();
    let span = tracing::info_span!("request", method, route);
    let response = next.run(request).instrument(span).await;
    let status = response.status().as_u16().to_string();
    histogram!(DURATION, "route" => route.clone()).record(begun.elapsed());
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
    response
}

/// Callers can invent methods, and each label costs memory.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// What the process counts and measures, by name; the values of all labels together.
pub(crate) struct Readout(HashMap<String, f64>);

impl Readout {
    /// As of now.
    pub(crate) fn of(app: &App) -> Readout {
        Readout::parse(&(app.render_metrics)())
    }

    fn parse(text: &str) -> Readout {
        let mut values: HashMap<String, f64> = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = name.split('{').next().unwrap_or_default();
            if let Ok(value) = value.parse::<f64>() {
                *values.entry(name.to_owned()).or_default() += value;
            }
        }
        Readout(values)
    }

    /// The value of a metric; none where nothing was counted yet.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

pub(crate) async fn get(State(app): State<App>) -> Response {
    let text = (app.render_metrics)();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::Readout;
    use crate::testing::TestApp;

    #[test]
    fn labels_are_summed_up() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1 2\"} 3\na{x=\"2\"} 4\nb 0.5\nnothing\n";
        let readout = Readout::parse(text);
        assert_eq!(readout.value("a"), Some(7.0));
        assert_eq!(readout.value("b"), Some(0.5));
        assert_eq!(readout.value("nothing"), None);
    }

    #[tokio::test]
    async fn requests_are_counted_by_route_and_never_by_patient() {
        let app = TestApp::start().await;
        app.add_patient().await;
        app.get("/api/v1/patients/1001/trends/glucose").await.json();
        app.get("/api/v1/patients/1234567/trends/glucose").await;
        app.get("/somewhere/else").await;
        app.send(Request::builder().method("BREW").uri("/healthz")).await;

        let answer = app.send(Request::get("/metrics")).await;
        assert_eq!(
            answer.headers["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        // The other tests count too, so the numbers are not told.
        for expected in [
            r#"homeward_api_requests_total{route="/api/v1/patients/{patient}/trends/{type}",method="GET",status="200"}"#,
            r#"homeward_api_requests_total{route="/api/v1/patients/{patient}/trends/{type}",method="GET",status="404"}"#,
            r#"homeward_api_requests_total{route="unmatched",method="GET",status="404"}"#,
            r#"homeward_api_requests_total{route="/healthz",method="other",status="405"}"#,
            r#"homeward_api_requests_total{route="/api/v1/alerts/{alert}/acknowledge",method="POST",status="200"}"#,
            "homeward_api_request_duration_seconds",
        ] {
            assert!(answer.body.contains(expected), "{expected} in\n{}", answer.body);
        }
        assert!(!answer.body.contains("1234567"));
    }
}
