//! What is in force: the rules and the identities they were loaded with, replaced together.

use std::sync::Arc;

use model::Principal;
use tokio::runtime::Handle;

use super::shadow::Shadow;
use crate::identity::{DEFAULT_CACHE_BYTES, Identity, IssuerStatus};
use crate::problem::Problem;
use crate::rules::{Persona, Rules};

/// Rules and identity. A decision is made by one of these from its first step to its last.
pub struct Live {
    pub(super) rules: Arc<Rules>,
    pub(super) identity: Identity<Result<Persona, String>>,
    /// Candidate rules that are asked beside these.
    pub(super) shadow: Option<Box<Shadow>>,
}

impl Live {
    pub(super) fn new(rules: Arc<Rules>, fetching: &Handle) -> Result<Self, Vec<Problem>> {
        let headers = Arc::clone(&rules.identity_headers);
        let entities = Arc::clone(rules.policies.entities());
        let identity = Identity::new(&rules.identity, DEFAULT_CACHE_BYTES, fetching, move |principal| {
            Persona::new(principal, &headers, &entities)
        })?;
        let shadow = Shadow::of(&rules).map(Box::new);
        Ok(Self {
            rules,
            identity,
            shadow,
        })
    }

    /// The same without anybody who could verify a token.
    pub(super) fn offline(rules: Arc<Rules>) -> Self {
        let headers = Arc::clone(&rules.identity_headers);
        let entities = Arc::clone(rules.policies.entities());
        let derive = move |principal: &Principal| Persona::new(principal, &headers, &entities);
        let identity = Identity::without_verifiers(derive);
        Self {
            rules,
            identity,
            shadow: None,
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How the keys of each issuer are.
    pub fn issuers(&self) -> Vec<IssuerStatus> {
        self.identity.status()
    }

    /// Waits until the keys of every issuer were fetched once, or could not be.
    pub async fn first_key_fetches(&self) {
        self.identity.first_attempts().await;
    }
}
