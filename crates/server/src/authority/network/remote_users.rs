//! `/network/remote_users`: the users of other nodes, and who they are here.

use authority::{Page, RemoteUser, RemoteUserChange, RemoteUserFilter, StoreError, is_reserved};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use decide::{HouseAction, HouseResource, HouseValue};
use model::LocalUser;
use serde_json::{Value, json};

use super::answer::{Failure, fine};
use super::body::Fields;
use super::{Answer, Network, Shared};

/// How many are listed if nobody says, and at most.
const PAGE: u32 = 1000;

/// All, or those who are a user here.
pub(super) async fn list(State(network): Shared, RawQuery(query): RawQuery, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let all = HouseResource::item("remote_user", None);
    network.may(&parts, HouseAction::RemoteUsersRead, &all).await?;
    let fields = Fields::of_query(query.as_deref())?;
    let filter = RemoteUserFilter {
        node: fields.text("node_name")?.map(str::to_owned),
        local_user: match fields.text("user_name")? {
            None => None,
            Some(name) => Some(network.local_user(name).map_err(|why| {
                Failure::new(StatusCode::UNPROCESSABLE_ENTITY, format!("`user_name` {why}."))
            })?),
        },
    };
    network.listed(&filter, &fields).await
}

/// Those who are whoever asks.
pub(super) async fn current(State(network): Shared, RawQuery(query): RawQuery, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let own = HouseResource::item("remote_user", None);
    let user = network.user(&parts, &own).await?;
    let filter = RemoteUserFilter {
        local_user: Some(user),
        ..RemoteUserFilter::default()
    };
    network
        .listed(&filter, &Fields::of_query(query.as_deref())?)
        .await
}

pub(super) async fn show(
    State(network): Shared,
    Path((node, name)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let (parts, _) = request.into_parts();
    let user = network
        .found(&parts, HouseAction::RemoteUsersRead, (&node, &name))
        .await?
        .0;
    Ok(fine(StatusCode::OK, "The remote user.", network.shown(&user)))
}

pub(super) async fn add(State(network): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let fields = Fields::of_body(&parts, body).await?;
    let (node, name) = (
        fields.required("node_name")?,
        fields.required("remote_user_name")?,
    );
    let what = item(node, name, None);
    let by = network.may(&parts, HouseAction::RemoteUsersWrite, &what).await?;
    if name.is_empty() {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "`remote_user_name` is empty.",
        ));
    }
    network.node(node).await?;
    let user = RemoteUser {
        node: node.to_owned(),
        name: name.to_owned(),
        local_user: network.named_user(&fields)?,
    };
    network.authority.add_remote_user(user, &by).await?;
    Ok(fine(
        StatusCode::CREATED,
        "The remote user is added.",
        Value::Null,
    ))
}

pub(super) async fn change(
    State(network): Shared,
    Path((node, name)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let (parts, body) = request.into_parts();
    let fields = Fields::of_body(&parts, body).await?;
    let what = item(&node, &name, None);
    let by = network.may(&parts, HouseAction::RemoteUsersWrite, &what).await?;
    let given = |name: &str| {
        let text = fields.text(name)?.map(str::to_owned);
        Ok::<_, Failure>(text.filter(|text| !text.is_empty()))
    };
    let local_user = match network.named_user(&fields)? {
        Some(user) => Some(Some(user)),
        None if fields.flag("assign_anonymous") => Some(None),
        None => None,
    };
    let to = RemoteUserChange {
        node: given("node_name")?,
        name: given("remote_user_name")?,
        local_user,
    };
    if to == RemoteUserChange::default() {
        return Err(Failure::bad("Nothing is there to change."));
    }
    if let Some(node) = &to.node {
        network.node(node).await?;
    }
    network
        .authority
        .change_remote_user(&node, &name, to, &by)
        .await?;
    Ok(fine(StatusCode::OK, "The remote user is changed.", Value::Null))
}

pub(super) async fn remove(
    State(network): Shared,
    Path((node, name)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let (parts, _) = request.into_parts();
    let (_, by) = network
        .found(&parts, HouseAction::RemoteUsersWrite, (&node, &name))
        .await?;
    network.authority.remove_remote_user(&node, &name, &by).await?;
    Ok(fine(StatusCode::OK, "The remote user is removed.", Value::Null))
}

impl Network {
    /// A remote user, for administrators and for the user here that it is; and who asks.
    async fn found(
        &self,
        parts: &Parts,
        action: HouseAction,
        (node, name): (&str, &str),
    ) -> Result<(RemoteUser, String), Failure> {
        let found = self.authority.remote_user(node, name).await;
        let owner = found.as_ref().ok().and_then(|user| user.local_user.as_ref());
        let what = item(node, name, owner);
        let by = match (self.may(parts, action, &what).await, owner) {
            (Ok(by), _) => by,
            (Err(denied), None) => return Err(denied),
            (Err(denied), Some(owner)) => match self.user(parts, &what).await {
                Ok(user) if user == *owner => format!("User::\"{}/{}\"", user.issuer, user.subject),
                _ => return Err(denied),
            },
        };
        let user = found.map_err(|error| match error {
            StoreError::NotFound => Failure::new(StatusCode::NOT_FOUND, "There is no such remote user."),
            error => error.into(),
        })?;
        Ok((user, by))
    }

    async fn listed(&self, filter: &RemoteUserFilter, fields: &Fields) -> Answer {
        let limit = match fields.text("limit")? {
            None => PAGE,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=PAGE).contains(limit))
                .ok_or_else(|| Failure::bad("`limit` is not a number from 1 to 1000."))?,
        };
        let page = Page {
            after: fields.text("after")?.map(str::to_owned),
            limit,
        };
        let listed = self.authority.remote_users(filter, page).await?;
        let users: Vec<Value> = listed.items.iter().map(|user| self.shown(user)).collect();
        let mut content = json!({ "remote_users": users });
        if let (Some(next), Some(content)) = (listed.next, content.as_object_mut()) {
            content.insert("next".to_owned(), next.into());
        }
        Ok(fine(StatusCode::OK, "The remote users.", content))
    }

    /// The local user that a body names: `user_name` as text, or `user` as an object with issuer and subject.
    fn named_user(&self, fields: &Fields) -> Result<Option<LocalUser>, Failure> {
        let named = match (
            fields.text("user_name")?.filter(|name| !name.is_empty()),
            fields.value("user"),
        ) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(Failure::bad("Either `user_name` or `user`, not both.")),
            (Some(name), None) => self
                .local_user(name)
                .map_err(|why| Failure::bad(format!("`user_name` {why}.")))?,
            (None, Some(user)) => {
                let text = |name: &str| user.get(name).and_then(Value::as_str).map(str::to_owned);
                let (Some(issuer), Some(subject)) = (text("issuer"), text("subject")) else {
                    return Err(Failure::bad("`user` has not the texts `issuer` and `subject`."));
                };
                LocalUser { issuer, subject }
            }
        };
        self.refuse_reserved(&named)?;
        Ok(Some(named))
    }

    fn local_user(&self, name: &str) -> Result<LocalUser, &'static str> {
        self.settings.local_user(name)
    }

    /// Refuses the names of those who stand for everybody of a node.
    pub(super) fn refuse_reserved(&self, user: &LocalUser) -> Result<(), Failure> {
        if is_reserved(user) || user.issuer == self.house {
            let detail = "Nobody can be one of those who stand for everybody of a node.";
            return Err(Failure::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(())
    }

    fn shown(&self, user: &RemoteUser) -> Value {
        let local = match &user.local_user {
            Some(local) => self.settings.name_of(local),
            None => format!("magpie_network_{}", user.node),
        };
        json!({ "user_name": local, "remote_user_name": user.name, "node_name": user.node })
    }
}

/// As policies see it.
fn item(node: &str, name: &str, owner: Option<&LocalUser>) -> HouseResource {
    let text = |text: &str| HouseValue::Text(text.to_owned());
    let item = HouseResource::item("remote_user", Some(&format!("{node}/{name}"))).with("node", text(node));
    match owner {
        Some(owner) => item.with("owner", text(&format!("{}/{}", owner.issuer, owner.subject))),
        None => item,
    }
}
