//! What the component reads of a provider and its directory.

use crate::capability::TraceId;
use crate::config::Provider;
use crate::identity::{AccountKind, Identity};
use crate::sandbox::Finding;
use crate::sandbox::bindings::exports::defguard::openid::directory;
use crate::sync::at_login::{self, Barred, PersonSeen, Weighed};

use super::told::Told;
use super::{Gateway, LoginError};

impl Gateway {
    /// What the component finds out about a provider; changes nothing.
    pub async fn probe(&self, provider: &Provider, trace: &TraceId) -> Result<Vec<Finding>, LoginError> {
        let grant = self.grant(provider, trace)?;
        self.plugin().probe(grant, &provider.component_json).await.map_err(LoginError::Plugin)
    }

    /// The next page of a provider's directory.
    pub async fn directory_page(
        &self,
        provider: &Provider,
        read: &[directory::Collection],
        cursor: Option<&str>,
        trace: &TraceId,
    ) -> Result<Result<directory::Page, directory::Failure>, LoginError> {
        let grant = self.grant(provider, trace)?;
        let page = self.plugin().directory_page(grant, &provider.component_json, read, cursor).await;
        page.map_err(LoginError::Plugin)
    }

    /// Whether objects are in a provider's directory now, in their order; at most 100.
    pub async fn directory_presence(
        &self,
        provider: &Provider,
        objects: &[directory::Object],
        trace: &TraceId,
    ) -> Result<Result<Vec<directory::Presence>, directory::Failure>, LoginError> {
        let grant = self.grant(provider, trace)?;
        self.plugin().present(grant, &provider.component_json, objects).await.map_err(LoginError::Plugin)
    }

    /// "Test connection" of a provider's directory: whether it can be read, permission by permission.
    pub async fn test_connection(&self, provider: &Provider, trace: &TraceId) -> Result<Vec<Finding>, LoginError> {
        let grant = self.grant(provider, trace)?;
        self.plugin().test_connection(grant, &provider.component_json).await.map_err(LoginError::Plugin)
    }

    /// The directory's word on whoever signs in, where the configuration asks for it: within its budget, and before anything is made
    /// of the identity. What it learned comes along.
    pub(super) async fn ask_directory(
        &self,
        provider: &Provider,
        identity: &Identity,
        trace: &TraceId,
        told: &mut Told,
    ) -> (Result<(), Barred>, Option<PersonSeen>) {
        let directory = provider.directory.as_ref();
        let Some(budget) = directory.and_then(|directory| directory.login_check) else { return (Ok(()), None) };
        // A personal account's object is in Microsoft's own tenant.
        let object_id = identity.object_id.as_deref().filter(|_| identity.account != AccountKind::Personal);
        // Before the question: what comes of it isn't newer than that.
        let epoch = self.epochs(&provider.id).now().await.ok();
        let weighed = match (object_id, self.grant(provider, trace)) {
            (Some(object_id), Ok(grant)) => {
                let plugin = self.plugin();
                let asking = plugin.person(grant, &provider.component_json, object_id, budget);
                let answer = self.phase("directory", provider, asking).await;
                at_login::weigh(&provider.id, object_id, answer)
            }
            _ => Weighed::not_in_directory(),
        };
        self.at_login.tell(&provider.id, trace, &weighed);
        told.checks.push(weighed.check);
        (weighed.barred.map_or(Ok(()), Err), weighed.seen.map(|seen| PersonSeen { epoch, ..seen }))
    }
}
