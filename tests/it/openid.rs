//! Signing in through an identity provider: a certified one of other people, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use hyper::Method;
use serde_json::json;

use crate::harness::*;

/// Where browsers find Homeward, as the configuration says. Here they are led to the server's own address.
const BASE: &str = "https://homeward.example";

const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools-npm");

/// A running provider. Killed when dropped.
struct Provider {
    address: SocketAddr,
    process: Child,
}

impl Provider {
    async fn start() -> Provider {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/openid/provider.mjs");
        let redirect = format!("{BASE}/api/v1/identity-providers/test/callback");
        let mut process = Command::new("node")
            .args([script, TOOLS, &redirect, &format!("{BASE}/sign-in")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js is there: scripts/test-tools.sh installs it");
        let told = process.stdout.take().unwrap();
        let port = tokio::task::spawn_blocking(|| BufReader::new(told).lines().next());
        let port = soon("the provider says its port", port).await.unwrap();
        let port = port.expect("run scripts/test-tools.sh").unwrap().parse().unwrap();
        Provider {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            process,
        }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that knows the provider, which has to prove two factors.
async fn server(database: &TestDatabase, provider: &Provider) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("homeward.toml");
    let issuer = provider.issuer();
    std::fs::write(
        &file,
        format!(
            r#"
            [notifications]
            link_base = "{BASE}"
            [[identity_providers]]
            name = "test"
            issuer = "{issuer}"
            client_id = "homeward"
            client_secret = "a-secret-of-homeward-and-the-provider"
            acr_values = ["two-factors"]
            "#
        ),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let server = Server::start_with(database, &[("HOMEWARD_CONFIG", file)]).await;
    (server, folder)
}

/// Somebody's browser: it keeps cookies and goes where it is led.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
    /// Whom the provider signs in, and by what proof.
    person: &'static str,
    proof: &'static str,
}

impl Browser {
    /// Goes where it is led until that is somewhere else than to be led on, or beyond `stop_before`. Answers where it
    /// stands, and the answer there.
    async fn go(
        &mut self,
        server: &Server,
        provider: &Provider,
        url: &str,
        stop_before: Option<&str>,
    ) -> (String, Answer) {
        let mut url = url.to_owned();
        for _ in 0..10 {
            let (address, path) = match url.strip_prefix(BASE) {
                Some(path) => (server.http, path),
                None => (provider.address, url.strip_prefix(&provider.issuer()).unwrap()),
            };
            let cookies = self.header();
            let headers = [
                ("cookie", cookies.as_str()),
                ("x-person", self.person),
                ("x-proof", self.proof),
            ];
            let answer = ask_at(address, Method::GET, path, &headers).await;
            self.keep(&answer);
            let Some(to) = &answer.location else {
                return (url, answer);
            };
            let to = match to.strip_prefix('/') {
                Some(path) if address == server.http => format!("{BASE}/{path}"),
                Some(path) => format!("{}/{path}", provider.issuer()),
                None => to.clone(),
            };
            if to == format!("{BASE}/") || stop_before.is_some_and(|stop| to.starts_with(stop)) {
                return (to, answer);
            }
            url = to;
        }
        panic!("led on and on, last to {url}");
    }

    /// What it sends along.
    fn header(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// Keeps the cookies of an answer.
    fn keep(&mut self, answer: &Answer) {
        for cookie in &answer.cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Sends a form to the provider.
    async fn submit(&mut self, provider: &Provider, path: &str, form: String) -> Answer {
        let cookies = self.header();
        let headers = [
            ("cookie", cookies.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let answer = send_at(provider.address, Method::POST, path, &headers, form).await;
        self.keep(&answer);
        answer
    }

    async fn session(&self, server: &Server) -> Answer {
        let session = self.cookies.iter().find(|(name, _)| name == "__Host-homeward");
        let cookie = session.map_or(String::new(), |(name, value)| format!("{name}={value}"));
        ask_at(
            server.http,
            Method::GET,
            "/api/v1/session",
            &[("cookie", &cookie)],
        )
        .await
    }
}

async fn account(server: &Server, provider: &Provider, subject: &str) -> String {
    let name = format!("{subject}.ng");
    let added = server
        .cli(&[
            "account",
            "add",
            "--sign-in-name",
            &name,
            "--name",
            "Mei Ng",
            "--no-password",
        ])
        .await;
    assert_eq!(added["password"], json!(null));
    let account = added["account_id"].to_string();
    server
        .cli(&[
            "role",
            "grant",
            "--account",
            &account,
            "--role",
            "privacy_officer",
        ])
        .await;
    let issuer = provider.issuer();
    server
        .cli(&[
            "account",
            "link",
            &account,
            "--issuer",
            &issuer,
            "--subject",
            subject,
        ])
        .await;
    account
}

#[tokio::test]
async fn somebody_signs_in_through_a_provider_and_acts_in_their_role() {
    let database = TestDatabase::create().await;
    let provider = Provider::start().await;
    let (server, _folder) = server(&database, &provider).await;
    let account = account(&server, &provider, "mei").await;

    let listed = server.get("/api/v1/identity-providers", "").await.json();
    let begin = listed["identity_providers"][0]["sign_in"].as_str().unwrap();
    let begin = format!("{BASE}{begin}");
    let mut browser = Browser {
        person: "mei",
        proof: "two-factors",
        ..Browser::default()
    };
    let (place, _) = browser.go(&server, &provider, &begin, None).await;
    assert_eq!(place, format!("{BASE}/"));
    let session = browser.session(&server).await;
    assert_eq!(session.status, 200, "{session:?}");
    assert_eq!(session.json()["name"], "Mei Ng");
    let told = session.json();
    assert_eq!(told["roles"][0]["role"], "privacy_officer", "{told}");
    assert_eq!(told["role"], told["roles"][0]["id"], "the only one is picked");
    assert!(
        !browser
            .cookies
            .iter()
            .any(|(name, _)| name == "__Host-homeward_authorisation"),
        "what was begun is over"
    );

    // From one moment to the next the account is not to be used any more.
    server.cli(&["account", "disable", &account]).await;
    assert_eq!(browser.session(&server).await.status, 401);
    let (_, answer) = browser.go(&server, &provider, &begin, None).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.body.contains("the account is disabled"), "{answer:?}");
}

#[tokio::test]
async fn whoever_signs_out_signs_out_at_the_provider_too() {
    let database = TestDatabase::create().await;
    let provider = Provider::start().await;
    let (server, _folder) = server(&database, &provider).await;
    account(&server, &provider, "mei").await;
    let begin = format!("{BASE}/api/v1/identity-providers/test/sign-in");
    let mut browser = Browser {
        person: "mei",
        proof: "two-factors",
        ..Browser::default()
    };
    browser.go(&server, &provider, &begin, None).await;
    // The provider knows the browser: it need not say once more who it is.
    browser.person = "";
    browser.go(&server, &provider, &begin, None).await;
    let session = browser.session(&server).await.json();
    // A picked role has a session of its own, which is the provider's all the same.
    let role = json!({"role": session["role"]});
    let csrf_token = session["csrf_token"].as_str().unwrap();
    let cookie = browser.header();
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf_token)];
    let picked = server
        .send(Method::POST, "/api/v1/session/role", &headers, &role)
        .await;
    browser.keep(&picked);
    let csrf_token = picked.json()["csrf_token"].as_str().unwrap().to_owned();

    let cookie = browser.header();
    let headers = [
        ("cookie", cookie.as_str()),
        ("x-csrf-token", csrf_token.as_str()),
        ("accept", "text/html"),
    ];
    let page = ask_at(server.http, Method::POST, "/sign-out", &headers).await;
    assert_eq!(page.status, 200, "{page:?}");
    browser.keep(&page);
    assert_eq!(browser.session(&server).await.status, 401);
    let (_, url) = page.body.split_once("content=\"0; url=").unwrap();
    let url = url.split('"').next().unwrap().replace("&#38;", "&");
    assert!(
        url.starts_with(&provider.issuer()) && url.contains("id_token_hint=ey"),
        "{url}"
    );

    // There one is asked whether one wants to, by a form.
    let (place, asked) = browser.go(&server, &provider, &url, None).await;
    assert_eq!(asked.status, 200, "{place}: {asked:?}");
    let field = |name: &str| {
        let (_, rest) = asked
            .body
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let form = format!("xsrf={}&logout=yes", field("xsrf"));
    let answer = browser.submit(&provider, "/session/end/confirm", form).await;
    assert_eq!(
        answer.location.as_deref(),
        Some("https://homeward.example/sign-in"),
        "{answer:?}"
    );

    // And now nobody is let in who does not say who they are.
    let (_, answer) = browser.go(&server, &provider, &begin, None).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM sign_in_session WHERE id_token IS NOT NULL")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(
        kept, 0,
        "what the provider said is kept no longer than the session"
    );
}

#[tokio::test]
async fn whoever_is_not_linked_or_proves_too_little_is_not_let_in() {
    let database = TestDatabase::create().await;
    let provider = Provider::start().await;
    let (server, _folder) = server(&database, &provider).await;
    account(&server, &provider, "mei").await;
    let begin = format!("{BASE}/api/v1/identity-providers/test/sign-in");
    for (person, proof, why) in [
        ("somebody-else", "two-factors", "no account here is linked"),
        ("mei", "one-factor", "did not ask for enough proof"),
        ("", "two-factors", "let nobody in (access_denied)"),
    ] {
        let mut browser = Browser {
            person,
            proof,
            ..Browser::default()
        };
        let (place, answer) = browser.go(&server, &provider, &begin, None).await;
        assert!(place.contains("/callback"), "{place}");
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.body.contains(why), "{answer:?}");
        assert_eq!(browser.session(&server).await.status, 401);
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_in_the_browser_that_began() {
    let database = TestDatabase::create().await;
    let provider = Provider::start().await;
    let (server, _folder) = server(&database, &provider).await;
    account(&server, &provider, "mei").await;
    let begin = format!("{BASE}/api/v1/identity-providers/test/sign-in");
    let callback = format!("{BASE}/api/v1/identity-providers/test/callback");
    let mut browser = Browser {
        person: "mei",
        proof: "two-factors",
        ..Browser::default()
    };
    let (brought, _) = browser.go(&server, &provider, &begin, Some(&callback)).await;
    assert!(brought.starts_with(&callback), "{brought}");

    // Somebody who saw the address of the callback, without having begun, and having begun something else.
    let mut thief = Browser::default();
    let (_, answer) = thief.go(&server, &provider, &brought, None).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let (own, _) = thief
        .go(&server, &provider, &begin, Some(&provider.issuer()))
        .await;
    assert!(own.contains("code_challenge_method=S256"), "{own}");
    let (_, answer) = thief.go(&server, &provider, &brought, None).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    // With the state of what the thief began, the code still belongs to another verifier.
    let state = own
        .split(['?', '&'])
        .find(|pair| pair.starts_with("state="))
        .unwrap();
    let code = brought
        .split(['?', '&'])
        .find(|pair| pair.starts_with("code="))
        .unwrap();
    let (_, answer) = thief
        .go(&server, &provider, &format!("{callback}?{code}&{state}"), None)
        .await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(thief.session(&server).await.status, 401);

    // The provider takes no code that was tried with the wrong verifier: who began begins again.
    let (place, _) = browser.go(&server, &provider, &begin, None).await;
    assert_eq!(place, format!("{BASE}/"));
    let last = browser.session(&server).await;
    assert_eq!(last.status, 200, "{last:?}");
}
