//! A client of delta queries: it reads rounds and keeps a mirror by the rules of the documentation, and by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use entra_emulator::fixtures;
use entra_emulator::seed::{Member, Outcome, Seed};
use serde_json::Value;

use crate::support::{Lab, Reply};

/// What is mirrored of users: enough to see edits and disabled accounts.
pub(crate) const USERS: &str = "/v1.0/users/delta?$select=id,mail,jobTitle,accountEnabled";
/// Groups with their members.
pub(crate) const GROUPS: &str = "/v1.0/groups/delta";

/// A round that was read to its end.
pub(crate) struct Round {
    pub(crate) pages: Vec<Vec<Value>>,
    pub(crate) link: String,
}

impl Round {
    pub(crate) fn items(&self) -> Vec<Value> {
        self.pages.concat()
    }

    /// The items of one object.
    pub(crate) fn of(&self, id: &str) -> Vec<Value> {
        self.items().into_iter().filter(|item| item["id"] == id).collect()
    }
}

/// One page of a round, as the answer to a URL.
pub(crate) async fn page(lab: &Lab, token: &str, url: &str) -> Reply {
    lab.get_with_token(url, token).await
}

/// Reads a round; `between` runs after each page but the last.
pub(crate) async fn round(lab: &Lab, token: &str, start: &str, mut between: impl FnMut(usize)) -> Round {
    let mut url = if start.starts_with('/') { lab.graph(start) } else { start.to_owned() };
    let mut pages = Vec::new();
    loop {
        let reply = page(lab, token, &url).await;
        assert_eq!(reply.status, 200, "{url}: {}", reply.body);
        let body = reply.json();
        pages.push(body["value"].as_array().unwrap().clone());
        match (body["@odata.nextLink"].as_str(), body["@odata.deltaLink"].as_str()) {
            (Some(next), None) => {
                between(pages.len());
                next.clone_into(&mut url);
            }
            (None, Some(link)) => return Round { pages, link: link.to_owned() },
            links => panic!("exactly one link, not {links:?}"),
        }
    }
}

/// What a directory looks like: properties of users by id, members of groups by id.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Mirror {
    users: BTreeMap<String, [Value; 3]>,
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl Mirror {
    /// What the directory holds of Contoso.
    pub(crate) fn of(seed: &Seed) -> Self {
        let people = seed.persons.iter().filter(|person| person.tenant == fixtures::CONTOSO);
        let groups = seed.groups.iter().filter(|group| group.tenant == fixtures::CONTOSO);
        let ids = |members: &[Member]| members.iter().map(|member| member.id().to_string()).collect();
        Self {
            users: people
                .map(|person| {
                    let enabled = person.outcome != Outcome::Disabled;
                    let properties = [person.mail.clone().into(), person.job_title.clone().into(), enabled.into()];
                    (person.oid.to_string(), properties)
                })
                .collect(),
            groups: groups.map(|group| (group.id.to_string(), ids(&group.members))).collect(),
        }
    }

    /// Applies the items of a round of users.
    pub(crate) fn apply_users(&mut self, items: Vec<Value>) {
        for item in items {
            let id = item["id"].as_str().unwrap().to_owned();
            if item.get("@removed").is_some() {
                self.users.remove(&id);
            } else {
                let properties = ["mail", "jobTitle", "accountEnabled"].map(|name| item[name].clone());
                self.users.insert(id, properties);
            }
        }
    }

    /// Applies the items of a round of groups.
    pub(crate) fn apply_groups(&mut self, items: Vec<Value>) {
        for item in items {
            let id = item["id"].as_str().unwrap().to_owned();
            if item.get("@removed").is_some() {
                self.groups.remove(&id);
                continue;
            }
            let members = self.groups.entry(id).or_default();
            for member in item["members@delta"].as_array().into_iter().flatten() {
                let id = member["id"].as_str().unwrap().to_owned();
                if member.get("@removed").is_some() {
                    members.remove(&id);
                } else {
                    members.insert(id);
                }
            }
        }
    }
}
