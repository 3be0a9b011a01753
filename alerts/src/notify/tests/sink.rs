use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use homeward_store::admin::NewReceiver;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::SECRET;
use crate::fixture::{Record, team};

/// A receiver of webhooks, over a real connection.
pub(super) struct Sink {
    address: SocketAddr,
    pub(super) received: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// What it answers, in order; after that, 204.
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    /// Told of each call; one that is to be answered with 202 never is.
    pub(super) called: Arc<Notify>,
    _server: JoinSet<()>,
}

impl Sink {
    pub(super) async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let called = Arc::new(Notify::new());
        let handler = {
            let (received, answers, called) =
                (Arc::clone(&received), Arc::clone(&answers), Arc::clone(&called));
            move |headers: HeaderMap, body: Bytes| async move {
                let body = String::from_utf8(body.to_vec()).unwrap();
                received.lock().unwrap().push((headers, body));
                called.notify_one();
                let answer = answers.lock().unwrap().pop_front();
                match answer.unwrap_or(StatusCode::NO_CONTENT) {
                    StatusCode::ACCEPTED => std::future::pending().await,
                    StatusCode::FOUND => (StatusCode::FOUND, [("location", "/elsewhere")]),
                    status => (status, [("location", "/")]),
                }
            }
        };
        let router = Router::new()
            .route("/hook", post(handler.clone()))
            .route("/elsewhere", post(handler));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Sink {
            address,
            received,
            answers,
            called,
            _server: server,
        }
    }

    pub(super) fn answer(&self, statuses: &[u16]) {
        let statuses = statuses
            .iter()
            .map(|status| StatusCode::from_u16(*status).unwrap());
        self.answers.lock().unwrap().extend(statuses);
    }

    /// The bodies so far.
    pub(super) fn bodies(&self) -> Vec<Value> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// What each body said: the alert, or those of a digest.
    pub(super) fn told(&self) -> Vec<Vec<i64>> {
        let ids = |body: &Value| match &body["alerts"] {
            Value::Array(alerts) => alerts
                .iter()
                .map(|alert| alert["alert_id"].as_i64().unwrap())
                .collect(),
            _ => vec![body["alert_id"].as_i64().unwrap()],
        };
        self.bodies().iter().map(ids).collect()
    }

    pub(super) async fn receiver(&self, record: &Record, hourly_limit: i32) -> i64 {
        let address = format!("http://{}/hook?ward=3", self.address);
        let new = NewReceiver {
            secret: Some(SECRET),
            address: &address,
            hourly_limit,
            ..team()
        };
        record.add_receiver(new).await
    }
}
