//! Groups of a directory and who is in them, directly and through other groups. Only data and its checks; `login::id_token` makes
//! claims of it, `graph` answers with it. Nesting may run in circles, as it can in a directory.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Guid, Seed, SeedError};

/// A group object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The object id: a value of the `groups` claim, `id` in Graph.
    pub id: Guid,
    /// The tenant that holds the group; its members are of the same tenant.
    pub tenant: Guid,
    /// The name that people see; not unique.
    pub display_name: String,
    /// Whether it is a security group. Only those are in the `groups` claim and in answers with `securityEnabledOnly`.
    #[serde(default = "security_enabled")]
    pub security_enabled: bool,
    /// The direct members.
    #[serde(default)]
    pub members: Vec<Member>,
}

fn security_enabled() -> bool {
    true
}

/// A direct member of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// A person, by object id.
    User(Guid),
    /// Another group, by object id; its members count too.
    Group(Guid),
}

impl Member {
    /// The object id.
    pub fn id(&self) -> &Guid {
        match self {
            Self::User(id) | Self::Group(id) => id,
        }
    }
}

impl Seed {
    /// The group with this id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id.as_str().eq_ignore_ascii_case(id))
    }

    /// The groups that hold this person directly or through other groups, in the seed's order, none twice.
    pub fn groups_of(&self, person: &Guid) -> Vec<&Group> {
        let mut containing: HashMap<&Member, Vec<&Group>> = HashMap::new();
        for group in &self.groups {
            for member in &group.members {
                containing.entry(member).or_default().push(group);
            }
        }
        let mut reached = HashSet::new();
        let mut to_visit = vec![Member::User(person.clone())];
        while let Some(member) = to_visit.pop() {
            for group in containing.get(&member).into_iter().flatten() {
                if reached.insert(&group.id) {
                    to_visit.push(Member::Group(group.id.clone()));
                }
            }
        }
        self.groups.iter().filter(|group| reached.contains(&group.id)).collect()
    }
}

/// Refuses groups of unknown tenants, and members that are not in the group's tenant or listed twice.
pub(super) fn check(seed: &Seed) -> Result<(), SeedError> {
    let users = seed.persons.iter().map(|person| (Member::User(person.oid.clone()), &person.tenant));
    let groups = seed.groups.iter().map(|group| (Member::Group(group.id.clone()), &group.tenant));
    let tenant_of: HashMap<Member, &Guid> = users.chain(groups).collect();
    for group in &seed.groups {
        if seed.tenant(group.tenant.as_str()).is_none() {
            let what = format!("group {}", group.id);
            return Err(SeedError::UnknownTenant { what, tenant: group.tenant.clone() });
        }
        check_members(group, |member| tenant_of.get(member).copied())?;
    }
    let known: HashSet<&Guid> = seed.groups.iter().map(|group| &group.id).collect();
    match seed.hidden_membership.iter().find(|id| !known.contains(id)) {
        None => Ok(()),
        Some(unknown) => Err(SeedError::UnknownHiddenGroup { group: unknown.clone() }),
    }
}

/// Refuses members that are not in the group's tenant, and those that are listed twice.
pub(crate) fn check_members<'a>(
    group: &Group,
    tenant_of: impl Fn(&Member) -> Option<&'a Guid>,
) -> Result<(), SeedError> {
    let mut listed = HashSet::with_capacity(group.members.len());
    for member in &group.members {
        if tenant_of(member).is_none_or(|tenant| *tenant != group.tenant) {
            return Err(SeedError::UnknownMember { group: group.id.clone(), member: member.id().clone() });
        }
        if !listed.insert(member) {
            return Err(SeedError::Duplicate { kind: "member of a group", value: member.id().to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::fixtures::{self, group, person};

    #[test]
    fn membership_is_transitive_and_ends_in_circles() {
        // name, person, groups
        let table: [(&str, &str, &[&str]); 6] = [
            ("none", person::ADA, &[]),
            ("direct", person::IN_GROUPS, &[group::VPN_USERS, group::STAFF, group::NEWSLETTER]),
            ("nested", person::IN_NESTED_GROUP, &[group::OUTER, group::MIDDLE, group::INNER]),
            ("in a circle", person::IN_CYCLE, &[group::CYCLE_A, group::CYCLE_B]),
            ("same names", person::IN_TWIN_GROUPS, &[group::TWIN_A, group::TWIN_B]),
            ("another tenant", person::FABRIKAM_MEMBER, &[group::FABRIKAM_STAFF]),
        ];
        let seed = Seed::demo();
        for (name, key, expected) in table {
            let found = seed.groups_of(&seed.person(key).unwrap().oid);
            assert_eq!(found.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), expected, "{name}");
        }
        for (key, expected) in [(person::AT_GROUP_LIMIT, 200), (person::OVERAGE, 250)] {
            assert_eq!(seed.groups_of(&seed.person(key).unwrap().oid).len(), expected, "{key}");
        }
        let twins = [group::TWIN_A, group::TWIN_B].map(|id| seed.group(id).unwrap().display_name.clone());
        assert_eq!(twins[0], twins[1]);
        assert_ne!(fixtures::CONTOSO, seed.group(group::FABRIKAM_STAFF).unwrap().tenant.as_str());
    }
}
