//! What Core says of itself.

use core_emulator::{Licence, NewUser, Settings, Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{BOTH, Lab, PASSWORD, says};

#[tokio::test]
async fn health_is_for_anybody() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let reply = lab.send(lab.bare(Method::GET, "health")).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "alive"), "{version:?}");
        let reply = lab.send(lab.bare(Method::GET, "no-such-thing")).await;
        assert_eq!((reply.status, reply.body.as_str()), (404, "Not found"), "{version:?}");
    }
}

#[tokio::test]
async fn the_version_is_for_any_session() {
    for (version, number) in [(Version::V1_6, "1.6.6"), (Version::V2_0, "2.0.1")] {
        let lab = Lab::start(version).await;
        assert_eq!(lab.get("info").await.json()["version"], number);
        let nobody = lab.send(lab.bare(Method::GET, "info")).await;
        assert_eq!(nobody.said(), says(401, "Session is required"), "{version:?}");
        lab.control.add_user(&NewUser::new("plain", "plain@x.example").password(PASSWORD)).unwrap();
        let session = lab.log_in("plain", PASSWORD).await.session();
        let plain = lab.send(lab.as_session(&session, Method::GET, "info")).await;
        assert_eq!(plain.json()["version"], number, "no administrator");
        let plain = lab.send(lab.as_session(&session, Method::GET, "enterprise_info")).await;
        assert_eq!(plain.said(), says(403, "access denied"), "{version:?}");
    }
}

#[tokio::test]
async fn only_1_6_has_the_licence_in_its_info() {
    // name, licence, (enterprise, free, exceeded)
    let table = [
        ("free", Licence::FREE, (true, true, false)),
        ("free, exceeded", Licence::Free { users: 0 }, (false, false, true)),
        ("none", Licence::None, (false, false, true)),
        ("Business", Licence::BUSINESS, (true, false, false)),
        ("expired", Licence::Expired, (false, false, false)),
    ];
    for (name, licence, (enterprise, free, exceeded)) in table {
        for version in BOTH {
            let lab = Lab::with(Settings::new(version).licence(licence)).await;
            let session = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
            let info = lab.send(lab.as_session(&session, Method::GET, "info")).await.json();
            let expected = json!({
                "enterprise": enterprise,
                "is_enterprise_free": free,
                "any_limit_exceeded": exceeded,
                "limits_exceeded": {"user": exceeded, "device": false, "wireguard_network": false},
                "tier": info["license_info"]["tier"],
            });
            let expected = if version == Version::V1_6 { expected } else { Value::Null };
            assert_eq!(info["license_info"], expected, "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn the_key_is_for_administrators() {
    // name, licence, whether there is a key, (expired, exceeded)
    let table = [
        ("free", Licence::FREE, false, (false, false)),
        ("none", Licence::None, false, (false, false)),
        ("Business", Licence::BUSINESS, true, (false, false)),
        ("Business, exceeded", Licence::Business { users: Some(0) }, true, (false, true)),
        ("expired", Licence::Expired, true, (true, false)),
    ];
    for (name, licence, is_there, (expired, exceeded)) in table {
        for version in BOTH {
            let lab = Lab::with(Settings::new(version).licence(licence)).await;
            let session = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
            let info = lab.send(lab.as_session(&session, Method::GET, "enterprise_info")).await.json();
            let key = &info["license_info"];
            assert_eq!(key.is_object(), is_there, "{version:?}, {name}: {info}");
            if is_there {
                assert_eq!((&key["expired"], &key["limits_exceeded"]), (&expired.into(), &exceeded.into()), "{name}");
                assert_eq!(key.get("free").is_some(), version == Version::V2_0, "{name}");
            }
        }
    }
}
