use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::message::Text;

/// How long one step of the talk with the mail server may take. The whole has a limit of its own.
const STEP_WITHIN: Duration = Duration::from_secs(8);

/// Why e-mail cannot be sent as it was configured.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The mail server's URL makes no sense.
    #[error("the URL of the mail server cannot be used")]
    Url(#[source] smtp::Error),
    /// The sender makes no sense.
    #[error("the sender is not an address of e-mail")]
    From(#[source] lettre::address::AddressError),
    /// One is there and the other is not.
    #[error("a mail server and a sender belong together")]
    Half,
}

/// Why a text is not an address of e-mail.
#[derive(Debug, thiserror::Error)]
#[error("it is not an address of e-mail")]
pub struct AddressError(#[from] lettre::address::AddressError);

/// Makes sure that a text is an address of e-mail.
pub fn check_address(text: &str) -> Result<(), AddressError> {
    text.parse::<Mailbox>()?;
    Ok(())
}

/// Why an e-mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendMailError {
    #[error("its receiver's address cannot be used")]
    To(#[from] lettre::address::AddressError),
    #[error("it cannot be written")]
    Message(#[from] lettre::error::Error),
    /// Without what the server says: that may name the receiver.
    #[error("the mail server answered {0}")]
    Refused(smtp::response::Code),
    #[error("the mail server cannot be used")]
    Server(#[source] smtp::Error),
}

/// Hands e-mails to a mail server.
#[derive(Debug)]
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// A mailer, where a mail server is configured.
    pub(super) fn new(url: Option<&str>, from: Option<&str>) -> Result<Option<Mailer>, MailError> {
        let (url, from) = match (url, from) {
            (None, None) => return Ok(None),
            (Some(url), Some(from)) => (url, from),
            _ => return Err(MailError::Half),
        };
        let from: Mailbox = from.parse().map_err(MailError::From)?;
        // The name by which it greets: servers refuse what is none.
        let name = ClientId::Domain(from.email.domain().to_owned());
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(MailError::Url)?
            .hello_name(name)
            .timeout(Some(STEP_WITHIN))
            .build();
        Ok(Some(Mailer { transport, from }))
    }

    /// Sends a text. Its number makes the e-mail's identifier, the same with each attempt.
    pub(super) async fn send(
        &self,
        to: &str,
        number: i64,
        text: &Text,
        now: DateTime<Utc>,
    ) -> Result<(), SendMailError> {
        let domain = self.from.email.domain();
        let mut email = Message::builder()
            .from(self.from.clone())
            .to(to.parse()?)
            .subject(&text.subject)
            .date(SystemTime::from(now))
            .message_id(Some(format!("<homeward-{number}@{domain}>")))
            .header(ContentType::TEXT_PLAIN)
            .body(text.body.clone())?;
        // So that nobody's absence note answers (RFC 3834).
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        email
            .headers_mut()
            .insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        match self.transport.send(email).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.status() {
                Some(code) => SendMailError::Refused(code),
                None => SendMailError::Server(error),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_and_a_sender_belong_together() {
        let new = |url, from| Mailer::new(url, from).map(|mailer| mailer.is_some());
        let (url, from) = (
            Some("smtp://mail.example:25"),
            Some("Homeward <alerts@homeward.example>"),
        );
        assert!(!new(None, None).unwrap());
        assert!(new(url, from).unwrap());
        assert!(
            new(
                Some("smtps://me:secret@mail.example"),
                Some("alerts@homeward.example")
            )
            .unwrap()
        );
        for (url, from) in [
            (url, None),
            (None, from),
            (url, Some("nobody")),
            (Some("http://mail.example"), from),
            (Some("mail.example"), from),
        ] {
            assert!(new(url, from).is_err(), "{url:?} {from:?}");
        }
    }
}
