//! What can be asked: may they, then the store. Nothing here knows whether it was asked over gRPC or as JSON.

mod keys;
mod nodes;
mod remote_users;
mod revocations;
mod tokens;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, Page, StoreError};
use decide::{HouseAction, HouseResource, HouseValue, Pipeline};
use model::LocalUser;
use proto::google::protobuf::Timestamp;

use super::caller::Caller;
use super::refused::Refused;
use crate::authority::asking::{Asked, Asker};

/// How many items a page has if nobody says, and at most.
const PAGE: (u32, u32) = (100, 1000);
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any name, id or reason.
const MAX_TEXT: usize = 1024;

/// The admin API, whichever way it is asked.
#[derive(Clone)]
pub(crate) struct AdminApi {
    asker: Asker,
    pipeline: Arc<Pipeline>,
    authority: Authority,
}

/// Somebody who may, and by which decision.
struct Allowed {
    by: String,
    decision: String,
}

/// A change that is about to be made: its verb, and of what.
struct Change {
    verb: &'static str,
    what: String,
    allowed: Allowed,
}

impl AdminApi {
    pub(crate) fn new(pipeline: Arc<Pipeline>, authority: Authority) -> Self {
        Self {
            asker: Asker::new(Arc::clone(&pipeline)),
            pipeline,
            authority,
        }
    }

    /// Asks the policies.
    async fn may(
        &self,
        caller: &Caller,
        verb: &str,
        (action, resource): (HouseAction, HouseResource),
    ) -> Result<Allowed, Refused> {
        let parts = caller.parts(verb);
        let asked = Asked {
            parts: &parts,
            peer: caller.peer,
        };
        let answer = self.asker.answer(asked, action, &resource).await?;
        Ok(Allowed {
            by: answer
                .principal
                .map_or_else(|| "Anonymous".to_owned(), |principal| principal.to_string()),
            decision: answer.decision.id().to_string(),
        })
    }

    /// The same before a change.
    async fn may_change(
        &self,
        caller: &Caller,
        verb: &'static str,
        (action, resource): (HouseAction, HouseResource),
    ) -> Result<Change, Refused> {
        let what = resource.id.clone();
        let allowed = self.may(caller, verb, (action, resource)).await?;
        Ok(Change { verb, what, allowed })
    }

    /// The short name of the house.
    fn house(&self) -> String {
        let live = self.pipeline.live();
        live.rules().house_name().unwrap_or_default().to_owned()
    }

    /// A short name with which ids here can begin. Anything else is a mistake that would look like a success.
    fn known_issuer(&self, name: &str) -> Result<(), Refused> {
        let live = self.pipeline.live();
        let names = live.rules().principal_names();
        if names.contains(&name) {
            return Ok(());
        }
        Err(Refused::Invalid(format!(
            "no issuer {name:?} is configured here; there are: {}",
            names.join(", ")
        )))
    }
}

impl Change {
    /// Makes it, to its end even if nobody waits any more, and tells what became of it.
    async fn make<T: Send + 'static>(
        self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Refused> {
        let made = tokio::spawn(async move {
            let made = work.await;
            self.tell(made.as_ref().err());
            made
        });
        match tokio::time::timeout(PATIENCE, made).await {
            Ok(Ok(made)) => made.map_err(Refused::Store),
            Ok(Err(panic)) => Err(StoreError::Unavailable(panic.to_string()).into()),
            Err(_) => Err(late().into()),
        }
    }

    /// Who makes it, for the store: the decision says more.
    fn by(&self) -> String {
        format!("{}, decision {}", self.allowed.by, self.allowed.decision)
    }

    fn tell(&self, error: Option<&StoreError>) {
        let Self { verb, what, allowed } = self;
        let (by, decision_id) = (&*allowed.by, &*allowed.decision);
        match error {
            None => tracing::info!(verb, what, by, decision_id, "administration: done"),
            Some(error) => {
                tracing::warn!(verb, what, by, decision_id, %error, "administration: not done");
            }
        }
    }
}

/// What the store answers to a question, in time.
async fn read<T>(question: impl Future<Output = Result<T, StoreError>>) -> Result<T, Refused> {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            if let StoreError::Unavailable(why) = &error {
                tracing::warn!(error = why, "administration: the store does not answer");
            }
            Err(error.into())
        }
        Err(_) => Err(late().into()),
    }
}

fn late() -> StoreError {
    StoreError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))
}

/// The page that is asked for.
fn page(size: u32, token: String) -> Result<Page, Refused> {
    let (usual, most) = PAGE;
    if size > most {
        return Err(Refused::Invalid(format!("`page_size` is at most {most}")));
    }
    within("page_token", &token)?;
    Ok(Page {
        limit: if size == 0 { usual } else { size },
        after: (!token.is_empty()).then_some(token),
    })
}

/// A text that must be there.
fn required(member: &str, text: &str) -> Result<(), Refused> {
    if text.is_empty() {
        return Err(Refused::Invalid(format!("`{member}` is missing")));
    }
    within(member, text)
}

/// A text that may stand in a log and in the store.
fn within(member: &str, text: &str) -> Result<(), Refused> {
    if text.len() > MAX_TEXT {
        return Err(Refused::Invalid(format!(
            "`{member}` has more than {MAX_TEXT} bytes"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Refused::Invalid(format!("`{member}` has control characters")));
    }
    Ok(())
}

/// The resource with whose it is, if it is somebody's. Cedar cannot take an id apart, so its parts are there, too.
fn owned(resource: HouseResource, owner: Option<&LocalUser>) -> HouseResource {
    let Some(LocalUser { issuer, subject }) = owner else {
        return resource;
    };
    resource
        .with("owner", HouseValue::Text(format!("{issuer}/{subject}")))
        .with("owner_issuer", HouseValue::Text(issuer.clone()))
        .with("owner_subject", HouseValue::Text(subject.clone()))
}

/// A user as policies write them: `main/alice`. Nobody if the text is empty.
fn local_user(member: &str, id: &str) -> Result<Option<LocalUser>, Refused> {
    within(member, id)?;
    if id.is_empty() {
        return Ok(None);
    }
    let (issuer, subject) = id
        .split_once('/')
        .filter(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
        .ok_or_else(|| {
            Refused::Invalid(format!(
                "`{member}` is {id:?}: write <issuer's short name>/<subject>, as in main/alice"
            ))
        })?;
    Ok(Some(LocalUser {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    }))
}

/// A user as policies write them.
fn id(user: &LocalUser) -> String {
    format!("{}/{}", user.issuer, user.subject)
}

/// A time in the store: Unix seconds.
fn time(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}
