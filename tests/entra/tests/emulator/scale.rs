//! A large tenant: read to its end by delta, then only what changed.

use std::time::Instant;

use entra_emulator::{Emulator, seed};

use crate::delta_client::{GROUPS, Mirror, USERS, round};
use crate::support::{Lab, client};

#[tokio::test]
async fn a_large_tenant_is_read_in_pages_of_bounded_size_and_followed() {
    const USERS_ADDED: usize = 3_000;
    let entra = Emulator::start(seed::scale(USERS_ADDED, 300, 30_000)).await.unwrap();
    let lab = Lab { control: entra.control(), client: client(), entra };
    let token = lab.app_token().await;
    let began = Instant::now();
    let settings = lab.control.graph_settings();
    let mut mirror = Mirror::default();
    let users = round(&lab, &token, USERS, |_| ()).await;
    assert!(users.pages.iter().all(|page| page.len() <= 100) && users.items().len() >= USERS_ADDED);
    let groups = round(&lab, &token, GROUPS, |_| ()).await;
    for page in &groups.pages {
        let named: usize = page.iter().filter_map(|item| item["members@delta"].as_array()).map(Vec::len).sum();
        assert!(named < settings.members_on_page + settings.members_at_once, "{named} members on a page");
    }
    let largest = groups.of(seed::scale_group(1).as_str());
    assert!(largest.len() > 20, "the largest group comes in parts");
    mirror.apply_users(users.items());
    mirror.apply_groups(groups.items());
    assert_eq!(mirror, Mirror::of(&lab.control.directory()));

    let churned = lab.control.churn(2, 1).unwrap();
    assert!(churned.edited > 20 && churned.moved > 10, "{churned:?}");
    let (users, groups) =
        (round(&lab, &token, &users.link, |_| ()).await, round(&lab, &token, &groups.link, |_| ()).await);
    assert!(users.items().len() < 100 && groups.items().len() < 100, "what changed alone");
    mirror.apply_users(users.items());
    mirror.apply_groups(groups.items());
    assert_eq!(mirror, Mirror::of(&lab.control.directory()));
    // Generous by an order of magnitude: a page that costs as much as the directory would take minutes.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
