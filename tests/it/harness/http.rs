//! The API, asked over a plain connection.

use std::collections::VecDeque;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::server::Server;
use super::soon;

/// An answer of the API.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    /// What a browser is to keep.
    pub(crate) set_cookie: Option<String>,
    pub(crate) cookies: Vec<String>,
    /// Where it is led to.
    pub(crate) location: Option<String>,
}

impl Answer {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        let body = soon("the body of an answer", body.collect()).await.unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let cookies: Vec<String> = head.headers.get_all("set-cookie").iter().map(text).collect();
        Answer {
            status: head.status,
            body: String::from_utf8(body.to_bytes().to_vec()).unwrap(),
            set_cookie: cookies.first().cloned(),
            cookies,
            location: head.headers.get("location").map(text),
        }
    }
}

/// A stream of server-sent events.
pub(crate) struct EventStream {
    body: Incoming,
    received: String,
    ready: VecDeque<ServerEvent>,
    _connection: JoinSet<()>,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: String,
}

impl Server {
    /// GET with a bearer token; an empty one is left out.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, token).await
    }

    /// POST without a body, with a bearer token.
    pub(crate) async fn post(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::POST, path, token).await
    }

    async fn ask(&self, method: Method, path: &str, token: &str) -> Answer {
        let (response, _connection) = self.request(method, path, token, &[], Bytes::new()).await;
        Answer::of(response).await
    }

    /// Any request with a body of JSON.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let body = Bytes::from(body.to_string());
        let (response, _connection) = self.request(method, path, "", headers, body).await;
        Answer::of(response).await
    }

    /// Opens a stream of events. With `after`, it begins after the event of that id.
    pub(crate) async fn events(&self, path: &str, token: &str, after: Option<&str>) -> EventStream {
        let headers: Vec<_> = after.iter().map(|id| ("last-event-id", *id)).collect();
        let (response, connection) = self
            .request(Method::GET, path, token, &headers, Bytes::new())
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        EventStream {
            body: response.into_body(),
            received: String::new(),
            ready: VecDeque::new(),
            _connection: connection,
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> (Response<Incoming>, JoinSet<()>) {
        let bearer = format!("Bearer {token}");
        let mut headers = headers.to_vec();
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        request_at(self.http, method, path, &headers, body).await
    }
}

/// Any request without a body, of whoever listens there.
pub(crate) async fn ask_at(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let (response, _connection) = request_at(address, method, path, headers, Bytes::new()).await;
    Answer::of(response).await
}

/// Any request with a body.
pub(crate) async fn send_at(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let (response, _connection) = request_at(address, method, path, headers, Bytes::from(body)).await;
    Answer::of(response).await
}

async fn request_at(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> (Response<Incoming>, JoinSet<()>) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let stream = soon("a connection is accepted", TcpStream::connect(address))
        .await
        .unwrap();
    let (mut sender, connection): (SendRequest<Full<Bytes>>, _) =
        http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Its errors show in the answer.
        let _ = connection.await;
    });
    let request = request.body(Full::new(body)).unwrap();
    let response = soon("an answer comes", sender.send_request(request))
        .await
        .unwrap();
    (response, driver)
}

impl EventStream {
    /// The next event that has a name; what only keeps the connection alive is skipped. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let frame = soon("an event on the stream", self.body.frame()).await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.received.push_str(std::str::from_utf8(&data).unwrap());
            }
            while let Some((event, rest)) = self.received.split_once("\n\n") {
                let event = parse(event);
                self.received = rest.to_owned();
                self.ready.extend(event);
            }
        }
    }
}

fn parse(text: &str) -> Option<ServerEvent> {
    let mut event = ServerEvent::default();
    for line in text.lines() {
        match line
            .split_once(':')
            .map(|(field, value)| (field, value.trim_start()))
        {
            Some(("id", value)) => event.id = value.to_owned(),
            Some(("event", value)) => event.event = value.to_owned(),
            Some(("data", value)) => event.data.push_str(value),
            _ => {}
        }
    }
    (!event.event.is_empty()).then_some(event)
}
