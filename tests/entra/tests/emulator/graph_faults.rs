//! Faults of delta tokens, page tokens and bearer tokens; and that every fault can be ordered over HTTP.

use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction as A, GoneForm, Side};
use serde_json::{Value, json};

use crate::support::Lab;

const DELTA: &str = "/v1.0/users/delta";

#[tokio::test]
async fn tokens_are_given_up_in_every_form() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let (own, foreign) = (lab.graph("/v1.0/users/delta?$deltatoken="), {
        let port = lab.entra.graph_url().rsplit(':').next().unwrap();
        format!("http://localhost:{port}/v1.0/users/delta?$deltatoken=")
    });
    let gone = |form| A::Gone { form };
    // name, action, status, code, Location
    let table = [
        ("gone", gone(GoneForm::WithLocation), 410, "resyncRequired", own.as_str()),
        ("gone, nowhere", gone(GoneForm::WithoutLocation), 410, "resyncRequired", ""),
        ("gone elsewhere", gone(GoneForm::ForeignLocation), 410, "resyncRequired", foreign.as_str()),
        ("state not found", gone(GoneForm::SyncStateNotFound), 400, "syncStateNotFound", ""),
        ("page expired", A::ExpiredPageToken, 400, "Directory_ExpiredPageToken", ""),
        ("page not found", A::PageTokenNotFound, 400, "DirectoryPageTokenNotFoundException", ""),
        ("bandwidth", A::Status { status: 509, retry_after: None, html: false }, 509, "UnknownError", ""),
    ];
    assert_eq!(table.iter().filter(|case| matches!(case.1, A::Gone { .. })).count(), GoneForm::ALL.len());
    for (name, action, status, code, location) in table {
        lab.control.add_fault(Fault::new(action).on(Side::Graph).path(DELTA).times(1));
        let reply = lab.get_with_token(&lab.graph(DELTA), &token).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(code)), "{name}");
        assert_eq!(reply.header("location"), location, "{name}");
        assert_eq!(lab.get_with_token(&lab.graph(DELTA), &token).await.status, 200, "{name}: once");
    }
}

#[tokio::test]
async fn a_token_is_no_longer_good_and_a_new_one_is() {
    for (name, action, status) in [("without consent", A::StaleRoles, 403), ("refused", A::TokenRefused, 401)] {
        let lab = Lab::start().await;
        let (old, other) = (lab.app_token().await, lab.app_token().await);
        let users = lab.graph("/v1.0/users");
        lab.control.add_fault(Fault::new(action).on(Side::Graph).times(1));
        for attempt in ["at first", "and from then on"] {
            assert_eq!(lab.get_with_token(&users, &old).await.status, status, "{name}: {attempt}");
        }
        assert_eq!(lab.get_with_token(&users, &other).await.status, 200, "{name}: another token");
    }
}

#[tokio::test]
async fn a_wait_until_a_date_and_a_loss_that_only_the_content_shows() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let url = lab.graph(&format!("/v1.0/users/{}", lab.oid(person::ADA)));
    lab.control.add_fault(Fault::new(A::RetryAt { status: 429, seconds: 3 }).times(1));
    let reply = lab.get_with_token(&url, &token).await;
    let date = reply.header("retry-after");
    assert_eq!(
        (reply.status, date.len(), date.ends_with(" GMT"), date.get(3..5)),
        (429, 29, true, Some(", ")),
        "{date}"
    );

    lab.control.add_fault(Fault::new(A::TruncateQuietly { at: 40 }).times(1));
    let reply = lab.get_with_token(&url, &token).await;
    assert_eq!((reply.status, reply.body.len(), reply.header("content-length")), (200, 40, "40"));
    assert!(serde_json::from_str::<Value>(&reply.body).is_err());
}

#[tokio::test]
async fn every_fault_of_graph_can_be_ordered_over_http() {
    let lab = Lab::start().await;
    let kinds = [
        json!({"kind": "status", "status": 509}),
        json!({"kind": "retry_at", "status": 429, "seconds": 5}),
        json!({"kind": "delay", "delay_ms": 1}),
        json!({"kind": "hang"}),
        json!({"kind": "reset"}),
        json!({"kind": "truncate", "at": 1}),
        json!({"kind": "truncate_quietly", "at": 1}),
        json!({"kind": "bad_json"}),
        json!({"kind": "wrong_content_type", "content_type": "text/plain"}),
        json!({"kind": "gone"}),
        json!({"kind": "gone", "form": "without_location"}),
        json!({"kind": "gone", "form": "foreign_location"}),
        json!({"kind": "gone", "form": "sync_state_not_found"}),
        json!({"kind": "expired_page_token"}),
        json!({"kind": "page_token_not_found"}),
        json!({"kind": "foreign_nextlink"}),
        json!({"kind": "nextlink_loop"}),
        json!({"kind": "stale_roles"}),
        json!({"kind": "token_refused"}),
        json!({"kind": "token_401_once"}),
    ];
    for action in kinds {
        let order = json!({"match": {"host": "graph", "path": "/v1.0/nowhere"}, "action": action});
        let reply = lab.post_json(&lab.graph("/__admin/faults"), &order).await;
        assert_eq!(reply.status, 201, "{action}: {}", reply.body);
    }
}
