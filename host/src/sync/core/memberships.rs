//! Who comes into a group of Core's, and who leaves it: many come in one call, each goes by themselves. A record that Core can't deal with
//! holds up nobody else.

use super::{CoreTarget, Gate, Ground, Linked, Row, STEP, StepError, Went, is_refusal};
use crate::core_api::{self, Budget, CoreError, USERS_A_CALL};
use crate::sync::action::Action;
use crate::sync::oid::Oid;
use crate::sync::plan::Skipped;

impl CoreTarget<'_> {
    /// Says what was done, and why not the rest.
    pub(super) async fn members(
        &self,
        gate: &mut Gate<'_>,
        ground: &Ground,
        action: &Action,
        id: Oid,
        (add, remove): (&[Oid], &[Oid]),
    ) -> Result<Went, StepError> {
        let Some(group) = ground.groups.get(&id) else { return Ok(Went::Refused("the group is gone".into())) };
        let mut skipped = Vec::new();
        let mut added = Vec::new();
        let mut failed = self.add(gate, ground, group, add, (&mut added, &mut skipped)).await.err();
        let mut removed = Vec::new();
        // Whoever is to leave leaves, though somebody else couldn't be let in.
        if !matches!(failed, Some(StepError::Run(_))) {
            let left = self.remove_one_by_one(gate, ground, group, remove, (&mut removed, &mut skipped)).await;
            failed = match left {
                Err(error @ StepError::Run(_)) => Some(error),
                left => failed.or(left.err()),
            };
        }
        let name = match action {
            Action::ChangeMembers { name, .. } => name.clone(),
            _ => group.name.clone(),
        };
        Ok(Went::Partly(Action::ChangeMembers { id, name, add: added, remove: removed }, skipped, failed))
    }

    /// Many at once, each call by itself: a lease doesn't last for all of a large group. What was done though there was an error is
    /// in `added`.
    async fn add(
        &self,
        gate: &mut Gate<'_>,
        ground: &Ground,
        group: &core_api::Group,
        oids: &[Oid],
        (added, skipped): (&mut Vec<Oid>, &mut Vec<Skipped>),
    ) -> Result<(), StepError> {
        let there: Vec<Oid> = oids.iter().filter(|oid| ground.users.contains_key(*oid)).copied().collect();
        for (number, oids) in there.chunks(USERS_A_CALL).enumerate() {
            // The step itself has passed for the first of them.
            if number > 0 {
                gate.pass().await?;
            }
            let users: Vec<i64> = oids.iter().filter_map(|oid| ground.users.get(oid)).map(|user| user.id).collect();
            match self.client().add_members(group, &users, Budget::new(STEP)).await {
                Ok(()) => added.extend_from_slice(oids),
                // Somebody of these is gone: one by one.
                Err(error) if is_refusal(&error.failure) => {
                    self.add_one_by_one(gate, ground, group, oids, (&mut *added, &mut *skipped)).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What was done though there was an error is in `added`: one record that Core can't deal with holds up nobody else.
    async fn add_one_by_one(
        &self,
        gate: &mut Gate<'_>,
        ground: &Ground,
        group: &core_api::Group,
        oids: &[Oid],
        (added, skipped): (&mut Vec<Oid>, &mut Vec<Skipped>),
    ) -> Result<(), StepError> {
        let (mut first, mut row) = (None, Row::default());
        for oid in oids {
            let Some(user) = ground.users.get(oid) else { continue };
            gate.pass().await?;
            match self.client().add_member(group, &user.username, Budget::new(STEP)).await {
                Ok(()) => {
                    row.worked();
                    added.push(*oid);
                }
                Err(error) if is_refusal(&error.failure) => skipped.push(refused(user, group, &error)),
                Err(error) => {
                    first.get_or_insert(StepError::Core(error));
                    if !row.failed(self.client()).await {
                        break;
                    }
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// As [`CoreTarget::add_one_by_one`].
    async fn remove_one_by_one(
        &self,
        gate: &mut Gate<'_>,
        ground: &Ground,
        group: &core_api::Group,
        oids: &[Oid],
        (removed, skipped): (&mut Vec<Oid>, &mut Vec<Skipped>),
    ) -> Result<(), StepError> {
        let (mut first, mut row) = (None, Row::default());
        for oid in oids {
            let Some(user) = ground.users.get(oid) else { continue };
            gate.pass().await?;
            let budget = Budget::new(STEP);
            let went = async {
                let may_go = !group.is_admin || self.may_go(user, budget).await?;
                if may_go {
                    self.client().remove_member(group, &user.username, budget).await?;
                }
                Ok::<_, CoreError>(may_go)
            };
            match went.await {
                Ok(true) => {
                    row.worked();
                    removed.push(*oid);
                }
                Ok(false) => {
                    skipped.push(Skipped::new(user.username.clone(), "it is the last active administrator"));
                }
                Err(error) if is_refusal(&error.failure) => skipped.push(refused(user, group, &error)),
                Err(error) => {
                    first.get_or_insert(StepError::Core(error));
                    if !row.failed(self.client()).await {
                        break;
                    }
                }
            }
        }
        first.map_or(Ok(()), Err)
    }
}

fn refused(user: &Linked, group: &core_api::Group, error: &CoreError) -> Skipped {
    Skipped::new(format!("{} in {}", user.username, group.name), error.failure.to_string())
}
