//! The rest of Graph's directory: users with all their properties, groups, memberships as objects, objects by their ids.

use entra_emulator::fixtures::{group, person};
use serde_json::{Value, json};

use crate::support::{Lab, Reply};

/// Numbers or sizes of pages.
type Sizes = &'static [usize];
/// Application permissions.
type Roles = &'static [&'static str];
/// The names that an answer shows of a group and of a user; none: refused.
type Names = Option<(Value, Value)>;

async fn get(lab: &Lab, token: &str, path: &str) -> Reply {
    lab.get_with_token(&lab.graph(path), token).await
}

#[tokio::test]
async fn users_have_the_properties_that_a_mapping_may_want() {
    const SELECT: &str = "id,userPrincipalName,mail,displayName,givenName,surname,accountEnabled,userType,otherMails,mobilePhone,\
                          department,jobTitle,employeeId,onPremisesSamAccountName";
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let table = [
        (
            "everything filled in",
            person::ADA,
            json!({
                "id": lab.oid(person::ADA), "userPrincipalName": "ada@contoso.example", "mail": "ada@contoso.example",
                "displayName": "Ada Example", "givenName": "Ada", "surname": "Example", "accountEnabled": true,
                "userType": "Member", "otherMails": ["ada@home.example"], "mobilePhone": "+48 555 000 001",
                "department": "Research", "jobTitle": "Engineer", "employeeId": "1001",
                "onPremisesSamAccountName": "aexample",
            }),
        ),
        (
            "a guest with little",
            person::GUEST_PERSONAL,
            json!({
                "id": lab.oid(person::GUEST_PERSONAL),
                "userPrincipalName": "paul_outlook.example#EXT#@contoso.onmicrosoft.example",
                "mail": "paul@outlook.example", "displayName": "Paul Private", "givenName": "Paul", "surname": "Private",
                "accountEnabled": true, "userType": "Guest", "otherMails": [], "mobilePhone": null, "department": null,
                "jobTitle": null, "employeeId": null, "onPremisesSamAccountName": null,
            }),
        ),
    ];
    for (name, person, mut expected) in table {
        let reply = get(&lab, &token, &format!("/v1.0/users/{}?$select={SELECT}", lab.oid(person))).await;
        expected["@odata.context"] = lab.graph(&format!("/v1.0/$metadata#users({SELECT})/$entity")).into();
        assert_eq!(reply.json(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_group_is_read_by_its_id() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let one = |names: &str, id: &str| format!("/v1.0/groups/{id}?$select={names}");
    // name, path, status, body or code
    let table = [
        ("name", one("displayName", group::TWIN_A), 200, json!({"displayName": "admins"})),
        (
            "the other of that name",
            one("id,displayName", group::TWIN_B),
            200,
            json!({"id": group::TWIN_B, "displayName": "admins"}),
        ),
        (
            "no security group",
            one("securityEnabled,groupTypes", group::NEWSLETTER),
            200,
            json!({"securityEnabled": false, "groupTypes": ["Unified"]}),
        ),
        ("unknown", one("id", "44444444-4444-4444-8444-999999999999"), 404, json!("Request_ResourceNotFound")),
        ("another tenant's", one("id", group::FABRIKAM_STAFF), 404, json!("Request_ResourceNotFound")),
        ("a person's id", one("id", &lab.oid(person::ADA)), 404, json!("Request_ResourceNotFound")),
        ("unknown property", one("id,members", group::STAFF), 400, json!("Request_BadRequest")),
        (
            "unknown option",
            format!("/v1.0/groups/{}?$expand=members", group::STAFF),
            400,
            json!("Request_UnsupportedQuery"),
        ),
    ];
    for (name, path, status, mut expected) in table {
        let reply = get(&lab, &token, &path).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        if status == 200 {
            let select = path.split_once("$select=").unwrap().1;
            expected["@odata.context"] = lab.graph(&format!("/v1.0/$metadata#groups({select})/$entity")).into();
            assert_eq!(reply.json(), expected, "{name}");
        } else {
            assert_eq!(reply.json()["error"]["code"], expected, "{name}");
        }
    }
    let whole = get(&lab, &token, &format!("/v1.0/groups/{}", group::STAFF)).await.json();
    assert_eq!((&whole["id"], &whole["displayName"]), (&json!(group::STAFF), &json!("staff")), "without $select");
    for (roles, status) in [(["GroupMember.Read.All"], 200), (["Group.Read.All"], 200), (["User.Read.All"], 403)] {
        let token = lab.app_token_with(&roles).await;
        assert_eq!(get(&lab, &token, &one("id", group::STAFF)).await.status, status, "{roles:?}");
        let unknown = get(&lab, &token, &one("id", "nothing")).await.status;
        assert_eq!(
            unknown,
            if status == 403 { 403 } else { 404 },
            "{roles:?}: who may not read does not learn what exists"
        );
    }
}

#[tokio::test]
async fn memberships_hold_roles_unless_cast_to_groups() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let path = format!("/v1.0/users/{}/transitiveMemberOf", lab.oid(person::IN_GROUPS));
    let all = get(&lab, &token, &format!("{path}?$select=id,displayName")).await.json();
    let expected = json!({
        "@odata.context": lab.graph("/v1.0/$metadata#directoryObjects(id,displayName)"),
        "value": [
            {
                "@odata.type": "#microsoft.graph.directoryRole",
                "id": "66666666-6666-4666-8666-000000000001",
                "displayName": "Directory Readers",
            },
            {"@odata.type": "#microsoft.graph.group", "id": group::VPN_USERS, "displayName": "vpn-users"},
            {"@odata.type": "#microsoft.graph.group", "id": group::STAFF, "displayName": "staff"},
            {"@odata.type": "#microsoft.graph.group", "id": group::NEWSLETTER, "displayName": "newsletter"},
        ],
    });
    assert_eq!(all, expected);
    let cast = get(&lab, &token, &format!("{path}/microsoft.graph.group?$select=id,securityEnabled")).await.json();
    let expected = json!({
        "@odata.context": lab.graph("/v1.0/$metadata#groups(id,securityEnabled)"),
        "value": [
            {"id": group::VPN_USERS, "securityEnabled": true},
            {"id": group::STAFF, "securityEnabled": true},
            {"id": group::NEWSLETTER, "securityEnabled": false},
        ],
    });
    assert_eq!(cast, expected);
    for (name, query, code) in [
        ("unknown property", "?$select=shoeSize", "Request_BadRequest"),
        ("page too large", "?$top=1000", "Request_BadRequest"),
        ("$skip", "?$skip=1", "Request_UnsupportedQuery"),
        ("$filter", "?$filter=securityEnabled%20eq%20true", "Request_UnsupportedQuery"),
        ("$count without its header", "?$count=true", "Request_UnsupportedQuery"),
    ] {
        let reply = get(&lab, &token, &format!("{path}{query}")).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(code)), "{name}");
    }
}

/// All pages of a list that is read with GET, each request with the header of advanced queries.
async fn pages(lab: &Lab, token: &str, path: &str) -> Vec<Value> {
    let (mut url, mut pages) = (lab.graph(path), Vec::new());
    loop {
        let request = lab.client.get(&url).header("authorization", format!("Bearer {token}"));
        let reply = lab.send(request.header("consistencylevel", "eventual")).await;
        assert_eq!(reply.status, 200, "{url}: {}", reply.body);
        let page = reply.json();
        let next = page["@odata.nextLink"].as_str().map(str::to_owned);
        pages.push(page);
        match next {
            Some(next) => url = next,
            None => return pages,
        }
    }
}

#[tokio::test]
async fn memberships_come_in_pages_that_keep_their_options() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let path = format!("/v1.0/users/{}/transitiveMemberOf/microsoft.graph.group", lab.oid(person::OVERAGE));
    // name, query, page size of the service, empty pages, sizes of the pages
    let table: [(&str, &str, Option<usize>, Sizes, Sizes); 5] = [
        ("pages of 100", "?$select=id", None, &[], &[100, 100, 50]),
        ("asked for", "?$top=125&$select=id", None, &[], &[125, 125]),
        ("the most", "?$top=999&$select=id", None, &[], &[250]),
        ("the service knows better", "?$top=999&$select=id", Some(200), &[], &[200, 50]),
        ("empty pages", "?$top=999&$select=id", Some(200), &[1, 3], &[0, 200, 0, 50]),
    ];
    for (name, query, page_size, empty_pages, sizes) in table {
        lab.control.edit_graph(|graph| {
            graph.page_size = page_size;
            graph.empty_pages = empty_pages.to_vec();
        });
        let pages = pages(&lab, &token, &format!("{path}{query}")).await;
        let items: Vec<Vec<Value>> = pages.iter().map(|page| page["value"].as_array().unwrap().clone()).collect();
        assert_eq!(items.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{name}");
        let expected: Vec<Value> = (1..=250).map(|number| json!({"id": group::team(number)})).collect();
        assert_eq!(items.concat(), expected, "{name}: $select holds on every page");
    }

    lab.control.edit_graph(|graph| *graph = entra_emulator::GraphSettings::default());
    let counted = pages(&lab, &token, &format!("{path}?$count=true&$top=200")).await;
    assert_eq!(
        (&counted[0]["@odata.count"], counted[1].get("@odata.count")),
        (&json!(250), None),
        "on the first page alone"
    );
    let next = counted[0]["@odata.nextLink"].as_str().unwrap();
    assert_eq!(lab.get_with_token(next, &token).await.status, 400, "the header has to come again");
    let other = next.replace(&lab.oid(person::OVERAGE), &lab.oid(person::AT_GROUP_LIMIT)).replace("$count=true&", "");
    assert_eq!(lab.get_with_token(&other, &token).await.status, 400, "a token of another list");
}

#[tokio::test]
async fn what_a_permission_does_not_cover_has_no_properties() {
    let lab = Lab::start().await;
    let (memberships, ids) = (
        format!(
            "/v1.0/users/{}/transitiveMemberOf/microsoft.graph.group?$select=id,displayName",
            lab.oid(person::IN_CYCLE)
        ),
        json!({"ids": [lab.oid(person::ADA), group::CYCLE_A]}),
    );
    let by_ids = lab.graph("/v1.0/directoryObjects/getByIds?$select=id,displayName");
    // name, roles, name of the group, name of the user; nothing: refused
    let table: [(&str, Roles, Names); 4] = [
        ("both", &["User.Read.All", "GroupMember.Read.All"], Some((json!("cycle-a"), json!("Ada Example")))),
        ("users alone", &["User.Read.All"], Some((Value::Null, json!("Ada Example")))),
        ("groups alone", &["GroupMember.Read.All"], Some((json!("cycle-a"), Value::Null))),
        ("none", &[], None),
    ];
    for (name, roles, expected) in table {
        let token = lab.app_token_with(roles).await;
        let of_user = get(&lab, &token, &memberships).await;
        let objects = lab.post_json_with_token(&by_ids, &token, &ids).await;
        let Some((group_name, user_name)) = expected else {
            assert_eq!((of_user.status, objects.status), (403, 403), "{name}");
            continue;
        };
        let membership = json!({"id": group::CYCLE_A, "displayName": group_name});
        assert_eq!(of_user.json()["value"][0], membership, "{name}");
        let user =
            json!({"@odata.type": "#microsoft.graph.user", "id": lab.oid(person::ADA), "displayName": user_name});
        let group = json!({"@odata.type": "#microsoft.graph.group", "id": group::CYCLE_A, "displayName": group_name});
        assert_eq!(objects.json()["value"], json!([user, group]), "{name}");
    }
}

#[tokio::test]
async fn objects_are_found_by_their_ids_a_thousand_at_a_time() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let ada = lab.oid(person::ADA);
    let unknown = |count: u32| (0..count).map(|number| format!("77777777-7777-4777-8777-{number:012}"));
    let many = |count: u32| [group::STAFF.to_owned()].into_iter().chain(unknown(count - 1)).collect::<Vec<_>>();
    let everything = json!([
        ada,
        group::STAFF,
        group::FABRIKAM_STAFF,
        lab.oid(person::FABRIKAM_MEMBER),
        "77777777-7777-4777-8777-000000000000"
    ]);
    // name, body, status, ids or code
    let table = [
        ("any type", json!({"ids": everything}), 200, json!([ada, group::STAFF])),
        ("groups", json!({"ids": everything, "types": ["group"]}), 200, json!([group::STAFF])),
        ("users", json!({"ids": everything, "types": ["user", "device"]}), 200, json!([ada])),
        (
            "every type by name",
            json!({"ids": everything, "types": ["directoryObject"]}),
            200,
            json!([ada, group::STAFF]),
        ),
        ("nothing", json!({"ids": []}), 200, json!([])),
        ("a thousand", json!({"ids": many(1000)}), 200, json!([group::STAFF])),
        ("one more", json!({"ids": many(1001)}), 400, json!("Request_BadRequest")),
        ("no GUID", json!({"ids": ["admins"]}), 400, json!("Request_BadRequest")),
        ("no ids", json!({"types": ["group"]}), 400, json!("Request_BadRequest")),
    ];
    for (name, body, status, expected) in table {
        let reply = lab.post_json_with_token(&lab.graph("/v1.0/directoryObjects/getByIds"), &token, &body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        let found = reply.json();
        if status == 200 {
            let ids: Vec<&Value> = found["value"].as_array().unwrap().iter().map(|object| &object["id"]).collect();
            assert_eq!(json!(ids), expected, "{name}");
            assert_eq!(found["@odata.context"], lab.graph("/v1.0/$metadata#directoryObjects"), "{name}");
        } else {
            assert_eq!(found["error"]["code"], expected, "{name}");
        }
    }
}

#[tokio::test]
async fn an_answer_costs_what_graphs_throttling_model_says() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let memberships = format!("/v1.0/users/{}/transitiveMemberOf", lab.oid(person::IN_GROUPS));
    for (name, path, units) in [
        ("user", format!("/v1.0/users/{}", lab.oid(person::ADA)), "1"),
        ("memberships", memberships.clone(), "2"),
        ("less with $select", format!("{memberships}?$select=id"), "1"),
        ("less with a small page", format!("{memberships}?$top=19"), "1"),
        ("never nothing", format!("{memberships}?$top=19&$select=id"), "1"),
        ("a large page", format!("{memberships}?$top=20"), "2"),
    ] {
        assert_eq!(get(&lab, &token, &path).await.header("x-ms-resource-unit"), units, "{name}");
    }
}
