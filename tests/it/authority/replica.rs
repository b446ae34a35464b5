//! One replica: the store of a house, and what decisions of it know.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use authority::{Authority, NewRevocation, StoreError, StoreSettings, Timing};
use model::{Before, HouseView, Principal, PrincipalKind, Revoked};

/// The short name of the issuer in these tests.
pub(crate) const ISSUER: &str = "main";

/// A replica.
pub(crate) struct Replica {
    pub(crate) authority: Authority,
    view: Arc<Mutex<HouseView>>,
}

/// Somebody with a credential.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) subject: &'static str,
    pub(crate) client: &'static str,
    pub(crate) issued_at: f64,
}

pub(crate) const ALICE: Who = Who {
    subject: "alice",
    client: "portal",
    issued_at: 1000.0,
};

impl Replica {
    pub(crate) async fn start(url: &str) -> Self {
        Self::start_with(settings(url)).await.expect("a store")
    }

    /// Quick to give up, for tests of stores that are away.
    pub(crate) async fn impatient(url: &str) -> Self {
        Self::start_with(StoreSettings {
            max_stale_seconds: 3,
            timing: Timing {
                poll: Duration::from_millis(200),
                connect: Duration::from_secs(1),
                statement: Duration::from_secs(1),
            },
            ..settings(url)
        })
        .await
        .expect("a store")
    }

    pub(crate) async fn start_with(settings: StoreSettings) -> Result<Self, StoreError> {
        let view = Arc::new(Mutex::new(HouseView::unknown()));
        let published = Arc::clone(&view);
        let publish = Arc::new(move |new| *published.lock().expect("no panic") = new);
        let authority = Authority::start(&settings, publish).await?;
        Ok(Self { authority, view })
    }

    pub(crate) fn view(&self) -> HouseView {
        self.view.lock().expect("no panic").clone()
    }

    /// What a decision would find: what revokes the credential, `unknown` if nobody knows, `None` if it counts.
    pub(crate) fn verdict(&self, who: Who, id: &str) -> Option<&'static str> {
        let view = self.view();
        if !view.is_good(Instant::now()) {
            return Some("unknown");
        }
        let mut principal = Principal::new(PrincipalKind::User, ISSUER, who.subject);
        principal.client = Some(who.client.to_owned());
        view.revocations.find(&principal, Some(id), Some(who.issued_at))
    }

    /// True if the credential counts.
    pub(crate) fn allows(&self, id: &str) -> bool {
        self.verdict(ALICE, id).is_none()
    }

    pub(crate) async fn revoke(&self, what: Revoked, before: Before) -> Result<String, StoreError> {
        let new = NewRevocation {
            issuer: ISSUER.to_owned(),
            what,
            before,
            reason: None,
            expires_at: None,
        };
        Ok(self.authority.revoke("User::\"main/ada\"", new).await?.id)
    }

    pub(crate) async fn revoke_token(&self, id: &str) -> Result<String, StoreError> {
        self.revoke(Revoked::Token(id.to_owned()), Before::Ever).await
    }
}

/// With the defaults.
pub(crate) fn settings(url: &str) -> StoreSettings {
    StoreSettings {
        store: url.into(),
        ..StoreSettings::default()
    }
}
