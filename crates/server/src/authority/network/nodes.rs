//! `/network/nodes`: who the other nodes are.

use authority::{Node, NodeChange, Page};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use decide::{HouseAction, HouseResource};
use serde_json::{Value, json};

use super::answer::{Failure, fine};
use super::body::Fields;
use super::{Answer, Network, Shared, node_item};

/// All nodes for administrators, their names for every user.
pub(super) async fn list(State(network): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let all = HouseResource::item("node", None);
    let administrator = network.may(&parts, HouseAction::NodesRead, &all).await.is_ok();
    if !administrator {
        network.user(&parts, &all).await?;
    }
    let nodes: Vec<Value> = network
        .all_nodes()
        .await?
        .iter()
        .map(|node| {
            if administrator {
                json!(node)
            } else {
                json!({ "name": node.name })
            }
        })
        .collect();
    Ok(fine(
        StatusCode::OK,
        "The nodes of the network.",
        json!({ "nodes": nodes }),
    ))
}

pub(super) async fn show(State(network): Shared, Path(name): Path<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    network
        .may(&parts, HouseAction::NodesRead, &node_item(&name))
        .await?;
    let node = network.node(&name).await?;
    Ok(fine(StatusCode::OK, "The node.", json!(node)))
}

pub(super) async fn add(State(network): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let fields = Fields::of_body(&parts, body).await?;
    let name = fields.required("name")?;
    let by = network
        .may(&parts, HouseAction::NodesWrite, &node_item(name))
        .await?;
    let text = |name: &str| fields.required(name).map(str::to_owned);
    let node = Node {
        name: name.to_owned(),
        base_url: text("base_url")?,
        jwks_url: text("jwks_url")?,
        token_url: text("token_url")?,
        authorization_url: text("authorization_url")?,
        redirect_uris: fields.texts("redirect_uris")?.unwrap_or_default(),
    };
    network.authority.add_node(node, &by).await?;
    Ok(fine(StatusCode::CREATED, "The node is added.", Value::Null))
}

pub(super) async fn change(State(network): Shared, Path(name): Path<String>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let fields = Fields::of_body(&parts, body).await?;
    let by = network
        .may(&parts, HouseAction::NodesWrite, &node_item(&name))
        .await?;
    let text = |name: &str| fields.text(name).map(|text| text.map(str::to_owned));
    let to = NodeChange {
        name: text("name")?,
        base_url: text("base_url")?,
        jwks_url: text("jwks_url")?,
        token_url: text("token_url")?,
        authorization_url: text("authorization_url")?,
        redirect_uris: fields.texts("redirect_uris")?,
    };
    if to == NodeChange::default() {
        return Err(Failure::bad("Nothing is there to change."));
    }
    network.authority.change_node(&name, to, &by).await?;
    Ok(fine(StatusCode::OK, "The node is changed.", Value::Null))
}

pub(super) async fn remove(State(network): Shared, Path(name): Path<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let by = network
        .may(&parts, HouseAction::NodesWrite, &node_item(&name))
        .await?;
    network.authority.remove_node(&name, &by).await?;
    Ok(fine(StatusCode::OK, "The node is removed.", Value::Null))
}

impl Network {
    /// All of them: there are never many.
    async fn all_nodes(&self) -> Result<Vec<Node>, Failure> {
        let page = Page {
            after: None,
            limit: 1000,
        };
        Ok(self.authority.nodes(page).await?.items)
    }
}
