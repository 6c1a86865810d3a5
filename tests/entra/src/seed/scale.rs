//! Seeds of any size, the same in every run: what large tenants have, from circles of groups to people without a mailbox.
//! The people, groups and apps of the demo stay; everything that is added belongs to Contoso.

use super::fixtures::{CONTOSO, CONTOSO_DOMAIN, CONTOSO_INITIAL_DOMAIN};
use super::{Group, Guid, Member, Outcome, Person, Seed, UserType};

/// The most members that the largest group has.
const LARGEST_GROUP: usize = 60_000;
/// Groups that hold the next one of them: the second to the fifth.
const CHAIN: std::ops::Range<usize> = 2..5;
/// The groups that hold one another.
const CIRCLE: [usize; 2] = [6, 7];

/// The demo's seed with exactly this many users, groups and direct memberships more. Every 50th user is disabled, every 40th a guest,
/// every 25th without mail; every tenth group is a Microsoft 365 group. The first group has up to 60 000 members, the second to the
/// fifth stand inside one another, the sixth and the seventh hold each other. Memberships that find no place (more than users times
/// groups) are left out.
pub fn scale(users: usize, groups: usize, memberships: usize) -> Seed {
    let mut seed = Seed::demo();
    let Ok(tenant) = Guid::parse(CONTOSO) else { return seed };
    seed.persons.extend((1..=users).map(|number| person(number, &tenant)));
    let ids: Vec<Guid> = (1..=users).map(scale_user).collect();
    seed.groups.extend(all_groups(&ids, groups, memberships, &tenant));
    seed
}

/// The object id of the n-th user of [`scale`], counted from 1.
pub fn scale_user(number: usize) -> Guid {
    numbered(0x88, number)
}

/// The object id of the n-th group of [`scale`], counted from 1.
pub fn scale_group(number: usize) -> Guid {
    numbered(0x99, number)
}

fn numbered(first: u8, number: usize) -> Guid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().rev().zip(number.to_le_bytes()) {
        *to = from;
    }
    if let Some(to) = bytes.first_mut() {
        *to = first;
    }
    Guid::from_bytes(bytes)
}

fn person(number: usize, tenant: &Guid) -> Person {
    const GIVEN: [&str; 8] = ["Ada", "Blaise", "Chidi", "Dorota", "Emmy", "Fumiko", "Grace", "Hedy"];
    const FAMILY: [&str; 7] = ["Kowalska", "Lovelace", "Müller", "Noether", "O'Brien", "Pascal", "Quist"];
    const DEPARTMENTS: [&str; 5] = ["Research", "Sales", "Support", "Finance", "Operations"];
    let of = |names: &[&str]| names.get(number % names.len()).map(ToString::to_string);
    let (given_name, surname) = (of(&GIVEN), of(&FAMILY));
    let is_guest = number.is_multiple_of(40);
    let address = format!("user{number:06}@{CONTOSO_DOMAIN}");
    let home = format!("user{number:06}@partner.example");
    Person {
        key: format!("scale-{number:06}"),
        note: String::new(),
        tenant: tenant.clone(),
        oid: scale_user(number),
        user_principal_name: if is_guest {
            format!("{}#EXT#@{CONTOSO_INITIAL_DOMAIN}", home.replace('@', "_"))
        } else {
            address.clone()
        },
        preferred_username: is_guest.then(|| home.clone()),
        display_name: given_name.as_ref().zip(surname.as_ref()).map(|(given, family)| format!("{given} {family}")),
        given_name,
        surname,
        mail: (!number.is_multiple_of(25)).then(|| if is_guest { home.clone() } else { address }),
        mobile_phone: number.is_multiple_of(3).then(|| format!("+48 555 {number:06}")),
        other_mails: if is_guest { vec![home] } else { Vec::new() },
        department: of(&DEPARTMENTS),
        job_title: None,
        employee_id: Some(number.to_string()),
        on_premises_sam_account_name: None,
        mail_only_in_userinfo: false,
        user_type: if is_guest { UserType::Guest } else { UserType::Member },
        identity_provider: None,
        domain_owner_verified: super::DomainOwnerVerified::default(),
        groups: super::GroupsClaim::default(),
        directory_roles: Vec::new(),
        outcome: if number.is_multiple_of(50) { Outcome::Disabled } else { Outcome::SignsIn },
        session_age_s: 0,
        authentication_contexts: Vec::new(),
        unmet_context: super::UnmetContext::default(),
        extra_claims: serde_json::Map::new(),
        omitted_claims: Vec::new(),
    }
}

fn all_groups(users: &[Guid], groups: usize, memberships: usize, tenant: &Guid) -> Vec<Group> {
    let mut left = memberships;
    let mut all: Vec<Group> = (1..=groups)
        .map(|number| {
            let members = nested(number, groups).into_iter().take(left).collect::<Vec<_>>();
            left -= members.len();
            Group {
                id: scale_group(number),
                tenant: tenant.clone(),
                display_name: format!("scale-group-{number:05}"),
                security_enabled: !number.is_multiple_of(10),
                members,
            }
        })
        .collect();
    // The large one takes half of what there is at most, so that small seeds have other groups too.
    if let Some(largest) = all.first_mut() {
        let share = LARGEST_GROUP.min(users.len()).min(if groups > 1 { left / 2 } else { left });
        largest.members.extend(users.iter().take(share).cloned().map(Member::User));
        left -= share;
    }
    fill(&mut all, users, left);
    all
}

/// The groups that a group holds.
fn nested(number: usize, groups: usize) -> Option<Member> {
    let [one, other] = CIRCLE;
    let inner = if CHAIN.contains(&number) {
        Some(number + 1)
    } else if number == one {
        Some(other)
    } else if number == other {
        Some(one)
    } else {
        None
    };
    inner.filter(|inner| *inner <= groups).map(|inner| Member::Group(scale_group(inner)))
}

/// Deals the users out to all groups but the first, each group a run of neighbours that begins elsewhere; then what is left to the first.
fn fill(groups: &mut [Group], users: &[Guid], mut left: usize) {
    let Some((first, others)) = groups.split_first_mut() else { return };
    let count = others.len();
    for (number, group) in others.iter_mut().enumerate() {
        let share = left.div_ceil(count - number).min(users.len());
        // A prime stride spreads the runs, so that a person's groups are not neighbours.
        let (before, after) = users.split_at(number.wrapping_mul(7919) % users.len().max(1));
        group.members.extend(after.iter().chain(before).take(share).cloned().map(Member::User));
        left -= share;
    }
    let taken = first.members.iter().filter(|member| matches!(member, Member::User(_))).count();
    first.members.extend(users.iter().skip(taken).take(left).cloned().map(Member::User));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_exactly_what_was_asked_for_and_hangs_together() {
        let demo = Seed::demo();
        let count = |seed: &Seed| seed.groups.iter().map(|group| group.members.len()).sum::<usize>();
        // name, users, groups, memberships asked for, memberships that fit
        let table = [
            ("nothing", 0, 0, 0, 0),
            ("users alone", 10, 0, 5, 0),
            ("one group", 10, 1, 10, 10),
            ("few", 100, 10, 300, 300),
            ("more than fit", 10, 2, 100, 20),
            ("circles alone", 0, 10, 5, 5),
            ("many", 2_000, 100, 20_000, 20_000),
        ];
        for (name, users, groups, memberships, fit) in table {
            let seed = scale(users, groups, memberships);
            seed.check().unwrap_or_else(|problem| panic!("{name}: {problem}"));
            assert_eq!(seed.persons.len() - demo.persons.len(), users, "{name}");
            assert_eq!(seed.groups.len() - demo.groups.len(), groups, "{name}");
            assert_eq!(count(&seed) - count(&demo), fit, "{name}");
            assert_eq!(seed, scale(users, groups, memberships), "{name}: again the same");
        }
    }

    #[test]
    fn every_shape_of_a_large_tenant_is_in_it() {
        let seed = scale(200, 20, 2_000);
        let people: Vec<&Person> = seed.persons.iter().filter(|person| person.key.starts_with("scale-")).collect();
        for (name, found) in [
            ("disabled", people.iter().any(|person| person.outcome == Outcome::Disabled)),
            ("guests", people.iter().any(|person| person.user_type == UserType::Guest)),
            ("without mail", people.iter().any(|person| person.mail.is_none())),
            ("with mail", people.iter().any(|person| person.mail.is_some())),
            ("Microsoft 365 groups", seed.groups.iter().any(|group| !group.security_enabled)),
        ] {
            assert!(found, "{name}");
        }
        let groups = |number: usize| seed.group(scale_group(number).as_str()).unwrap();
        let holds = |outer: usize, inner: usize| groups(outer).members.contains(&Member::Group(scale_group(inner)));
        assert!(holds(2, 3) && holds(3, 4) && holds(4, 5), "a chain");
        assert!(holds(6, 7) && holds(7, 6), "a circle");
        assert_eq!(seed.person("scale-000007").unwrap().oid, scale_user(7));
    }
}
