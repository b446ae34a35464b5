//! What is in force: the rules and the identities they were loaded with, replaced together.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use model::{Principal, Version};
use tokio::runtime::Handle;

use super::shadow::Shadow;
use crate::identity::{
    DEFAULT_CACHE_BYTES, Identity, Introspections, IssuerStatus, KeptTokens, Verifications,
};
use crate::problem::Problem;
use crate::rules::{Persona, Rules};

/// How often it is looked whether rules that were replaced are still in use.
const LOOK: Duration = Duration::from_millis(5);

/// Rules and identity. A decision is made by one of these from its first step to its last.
pub struct Live {
    pub(super) rules: Arc<Rules>,
    pub(super) identity: Identity<Result<Persona, String>>,
    /// Candidate rules that are asked beside these.
    pub(super) shadow: Option<Box<Shadow>>,
}

/// What was in force until it was replaced. Requests that began with it end with it.
///
/// Freeing a hundred thousand policies takes a while: whoever holds this should be the one to do it, not a request.
#[must_use = "dropped at once, it may be left to a request to free it"]
pub struct Replaced(pub(super) Arc<Live>);

impl Live {
    pub(super) fn new(rules: Arc<Rules>, fetching: &Handle) -> Result<Self, Vec<Problem>> {
        let identity = Identity::new(&rules.identity, DEFAULT_CACHE_BYTES, fetching, derive(&rules))?;
        Ok(Self::of(rules, identity.weighing(weigh)))
    }

    /// What comes after this one: with other rules, and with the keys of every issuer whose settings are the same.
    pub(super) fn successor(&self, rules: Arc<Rules>, fetching: &Handle) -> Result<Self, Vec<Problem>> {
        let derive = derive(&rules);
        let identity = self
            .identity
            .successor(&rules.identity, DEFAULT_CACHE_BYTES, fetching, derive)?;
        Ok(Self::of(rules, identity))
    }

    /// Without anybody who could verify a token.
    pub(super) fn offline(rules: Arc<Rules>) -> Self {
        let identity = Identity::without_verifiers(derive(&rules));
        Self::of(rules, identity)
    }

    fn of(rules: Arc<Rules>, identity: Identity<Result<Persona, String>>) -> Self {
        let shadow = Shadow::of(&rules).map(Box::new);
        Self {
            rules,
            identity,
            shadow,
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

    /// How verifying credentials ended, by whoever vouches for them.
    pub fn verifications(&self) -> Vec<Verifications> {
        self.identity.verifications()
    }

    /// How asking each introspection endpoint went.
    pub fn introspections(&self) -> Vec<Introspections> {
        self.identity.introspections()
    }

    /// What is kept of tokens.
    pub fn kept_tokens(&self) -> [KeptTokens; 2] {
        self.identity.kept_tokens()
    }

    /// Waits until the keys of every issuer were fetched once, or could not be.
    pub async fn first_key_fetches(&self) {
        self.identity.first_attempts().await;
    }
}

impl Replaced {
    /// The version that was in force.
    pub fn version(&self) -> &Version {
        &self.0.rules.version
    }

    /// What was in force.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// Waits, blocking, until the last request that began with it has its answer, and frees it.
    pub fn free(self) {
        // Nobody can get hold of it any more, so a count of one stays one.
        while Arc::strong_count(&self.0) > 1 {
            thread::sleep(LOOK);
        }
    }
}

/// Groups in the files may be in many others, which no token names.
fn weigh(persona: &Result<Persona, String>) -> usize {
    let persona = persona.as_ref();
    persona.map_or(0, |persona| persona.entity.bytes_of_ancestors())
}

/// What is made of a principal by these rules.
fn derive(rules: &Rules) -> impl Fn(&Arc<Principal>) -> Result<Persona, String> + Send + Sync + 'static {
    let headers = Arc::clone(&rules.identity_headers);
    let entities = Arc::clone(rules.policies.entities());
    move |principal| Persona::new(principal, &headers, &entities)
}
