//! Who is let in.

use crate::harness::*;

#[tokio::test]
async fn invariant_3_only_a_device_with_its_own_secret_is_let_in() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let (watch, other, revoked) = (
        server.enrol("watch").await,
        server.enrol("watch").await,
        server.enrol("watch").await,
    );
    server.cli(&["device", "revoke", &revoked.id.to_string()]).await;
    for version in Version::BOTH {
        let right = watch.credentials(version);
        let some = |text: &str| Some(text.to_owned());
        // Not valid as client id; bad user name or password; not authorised.
        let [client_id, login, not_authorized] = match version {
            Version::V4 => [2, 4, 5],
            Version::V5 => [0x85, 0x86, 0x87],
        };
        for (connect, code) in [
            (
                Connect {
                    client_id: other.id.to_string(),
                    ..right.clone()
                },
                client_id,
            ),
            (
                Connect {
                    client_id: String::new(),
                    ..right.clone()
                },
                client_id,
            ),
            (
                Connect {
                    client_id: format!("0{}", watch.id),
                    ..right.clone()
                },
                client_id,
            ),
            (
                Connect {
                    user_name: None,
                    password: None,
                    ..right.clone()
                },
                login,
            ),
            (
                Connect {
                    user_name: some(""),
                    ..right.clone()
                },
                login,
            ),
            (
                Connect {
                    user_name: Some(format!("0{}", watch.id)),
                    ..right.clone()
                },
                login,
            ),
            (
                Connect {
                    user_name: some("watch"),
                    client_id: "watch".to_owned(),
                    ..right.clone()
                },
                login,
            ),
            (
                Connect {
                    password: None,
                    ..right.clone()
                },
                not_authorized,
            ),
            (
                Connect {
                    password: some(""),
                    ..right.clone()
                },
                not_authorized,
            ),
            (
                Connect {
                    password: Some(other.secret.clone()),
                    ..right.clone()
                },
                not_authorized,
            ),
            (
                Connect {
                    password: Some(watch.secret.to_uppercase() + "0"),
                    ..right.clone()
                },
                not_authorized,
            ),
            (
                Device {
                    id: homeward_record::DeviceId(1),
                    ..watch.clone()
                }
                .credentials(version),
                not_authorized,
            ),
            (
                Device {
                    id: homeward_record::DeviceId(i64::MAX),
                    ..watch.clone()
                }
                .credentials(version),
                not_authorized,
            ),
            (revoked.credentials(version), not_authorized),
        ] {
            let (mut client, ack) = Client::connect(server.mqtt, &connect).await;
            assert_eq!((ack.code, ack.session_present), (code, false), "{connect:?}");
            assert_eq!(client.next().await, None, "and the connection ends: {connect:?}");
        }
        watch.connect(version).await.disconnect().await;
    }
    // MQTT 5's way to authenticate in several steps is not offered.
    let mut connect = watch.credentials(Version::V5);
    connect.properties = [vec![0x15], text("SCRAM-SHA-256")].concat();
    let (mut client, ack) = Client::connect(server.mqtt, &connect).await;
    assert_eq!(ack.code, 0x8c);
    client.ended().await;
}

#[tokio::test]
async fn nothing_that_a_stranger_sends_behind_his_connect_is_read() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let impostor = Device {
            secret: "guessed".to_owned(),
            ..watch.clone()
        };
        let publish = Publish::new(
            1,
            watch.topic("readings"),
            upload(&[heart_rate(minutes_ago(1), 72)]),
        );
        let mut client = Client::dial(server.mqtt, version).await;
        let errors = watch.topic("errors");
        let hello = impostor.credentials(version).encode();
        let all = [
            hello,
            publish.encode(version),
            subscribe(version, 2, &[], &[&errors]),
        ]
        .concat();
        client.send(&all).await;
        let Some(Incoming::ConnAck(ack)) = client.next().await else {
            panic!("a CONNACK comes first")
        };
        assert_ne!(ack.code, 0);
        assert_eq!(client.next().await, None);

        // A device that is in a hurry is served: it need not wait for the CONNACK.
        let mut client = Client::dial(server.mqtt, version).await;
        let hello = watch.credentials(version).encode();
        client.send(&[hello, publish.encode(version)].concat()).await;
        let Some(Incoming::ConnAck(ack)) = client.next().await else {
            panic!("a CONNACK comes first")
        };
        assert_eq!(ack.code, 0);
        assert_eq!(client.acknowledged(1).await, STORED, "the first to bring it");
        assert_eq!(server.count_readings(watch.id).await, 1);
    }
}

#[tokio::test]
async fn a_device_has_one_connection_and_the_latest_is_it() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut first = watch.connect(version).await;
        let mut second = watch.connect(version).await;
        assert_eq!(first.ended().await, (version == Version::V5).then_some(0x8e));
        let payload = upload(&[heart_rate(minutes_ago(1), 72)]);
        assert_eq!(second.upload(&watch.topic("readings"), payload).await, STORED);

        // Nobody without the secret can do that to it.
        for _ in 0..3 {
            let impostor = Device {
                secret: "guessed".to_owned(),
                ..watch.clone()
            };
            let (mut third, ack) = Client::connect(server.mqtt, &impostor.credentials(version)).await;
            assert_ne!(ack.code, 0);
            third.ended().await;
        }
        second.ping().await;
        let payload = upload(&[heart_rate(minutes_ago(2), 72)]);
        assert_eq!(second.upload(&watch.topic("readings"), payload).await, STORED);
        second.disconnect().await;
    }
}

#[tokio::test]
async fn invariant_3_a_revoked_device_is_disconnected_and_refused() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let witness = Witness::start(&server, Version::V4).await;
    for version in Version::BOTH {
        let patient = server.add_patient(&[]).await;
        let enrolled = server
            .cli(&[
                "device",
                "add",
                "--kind",
                "cuff",
                "--patient",
                &patient.to_string(),
            ])
            .await;
        let id = homeward_record::DeviceId(enrolled["device_id"].as_i64().unwrap());
        let cuff = server.device(id, patient, enrolled["secret"].as_str().unwrap());
        assert_eq!(enrolled["topics"]["readings"], cuff.topic("readings"));
        assert_eq!(
            (&enrolled["username"], &enrolled["client_id"]),
            (&id.to_string().into(), &id.to_string().into())
        );

        let mut client = cuff.connect(version).await;
        let payload = upload(&[heart_rate(minutes_ago(1), 72)]);
        assert_eq!(client.upload(&cuff.topic("readings"), payload).await, STORED);
        server.cli(&["device", "revoke", &id.to_string()]).await;
        assert_eq!(client.ended().await, (version == Version::V5).then_some(0x98));
        let (_, ack) = Client::connect(server.mqtt, &cuff.credentials(version)).await;
        assert_eq!(ack.code, if version == Version::V5 { 0x87 } else { 5 });
        assert_eq!(server.count_readings(id).await, 1);
    }
    witness.was_served(&server).await;
}
