//! Delta queries: whatever changes and however rounds are cut and ordered, a client that keeps to the rules ends with what is there.

use entra_emulator::fixtures::{self, group, person};
use entra_emulator::seed::Member;
use entra_emulator::{Control, GraphSettings};
use serde_json::{Value, json};

use crate::delta_client::{GROUPS, Mirror, USERS, page, round};
use crate::support::Lab;

const DAY_S: i64 = 24 * 3600;

/// A change of settings.
type Setting = fn(&mut GraphSettings);

#[tokio::test]
async fn nothing_is_lost_however_rounds_are_cut_and_ordered() {
    let table: [(&str, Setting); 11] = [
        ("plain", |_| {}),
        ("small pages", |graph| graph.page_size = Some(7)),
        ("groups in parts", |graph| (graph.page_size, graph.members_at_once) = (Some(5), 1)),
        ("few members on a page", |graph| (graph.members_on_page, graph.members_at_once) = (3, 2)),
        ("empty pages", |graph| (graph.page_size, graph.empty_pages) = (Some(20), vec![1, 3, 4, 50])),
        ("old news again", |graph| (graph.page_size, graph.delta_replays) = (Some(20), true)),
        ("backwards", |graph| (graph.page_size, graph.delta_backwards) = (Some(20), true)),
        ("in any order", |graph| (graph.page_size, graph.delta_shuffle) = (Some(20), Some(7))),
        ("things twice", |graph| (graph.page_size, graph.delta_duplicates) = (Some(20), Some(2))),
        ("late", |graph| (graph.page_size, graph.delta_hidden_revisions) = (Some(20), 9)),
        ("all of it", |graph| {
            *graph = GraphSettings {
                page_size: Some(11),
                empty_pages: vec![2],
                members_at_once: 3,
                members_on_page: 20,
                delta_replays: true,
                delta_backwards: true,
                delta_duplicates: Some(3),
                delta_shuffle: Some(1),
                delta_removed_at_first: true,
                delta_omits_unset: true,
                delta_hidden_revisions: 4,
                ..GraphSettings::default()
            };
        }),
    ];
    for (name, settings) in table {
        let lab = Lab::start().await;
        let token = lab.app_token().await;
        lab.control.edit_graph(settings);
        lab.control.remove_person(person::EDOV_TEXT).unwrap();
        let mut mirror = Mirror::default();
        let (mut users, mut groups) = (USERS.to_owned(), GROUPS.to_owned());
        for day in 0_u64..5 {
            // Changes while a round is read show in this one or in the next.
            let churn = |page: usize| {
                if page < 4 {
                    lab.control.churn_exactly(10, day * 100 + page as u64).unwrap();
                }
            };
            let read = round(&lab, &token, &users, churn).await;
            mirror.apply_users(read.items());
            users = read.link;
            let read = round(&lab, &token, &groups, churn).await;
            mirror.apply_groups(read.items());
            groups = read.link;
            match day {
                0 => lab.control.remove_person(person::UNICODE).unwrap(),
                1 => lab.control.remove_group(group::STAFF).unwrap(),
                2 => lab.control.restore_person(person::UNICODE).unwrap(),
                3 => lab.control.remove_group(group::NEWSLETTER).unwrap(),
                _ => lab.control.restore_group(group::NEWSLETTER).unwrap(),
            }
        }
        lab.control.edit_graph(|graph| graph.delta_hidden_revisions = 0);
        mirror.apply_users(round(&lab, &token, &users, |_| ()).await.items());
        mirror.apply_groups(round(&lab, &token, &groups, |_| ()).await.items());
        assert_eq!(mirror, Mirror::of(&lab.control.directory()), "{name}");
    }
}

/// Name, what is done before the link is taken, and after it, what is read, which object counts, what is told of it apart from the id.
type Case = (&'static str, fn(&Lab), fn(&Lab), &'static str, fn(&Lab) -> String, Value);

const MAIL: &str = "/v1.0/users/delta?$select=mail";
const MEMBERS: &str = "/v1.0/groups/delta?$select=displayName,members";

fn ada(lab: &Lab) -> String {
    lab.oid(person::ADA)
}

fn staff(_: &Lab) -> String {
    group::STAFF.to_owned()
}

fn newsletter(_: &Lab) -> String {
    group::NEWSLETTER.to_owned()
}

fn removed(reason: &str) -> Value {
    json!([{"@removed": {"reason": reason}}])
}

fn add_ada(lab: &Lab) {
    lab.control.add_member(group::STAFF, Member::User(lab.oid_as_guid(person::ADA))).unwrap();
}

fn changes_of_users() -> Vec<Case> {
    vec![
        ("nothing", |_| (), |_| (), MAIL, ada, json!([])),
        (
            "an edit",
            |_| (),
            |lab| lab.control.edit_person(person::ADA, |ada| ada.mail = None).unwrap(),
            MAIL,
            ada,
            json!([{"mail": null}]),
        ),
        (
            "an edit of what is not selected",
            |_| (),
            |lab| lab.control.edit_person(person::ADA, |ada| ada.surname = None).unwrap(),
            MAIL,
            ada,
            json!([]),
        ),
        (
            "there and back again",
            |_| (),
            |lab| {
                lab.control.edit_person(person::ADA, |ada| ada.mail = None).unwrap();
                lab.control.edit_person(person::ADA, |ada| ada.mail = Some("ada@contoso.example".into())).unwrap();
            },
            MAIL,
            ada,
            json!([]),
        ),
        ("a deletion", |_| (), |lab| lab.control.remove_person(person::ADA).unwrap(), MAIL, ada, removed("changed")),
        (
            "a deletion for good",
            |_| (),
            |lab| lab.control.purge_person(person::ADA).unwrap(),
            MAIL,
            ada,
            removed("deleted"),
        ),
        (
            "first deleted, then for good",
            |lab| lab.control.remove_person(person::ADA).unwrap(),
            |lab| lab.control.purge_person(person::ADA).unwrap(),
            MAIL,
            ada,
            removed("deleted"),
        ),
        (
            "restored",
            |lab| lab.control.remove_person(person::ADA).unwrap(),
            |lab| lab.control.restore_person(person::ADA).unwrap(),
            MAIL,
            ada,
            json!([{"mail": "ada@contoso.example"}]),
        ),
        (
            "deleted and restored",
            |_| (),
            |lab| {
                lab.control.remove_person(person::ADA).unwrap();
                lab.control.restore_person(person::ADA).unwrap();
            },
            MAIL,
            ada,
            json!([]),
        ),
    ]
}

fn changes_of_groups() -> Vec<Case> {
    vec![
        (
            "a new member",
            |_| (),
            add_ada,
            MEMBERS,
            staff,
            json!([{"displayName": "staff", "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": "ADA"}]}]),
        ),
        (
            "a member that leaves",
            |_| (),
            move |lab| lab.control.remove_member(group::STAFF, &lab.oid_as_guid(person::IN_GROUPS)).unwrap(),
            MEMBERS,
            staff,
            json!([{"displayName": "staff", "members@delta": [
                {"@odata.type": "#microsoft.graph.user", "id": "IN_GROUPS", "@removed": {"reason": "deleted"}},
            ]}]),
        ),
        (
            "members where they are not selected",
            |_| (),
            add_ada,
            "/v1.0/groups/delta?$select=displayName",
            staff,
            json!([]),
        ),
        (
            "a deleted member leaves its groups",
            |_| (),
            |lab| lab.control.remove_person(person::IN_GROUPS).unwrap(),
            MEMBERS,
            staff,
            json!([{"displayName": "staff", "members@delta": [
                {"@odata.type": "#microsoft.graph.user", "id": "IN_GROUPS", "@removed": {"reason": "deleted"}},
            ]}]),
        ),
        (
            "a restored one is back in them",
            |lab| lab.control.remove_person(person::IN_GROUPS).unwrap(),
            |lab| lab.control.restore_person(person::IN_GROUPS).unwrap(),
            MEMBERS,
            staff,
            json!([{"displayName": "staff",
                    "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": "IN_GROUPS"}]}]),
        ),
        (
            "a security group is gone for good",
            |_| (),
            |lab| lab.control.remove_group(group::STAFF).unwrap(),
            MEMBERS,
            staff,
            removed("deleted"),
        ),
        (
            "a Microsoft 365 group is not",
            |_| (),
            |lab| lab.control.remove_group(group::NEWSLETTER).unwrap(),
            MEMBERS,
            newsletter,
            removed("changed"),
        ),
        (
            "it comes back whole",
            |lab| lab.control.remove_group(group::NEWSLETTER).unwrap(),
            |lab| lab.control.restore_group(group::NEWSLETTER).unwrap(),
            MEMBERS,
            newsletter,
            json!([{"displayName": "newsletter",
                    "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": "IN_GROUPS"}]}]),
        ),
    ]
}

#[tokio::test]
async fn a_change_is_told_as_what_it_is() {
    for (name, before, change, start, id, expected) in changes_of_users().into_iter().chain(changes_of_groups()) {
        let lab = Lab::start().await;
        let token = lab.app_token().await;
        // The ids are known only while the people are there.
        let (id, ids) = (id(&lab), [("ADA", ada(&lab)), ("IN_GROUPS", lab.oid(person::IN_GROUPS))]);
        before(&lab);
        let first = round(&lab, &token, start, |_| ()).await;
        change(&lab);
        let told = round(&lab, &token, &first.link, |_| ()).await.of(&id);
        let expected = ids
            .iter()
            .fold(expected.to_string(), |text, (name, id)| text.replace(&format!("\"{name}\""), &format!("\"{id}\"")));
        let mut items: Vec<Value> = serde_json::from_str(&expected).unwrap();
        for item in &mut items {
            item["id"] = id.as_str().into();
        }
        assert_eq!(told, items, "{name}");
    }
}

#[tokio::test]
async fn a_first_round_can_name_what_is_gone_and_a_late_one_does_not_see_the_latest() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let ada = lab.oid(person::ADA);
    lab.control.remove_person(person::ADA).unwrap();
    assert_eq!(round(&lab, &token, USERS, |_| ()).await.of(&ada), Vec::<Value>::new(), "not told");
    lab.control.edit_graph(|graph| graph.delta_removed_at_first = true);
    let told = round(&lab, &token, USERS, |_| ()).await.of(&ada);
    assert_eq!(told, [json!({"id": ada, "@removed": {"reason": "changed"}})], "told");

    lab.control.edit_graph(|graph| graph.delta_hidden_revisions = 1);
    let late = round(&lab, &token, USERS, |_| ()).await;
    assert_eq!(late.of(&ada)[0]["accountEnabled"], true, "still there");
    lab.control.edit_graph(|graph| graph.delta_hidden_revisions = 0);
    let told = round(&lab, &token, &late.link, |_| ()).await.of(&ada);
    assert_eq!(told, [json!({"id": ada, "@removed": {"reason": "changed"}})], "a round later");
}

#[tokio::test]
async fn what_was_never_set_can_be_left_out_and_what_was_cleared_never_is() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    lab.control.edit_graph(|graph| graph.delta_omits_unset = true);
    let (ada, guest) = (lab.oid(person::ADA), lab.oid(person::GUEST_PERSONAL));
    let first = round(&lab, &token, "/v1.0/users/delta?$select=mail,jobTitle", |_| ()).await;
    assert_eq!(first.of(&guest), [json!({"id": guest, "mail": "paul@outlook.example"})], "without a job title");
    lab.control.edit_person(person::ADA, |ada| ada.job_title = None).unwrap();
    lab.control.edit_person(person::GUEST_PERSONAL, |guest| guest.mail = None).unwrap();
    let next = round(&lab, &token, &first.link, |_| ()).await;
    assert_eq!(next.of(&ada), [json!({"id": ada, "mail": "ada@contoso.example", "jobTitle": null})], "cleared");
    assert_eq!(next.of(&guest), [json!({"id": guest, "mail": null})], "cleared beside one that never was");
}

#[tokio::test]
async fn big_groups_span_pages_as_the_same_object_again() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let people: Vec<Member> = lab
        .control
        .directory()
        .persons
        .iter()
        .filter(|person| person.tenant == fixtures::CONTOSO)
        .take(20)
        .map(|person| Member::User(person.oid.clone()))
        .collect();
    lab.control.edit_group(group::EMPTY, |group| group.members = people).unwrap();
    lab.control.edit_graph(|graph| (graph.members_at_once, graph.members_on_page) = (4, 8));
    let start = format!("{GROUPS}?$filter=id%20eq%20'{}'", group::EMPTY);
    let read = round(&lab, &token, &start, |_| ()).await;
    let sizes = |page: &Vec<Value>| -> Vec<usize> {
        page.iter().map(|item| item["members@delta"].as_array().unwrap().len()).collect()
    };
    assert_eq!(read.pages.iter().map(sizes).collect::<Vec<_>>(), [vec![4, 4], vec![4, 4], vec![4]]);
    assert!(read.items().iter().all(|item| item["displayName"] == "nobody-is-in"), "each time the whole object");
}

#[tokio::test]
async fn links_live_seven_days_and_fit_what_they_are_for() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    lab.control.edit_graph(|graph| graph.page_size = Some(5));
    let first = page(&lab, &token, &lab.graph(USERS)).await.json();
    let next = first["@odata.nextLink"].as_str().unwrap().to_owned();
    let link = round(&lab, &token, USERS, |_| ()).await.link;
    let refused = |code: &str| (400, code.to_owned());
    let table = [
        ("a delta link of another collection", link.replace("users", "groups"), refused("Request_BadRequest")),
        ("a next link of another collection", next.replace("users", "groups"), refused("Request_BadRequest")),
        ("made up", lab.graph("/v1.0/users/delta?$deltatoken=made-up"), refused("Request_BadRequest")),
        ("changed", format!("{link}x"), refused("Request_BadRequest")),
        ("both tokens", format!("{next}&$deltatoken=x"), refused("Request_BadRequest")),
        ("a selection on a next link", format!("{next}&$select=id"), refused("Request_UnsupportedQuery")),
        ("a page size", lab.graph("/v1.0/users/delta?$top=5"), refused("Request_UnsupportedQuery")),
        ("an unknown property", lab.graph("/v1.0/users/delta?$select=shoeSize"), refused("Request_BadRequest")),
        ("a filter", lab.graph("/v1.0/users/delta?$filter=mail%20eq%20'x'"), refused("Request_UnsupportedQuery")),
    ];
    for (name, url, expected) in table {
        let reply = page(&lab, &token, &url).await;
        let code = reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!((reply.status, code), expected, "{name}");
    }

    lab.control.advance_clock(7 * DAY_S - 60);
    let token = lab.app_token().await;
    assert_eq!(page(&lab, &token, &link).await.status, 200, "before seven days are over");
    lab.control.advance_clock(120);
    let expired = page(&lab, &token, &link).await;
    assert_eq!((expired.status, expired.json()["error"]["code"].as_str()), (410, Some("resyncRequired")));
    let location = lab.graph("/v1.0/users/delta?$select=id,mail,jobTitle,accountEnabled&$deltatoken=");
    assert_eq!(expired.header("location"), location);
    assert!(!page(&lab, &token, &location).await.json()["value"].as_array().unwrap().is_empty(), "everything again");
    let late = page(&lab, &token, &next).await;
    assert_eq!((late.status, &late.json()["error"]["code"]), (400, &json!("Directory_ExpiredPageToken")));

    let link = round(&lab, &token, USERS, |_| ()).await.link;
    lab.control.reset();
    let token = lab.app_token().await;
    assert_eq!(page(&lab, &token, &link).await.status, 410, "another log");
}

#[tokio::test]
async fn latest_filter_and_minimal_answers() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let latest = round(&lab, &token, "/v1.0/users/delta?$deltatoken=latest", |_| ()).await;
    assert_eq!(latest.items(), Vec::<Value>::new());
    lab.control.disable_person(person::ADA).unwrap();
    lab.control.edit_person(person::ADA, |ada| ada.job_title = Some("Countess".into())).unwrap();
    lab.control.edit_person(person::GUEST, |guest| guest.job_title = Some("Guest".into())).unwrap();
    let ids = |items: &[Value]| items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    let news = round(&lab, &token, &latest.link, |_| ()).await;
    assert_eq!(ids(&news.items()), [json!(lab.oid(person::ADA)), json!(lab.oid(person::GUEST))], "from now on");

    let by_id = format!("/v1.0/users/microsoft.graph.delta?$filter=id%20eq%20'{}'", lab.oid(person::GUEST));
    let only = round(&lab, &token, &by_id, |_| ()).await;
    assert_eq!(ids(&only.items()), [json!(lab.oid(person::GUEST))]);
    lab.control.churn(100, 5).unwrap();
    assert!(round(&lab, &token, &only.link, |_| ()).await.items().len() <= 1, "the filter stays");

    let request = lab.client.get(&latest.link).header("authorization", format!("Bearer {token}"));
    let minimal = lab.send(request.header("prefer", "return=minimal")).await.json();
    for item in minimal["value"].as_array().unwrap() {
        let names: Vec<&String> = item.as_object().unwrap().keys().collect();
        assert!(names.len() > 1 && !names.contains(&&"displayName".to_owned()), "{names:?}");
    }
}

#[tokio::test]
async fn hidden_members_are_for_those_who_may_see_them() {
    let lab = Lab::start().await;
    lab.control.hide_membership(group::STAFF, true).unwrap();
    let member_of = format!("/v1.0/users/{}/transitiveMemberOf?$select=id", lab.oid(person::IN_GROUPS));
    for (roles, seen) in [
        (&["GroupMember.Read.All", "User.Read.All"][..], false),
        (&["GroupMember.Read.All", "User.Read.All", "Member.Read.Hidden"][..], true),
    ] {
        let token = lab.app_token_with(roles).await;
        let told = round(&lab, &token, GROUPS, |_| ()).await.of(group::STAFF);
        assert_eq!(told[0].get("members@delta").is_some(), seen, "{roles:?}: delta");
        let members = lab.graph(&format!("/v1.0/groups/{}/members", group::STAFF));
        let status = if seen { 200 } else { 403 };
        assert_eq!(page(&lab, &token, &members).await.status, status, "{roles:?}: members");
        let of = page(&lab, &token, &lab.graph(&member_of)).await.json();
        let listed = of["value"].as_array().unwrap().iter().any(|group| group["id"] == group::STAFF);
        assert_eq!(listed, seen, "{roles:?}: memberships");
    }
}

#[tokio::test]
async fn churn_is_the_same_for_the_same_seed() {
    let (one, other) = (Lab::start().await, Lab::start().await);
    let churned = one.control.churn_exactly(50, 7).unwrap();
    assert_eq!(other.control.churn_exactly(50, 7).unwrap(), churned);
    assert_eq!(one.control.directory(), other.control.directory());
    assert!(churned.edited > 20 && churned.disabled > 0 && churned.moved > 0, "{churned:?}");
    one.control.directory().check().unwrap();
    let revision: fn(&Control) -> u64 = Control::revision;
    assert!(revision(&one.control) >= 25);
    one.control.churn_exactly(50, 8).unwrap();
    assert_ne!(one.control.directory(), other.control.directory());
}
