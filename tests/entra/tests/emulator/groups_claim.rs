//! Groups in the ID token: those of the directory, through other groups too, and the markers in their place.

use entra_emulator::fixtures::{self, group, person};
use entra_emulator::seed::{GroupsClaim, Guid, Member};
use entra_emulator::{Control, Side};
use serde_json::{Value, json};

use crate::support::{Lab, changed};

/// The ids of the first teams.
fn teams(count: u32) -> Value {
    (1..=count).map(group::team).collect::<Vec<_>>().into()
}

#[tokio::test]
async fn groups_are_those_of_the_directory_through_other_groups_too() {
    let lab = Lab::start().await;
    // name, person, the claims groups and hasgroups
    let table = [
        ("none", person::ADA, Value::Null, Value::Null),
        ("security groups alone", person::IN_GROUPS, json!([group::VPN_USERS, group::STAFF]), Value::Null),
        ("nested", person::IN_NESTED_GROUP, json!([group::OUTER, group::MIDDLE, group::INNER]), Value::Null),
        ("circle", person::IN_CYCLE, json!([group::CYCLE_A, group::CYCLE_B]), Value::Null),
        ("same name", person::IN_TWIN_GROUPS, json!([group::TWIN_A, group::TWIN_B]), Value::Null),
        ("exactly 200", person::AT_GROUP_LIMIT, teams(200), Value::Null),
        ("marker", person::HAS_GROUPS, Value::Null, json!(true)),
    ];
    for (name, person, groups, has_groups) in table {
        let claims = lab.id_token_of(person, &[]).await;
        assert_eq!((&claims["groups"], &claims["hasgroups"]), (&groups, &has_groups), "{name}");
        assert!(claims.get("_claim_names").is_none() && claims.get("_claim_sources").is_none(), "{name}");
    }
}

#[tokio::test]
async fn the_claim_follows_the_directory_and_the_persons_setting() {
    let lab = Lab::start().await;
    let ada = Guid::parse(&lab.oid(person::ADA)).unwrap();
    let join = |control: &Control, id: &str| {
        control.edit_group(id, |group| group.members.push(Member::User(ada.clone()))).unwrap();
    };
    join(&lab.control, group::EMPTY);
    assert_eq!(lab.id_token_of(person::ADA, &[]).await["groups"], json!([group::EMPTY]), "joined");
    lab.control.edit_group(group::EMPTY, |group| group.security_enabled = false).unwrap();
    assert!(lab.id_token_of(person::ADA, &[]).await.get("groups").is_none(), "no security group");
    lab.control.remove_group(group::EMPTY).unwrap();
    join(&lab.control, group::INNER);
    assert_eq!(lab.id_token_of(person::ADA, &[]).await["groups"].as_array().unwrap().len(), 3, "nested");

    let listed = vec![Guid::parse(group::TWIN_B).unwrap()];
    let table = [
        ("none", GroupsClaim::None, json!({})),
        ("ids", GroupsClaim::Ids(listed), json!({"groups": [group::TWIN_B]})),
        ("marker", GroupsClaim::HasGroups, json!({"hasgroups": true})),
        ("overage", GroupsClaim::Overage, json!({"_claim_names": {"groups": "src1"}})),
    ];
    for (name, setting, expected) in table {
        lab.control.edit_person(person::ADA, |ada| ada.groups = setting).unwrap();
        let claims = lab.id_token_of(person::ADA, &[]).await;
        for claim in ["groups", "hasgroups", "_claim_names"] {
            assert_eq!(claims[claim], expected[claim], "{name}: {claim}");
        }
    }
}

#[tokio::test]
async fn overage_points_to_an_address_that_shows_in_the_log() {
    let lab = Lab::start().await;
    let claims = lab.id_token_of(person::OVERAGE, &[]).await;
    assert_eq!(claims["_claim_names"], json!({"groups": "src1"}));
    let endpoint = claims["_claim_sources"]["src1"]["endpoint"].as_str().unwrap();
    assert!(endpoint.ends_with(&format!("/users/{}/getMemberObjects", lab.oid(person::OVERAGE))));
    assert!(claims.get("groups").is_none());
    lab.get(endpoint).await;
    assert_eq!(lab.control.count(Side::Graph, "*/getMemberObjects"), 1);

    lab.control.remove_group(&group::team(250)).unwrap();
    assert!(lab.id_token_of(person::OVERAGE, &[]).await.get("groups").is_none(), "249 are still too many");

    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.groups_claim = false).unwrap();
    let claims = lab.id_token_of(person::OVERAGE, &[]).await;
    assert!(claims.get("_claim_names").is_none(), "nothing without the groups claim configured");
}

#[tokio::test]
async fn membership_counts_when_the_code_is_redeemed_in_the_persons_own_tenant() {
    let lab = Lab::start().await;
    let multi = ("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID));
    let tokens = lab.sign_in_as(fixtures::FABRIKAM, person::FABRIKAM_MEMBER, &[multi]).await;
    let claims = crate::support::claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["groups"], json!([group::FABRIKAM_STAFF]));

    let code = lab.code(person::IN_GROUPS).await;
    lab.control.remove_group(group::STAFF).unwrap();
    let reply = lab.token(fixtures::CONTOSO, &changed(crate::support::token_request(&code), &[])).await;
    let claims = crate::support::claims(reply.json()["id_token"].as_str().unwrap());
    assert_eq!(claims["groups"], json!([group::VPN_USERS]), "left between code and token");
}
