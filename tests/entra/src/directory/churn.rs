//! Many changes at once, the same for the same seed: what an ordinary day does to a large tenant.

use std::sync::Arc;

use ring::hmac;
use serde::Serialize;

use super::{Directory, Place};
use crate::seed::{Guid, Member, Outcome, SeedError};

/// What [`crate::Control::churn`] changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Churned {
    /// People with another job title.
    pub edited: usize,
    /// Accounts that were disabled.
    pub disabled: usize,
    /// Disabled accounts that were enabled.
    pub enabled: usize,
    /// Memberships that went from one group to another.
    pub moved: usize,
}

/// Numbers that look random and are the same in every run.
struct Dice {
    key: hmac::Key,
    rolled: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes()), rolled: 0 }
    }

    /// A number below `sides`; 0 if there are none.
    fn roll(&mut self, sides: usize) -> usize {
        self.rolled += 1;
        let tag = hmac::sign(&self.key, &self.rolled.to_be_bytes());
        let number = tag.as_ref().iter().take(6).fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        number.checked_rem(sides).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.roll(from.len()))
    }
}

impl Directory {
    /// Makes this many changes in a tenant: of ten five are edits, two disable or enable somebody, three move a membership. One that
    /// finds nothing to change is left out.
    pub(crate) fn churn(&mut self, tenant: &Guid, changes: usize, seed: u64) -> Result<Churned, SeedError> {
        let mut dice = Dice::new(seed);
        let people = self.people_of(tenant).to_vec();
        let groups = self.groups_of_tenant(tenant).to_vec();
        let mut churned = Churned::default();
        for number in 0..changes {
            match number % 10 {
                0..5 => churned.edited += usize::from(self.edit_one(&people, number, &mut dice)?),
                5 | 6 => match self.switch_one(&people, &mut dice)? {
                    Some(true) => churned.enabled += 1,
                    Some(false) => churned.disabled += 1,
                    None => {}
                },
                _ => churned.moved += usize::from(self.move_one(&groups, &mut dice)?),
            }
        }
        Ok(churned)
    }

    fn edit_one(&mut self, people: &[Place], number: usize, dice: &mut Dice) -> Result<bool, SeedError> {
        let Some(old) = dice.pick(people).and_then(|place| self.person_at(*place)).cloned() else { return Ok(false) };
        let mut new = (*old).clone();
        new.job_title = Some(format!("Engineer {number}"));
        new.mobile_phone = Some(format!("+48 556 {:06}", dice.roll(1_000_000)));
        let changed = *old != new;
        self.replace_person(&old, new)?;
        Ok(changed)
    }

    /// Whether somebody is enabled now, or disabled.
    fn switch_one(&mut self, people: &[Place], dice: &mut Dice) -> Result<Option<bool>, SeedError> {
        let Some(old) = dice.pick(people).and_then(|place| self.person_at(*place)).cloned() else { return Ok(None) };
        let mut new = (*old).clone();
        let enable = match old.outcome {
            Outcome::Disabled => true,
            Outcome::SignsIn => false,
            // Another script of a sign-in is not for churn to change.
            _ => return Ok(None),
        };
        new.outcome = if enable { Outcome::SignsIn } else { Outcome::Disabled };
        self.replace_person(&old, new)?;
        Ok(Some(enable))
    }

    fn move_one(&mut self, groups: &[Place], dice: &mut Dice) -> Result<bool, SeedError> {
        let from = dice.pick(groups).and_then(|place| self.group_at(*place)).cloned();
        let to = dice.pick(groups).and_then(|place| self.group_at(*place)).map(|group| Arc::clone(&group.about));
        let (Some(from), Some(to)) = (from, to) else { return Ok(false) };
        let Some(Member::User(person)) = dice.pick(&from.members).cloned() else { return Ok(false) };
        // No longer shared: the list needn't be copied to be changed.
        drop(from.members);
        if from.about.id == to.id || self.holds(&to.id, &person) {
            return Ok(false);
        }
        self.remove_member(&from.about.id, &person);
        self.add_member(&to.id, Member::User(person))
    }
}
