mod digests;
mod email;
mod mail_server;
mod sink;
mod webhook;

use super::*;
use crate::fixture::{KEYS, Record};

/// What waits for longer than this waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

const SECRET: &str = "whsec_test";

fn notifier(record: &Record, smtp_url: Option<String>) -> Notifier {
    let config = Config {
        link_base: "https://homeward.example".to_owned(),
        from: smtp_url
            .as_ref()
            .map(|_| "Homeward <alerts@homeward.example>".to_owned()),
        smtp_url,
    };
    Notifier::new(record.pool().clone(), KEYS.clone(), &config).unwrap()
}
