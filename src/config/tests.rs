//! What may be configured, and what is said of what may not.

use super::*;

fn merge(content: &str, variables: &[(&str, &str)]) -> Result<Settings> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::merge(Some(content), variables.collect())
}

#[test]
fn nothing_set_means_the_defaults() {
    assert_eq!(Settings::merge(None, Vec::new()).unwrap(), Settings::default());
    assert_eq!(merge("", &[("HOMEWARD_LANES", "")]).unwrap(), Settings::default());
    let limits = Settings::default().limits();
    assert_eq!(limits.acknowledge_within, Limits::default().acknowledge_within);
}

#[test]
fn identity_providers_are_named_and_speak_tls() {
    let with = |name: &str, issuer: &str| {
        let section = format!(
            "[[identity_providers]]\nname = \"{name}\"\nissuer = \"{issuer}\"\nclient_id = \"homeward\""
        );
        merge(&section, &[]).map(|settings| settings.identity_providers())
    };
    let providers = with("nhs-login", "https://auth.login.nhs.uk").unwrap();
    assert_eq!(
        (providers[0].name.as_str(), providers[0].client_secret.as_deref()),
        ("nhs-login", None)
    );
    assert!(with("test", "http://127.0.0.1:9000").is_ok());
    for (name, issuer, why) in [
        ("NHS login", "https://auth.login.nhs.uk", "small letters"),
        ("", "https://auth.login.nhs.uk", "small letters"),
        ("nhs-login", "http://auth.login.nhs.uk", "https://"),
        ("nhs-login", "http://127.0.0.1.example", "https://"),
        ("nhs-login", "auth.login.nhs.uk", "https://"),
    ] {
        let error = format!("{:#}", with(name, issuer).unwrap_err());
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn tls_is_whole_or_not_at_all() {
    let with = |content: &str| {
        let settings = merge(content, &[]).unwrap();
        settings
            .mqtt_tls()
            .and_then(|mqtt| Ok((mqtt, settings.http_tls()?)))
    };
    let (mqtt, http) = with("").unwrap();
    assert!(mqtt.is_none() && http.is_none());

    let whole = "device_certificates = true\n[tls]\ncertificate = 'chain.pem'\nkey = 'key.pem'\n\
            mqtt_listen = '0.0.0.0:8883'\nhttp_listen = '0.0.0.0:443'\n";
    let (mqtt, http) = with(&format!("{whole}device_authority = 'devices.pem'")).unwrap();
    let (mqtt, http) = (mqtt.unwrap(), http.unwrap());
    assert_eq!((mqtt.0.port(), http.0.port()), (8883, 443));
    assert_eq!(mqtt.1.client_authority.as_deref(), Some(Path::new("devices.pem")));
    assert_eq!(http.1.client_authority, None, "browsers need no certificate");

    for (content, why) in [
        (whole, "device_authority is missing"),
        (
            "[tls]\nhttp_listen = '0.0.0.0:443'\nkey = 'key.pem'",
            "both certificate and key",
        ),
        (
            "[tls]\nmqtt_listen = '0.0.0.0:8883'\ncertificate = 'c'",
            "both certificate and key",
        ),
        (
            "[tls]\ndevice_authority = 'devices.pem'",
            "without device_certificates",
        ),
    ] {
        let error = format!("{:#}", with(content).unwrap_err());
        assert!(error.contains(why), "{content}: {error}");
    }
}

#[test]
fn the_example_documents_every_key_with_its_default() {
    let example = include_str!("../../homeward.example.toml");
    assert_eq!(merge(example, &[]).unwrap(), Settings::default());
    for content in [
        "unknown = 1",
        "[limits]\nunknown = 1",
        "[notifications]\nunknown = 1",
        "[tls]\nunknown = 1",
        "[backup]\nunknown = 1",
    ] {
        let error = merge(content, &[]).unwrap_err().to_string();
        let (_, known) = error.split_once(", expected ").unwrap();
        for key in known
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|key| !SECTIONS.contains(key) && *key != "identity_providers")
        {
            let documented = example.lines().any(|line| {
                line.trim_start_matches("# ")
                    .split_once(" = ")
                    .is_some_and(|(name, _)| name == key)
            });
            assert!(documented, "{key}");
        }
    }
}

#[test]
fn the_environment_stands_above_the_file() {
    let file = "http_listen = '127.0.0.1:1'\nmqtt_listen = '127.0.0.1:2'\n[limits]\nwindow = 3\nburst = 4";
    let settings = merge(
        file,
        &[
            ("HOMEWARD_HTTP_LISTEN", "[::1]:0"),
            ("HOMEWARD_LIMITS_WINDOW", "5"),
            ("HOMEWARD_LIMITS_MESSAGES_PER_SECOND", "0.5"),
            ("HOMEWARD_DATA_DIR", "7"),
            ("HOMEWARD_LOG_FORMAT", "json"),
            ("HOMEWARD_PROXY_PROTOCOL", "true"),
            ("HOMEWARD_TLS_KEY", "key.pem"),
            ("HOMEWARD_NOTIFICATIONS_SMTP_URL", "smtp://mail.example:25"),
            ("DATABASE_URL", "postgres://db/homeward"),
        ],
    )
    .unwrap();
    assert_eq!(settings.http_listen, "[::1]:0".parse().unwrap());
    assert_eq!(settings.mqtt_listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!((settings.limits.window, settings.limits.burst), (5, 4.0));
    assert_eq!(settings.limits.messages_per_second, 0.5);
    let smtp_url = settings.notifications().smtp_url;
    assert_eq!(smtp_url.as_deref(), Some("smtp://mail.example:25"));
    assert_eq!(settings.data_dir, Path::new("7"));
    assert_eq!(settings.log_format, LogFormat::Json);
    assert!(settings.proxy_protocol);
    assert_eq!(settings.tls.key.as_deref(), Some(Path::new("key.pem")));
    assert_eq!(settings.database_url.as_deref(), Some("postgres://db/homeward"));
}

#[test]
fn what_is_wrong_is_named() {
    for (content, variable, named) in [
        ("lanse = 4", ("", ""), "`lanse`"),
        ("[limits]\nwindows = 4", ("", ""), "`windows`"),
        ("[notifications]\nsmtp = ''", ("", ""), "`smtp`"),
        ("lanes = 0", ("", ""), "from 1 to 64"),
        ("[limits]\nburst = 0.0", ("", ""), "above zero"),
        ("[limits]\nwindow = 70000", ("", ""), "70000"),
        ("retention_days = 36526", ("", ""), "from 1 to 36525"),
        ("lanes = ", ("", ""), "line 1"),
        ("wrong_per_minute = 0", ("", ""), "nonzero"),
        (
            "",
            ("HOMEWARD_LANSE", "4"),
            "HOMEWARD_LANSE: unknown field `lanse`",
        ),
        (
            "",
            ("HOMEWARD_LIMITS_WINDOWS", "4"),
            "HOMEWARD_LIMITS_WINDOWS: unknown field `windows`",
        ),
        (
            "",
            ("HOMEWARD_LANES", "many"),
            "HOMEWARD_LANES: invalid type: string \"many\"",
        ),
        ("", ("HOMEWARD_LANES", "-1"), "HOMEWARD_LANES: "),
        ("", ("HOMEWARD_HTTP_LISTEN", "8080"), "HOMEWARD_HTTP_LISTEN: "),
        (
            "",
            ("HOMEWARD_LOG_FORMAT", "xml"),
            "HOMEWARD_LOG_FORMAT: unknown variant `xml`",
        ),
    ] {
        let error = merge(content, &[variable].map(|(name, value)| (name, value))).unwrap_err();
        assert!(
            error.to_string().contains(named),
            "{content} {variable:?}: {error}"
        );
    }
}

#[test]
fn other_variables_are_not_ours() {
    for name in [
        "HOMEWARD_CONFIG",
        "HOMEWARD_SAMPLES",
        "HOMEWARD_TEST_DATABASE_URL",
        "HOME",
    ] {
        assert!(!sets_a_key(name), "{name}");
    }
    for name in ["DATABASE_URL", "HOMEWARD_LANES", "HOMEWARD_UNHEARD_OF"] {
        assert!(sets_a_key(name), "{name}");
    }
}
