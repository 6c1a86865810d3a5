//! One person who just signed in is added at once, in the background, to the groups that follow the directory and have them, so that
//! nobody waits for the next run to get into the network (A12). State, accounts and leaving a group are a run's subject: a sign-in isn't
//! told of hidden memberships, and nobody counts how many it would end.

use std::collections::BTreeSet;

use super::{CoreTarget, STEP};
use crate::config::DirectoryConfig;
use crate::core_api::{self, Budget};
use crate::sync::SyncError;
use crate::sync::action::Action;
use crate::sync::at_login::{PersonSeen, SeenGroups};
use crate::sync::lease::Lease;
use crate::sync::oid::Oid;
use crate::sync::plan::lists;
use crate::sync::snapshot::DirectoryGroup;

impl CoreTarget<'_> {
    /// Says what was done. Groups that make administrators are left to a run, which counts those that stay.
    pub(in crate::sync) async fn seen(
        &self,
        config: &DirectoryConfig,
        person: &PersonSeen,
        lease: &Lease,
    ) -> Result<Vec<Action>, SyncError> {
        let SeenGroups::Known(groups) = &person.groups else { return Ok(Vec::new()) };
        let now_in: BTreeSet<Oid> = groups.iter().copied().collect();
        let oid = person.object_id;
        let link = self.core.ownership().link_of(&self.provider, &oid.to_string()).await?;
        let Some(link) = link else { return Ok(Vec::new()) };
        // Whoever is disabled is a run's subject as a whole.
        if person.enabled == Some(false) {
            return Ok(Vec::new());
        }
        let budget = Budget::new(STEP);
        // A name may be somebody else's by now; a number isn't.
        let user = self.client().user(&link.username, budget).await.map_err(|error| self.failed(&error))?;
        if user.is_none_or(|user| user.id != link.id) {
            return Ok(Vec::new());
        }
        let there = self.client().groups(budget).await.map_err(|error| self.failed(&error))?;
        let known = self.memory.groups_and_intended().await?.0;
        let mut done = Vec::new();
        for (id, known) in known {
            // What somebody gave another name is a run's subject too.
            let follows =
                |group: &&core_api::Group| group.id == known.id && !group.is_admin && known.is_called(&group.name);
            let Some(group) = there.iter().find(follows) else { continue };
            let named = DirectoryGroup::named(id, &group.name);
            if !config.group_match.is_empty() && !lists(&config.group_match, &named) {
                continue;
            }
            if !now_in.contains(&id) || group.members.contains(&link.username) {
                continue;
            }
            lease.check().await?;
            let added = self.client().add_member(group, &link.username, budget).await;
            added.map_err(|error| self.failed(&error))?;
            done.push(Action::ChangeMembers { id, name: group.name.clone(), add: vec![oid], remove: Vec::new() });
        }
        Ok(done)
    }
}
