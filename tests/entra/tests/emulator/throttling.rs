//! Graph's limits: units by app and tenant in windows of ten seconds of the emulator's clock, and what answers tell of them.

use entra_emulator::Throttling;
use entra_emulator::fixtures::{self, person};

use crate::support::Lab;

#[tokio::test]
async fn a_window_is_used_up_and_the_next_one_lets_through() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    lab.control.edit_graph(|graph| graph.throttling = Throttling::Units(10));
    let (dear, cheap) = (lab.graph("/v1.0/users"), lab.graph("/v1.0/users?$select=id"));
    // name, url, status, units, share of the limit
    let table = [
        ("two", &dear, 200, "2", ""),
        ("four", &dear, 200, "2", ""),
        ("six", &dear, 200, "2", ""),
        ("eight: just not told", &dear, 200, "2", ""),
        ("nine", &cheap, 200, "1", "0.90"),
        ("ten", &cheap, 200, "1", "1.00"),
        ("too much", &dear, 429, "2", "1.20"),
        ("counts all the same", &cheap, 429, "1", "1.30"),
    ];
    for (name, url, status, units, share) in table {
        let reply = lab.get_with_token(url, &token).await;
        assert_eq!((reply.status, reply.header("x-ms-resource-unit")), (status, units), "{name}");
        assert_eq!(reply.header("x-ms-throttle-limit-percentage"), share, "{name}");
        if status == 429 {
            let wait: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=10).contains(&wait), "{name}: {wait}");
            let scope = format!("Tenant_Application/ReadWrite/{}/{}", fixtures::CLIENT_ID, fixtures::CONTOSO);
            assert_eq!(reply.header("x-ms-throttle-scope"), scope, "{name}");
            assert_eq!(reply.header("x-ms-throttle-information"), "ResourceUnitLimitExceeded", "{name}");
            assert_eq!(reply.json()["error"]["code"], "TooManyRequests", "{name}");
        }
    }
    let refused = lab.get(&dear).await;
    assert_eq!((refused.status, refused.header("x-ms-resource-unit")), (401, ""), "nobody's requests are not counted");
    lab.control.advance_clock(10);
    let reply = lab.get_with_token(&dear, &token).await;
    assert_eq!((reply.status, reply.header("x-ms-throttle-limit-percentage")), (200, ""), "after the wait");
    let units: Vec<_> = lab.control.requests().iter().filter_map(|request| request.resource_units).collect();
    assert_eq!(units, [2, 2, 2, 2, 1, 1, 2, 1, 2], "in the log");
}

#[tokio::test]
async fn limits_are_off_or_those_of_the_tenants_size() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let url = lab.graph(&format!("/v1.0/users/{}", lab.oid(person::ADA)));
    for throttling in [Throttling::Off, Throttling::BySize] {
        lab.control.edit_graph(|graph| graph.throttling = throttling);
        for _ in 0..30 {
            let reply = lab.get_with_token(&url, &token).await;
            assert_eq!((reply.status, reply.header("x-ms-throttle-limit-percentage")), (200, ""), "{throttling:?}");
        }
    }
    lab.control.edit_graph(|graph| graph.throttling = Throttling::Units(1));
    assert_eq!(lab.get_with_token(&url, &token).await.status, 429, "what was used counts when the limit changes");
}
