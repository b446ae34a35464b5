//! The nodes of the network.

use authority::{NodeChange, Paged};
use decide::{HouseAction, HouseResource, HouseValue};
use proto::portcullis::admin::v1::{
    DeleteNodeRequest, GetNodeRequest, ListNodesRequest, ListNodesResponse, Node,
};

use super::super::caller::Caller;
use super::super::refused::Refused;
use super::{AdminApi, page, read, required};

const READ: HouseAction = HouseAction::NodesRead;
const WRITE: HouseAction = HouseAction::NodesWrite;

impl AdminApi {
    pub(in super::super) async fn list_nodes(
        &self,
        caller: &Caller,
        asked: ListNodesRequest,
    ) -> Result<ListNodesResponse, Refused> {
        let page = page(asked.page_size, asked.page_token)?;
        let what = HouseResource::item("node", None);
        self.may(caller, "ListNodes", (READ, what)).await?;
        let Paged { items, next } = read(self.authority.nodes(page)).await?;
        Ok(ListNodesResponse {
            nodes: items.into_iter().map(shown).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(in super::super) async fn get_node(
        &self,
        caller: &Caller,
        asked: GetNodeRequest,
    ) -> Result<Node, Refused> {
        self.may(caller, "GetNode", (READ, resource(&asked.name)?))
            .await?;
        read(self.authority.node(&asked.name)).await.map(shown)
    }

    pub(in super::super) async fn create_node(&self, caller: &Caller, node: Node) -> Result<Node, Refused> {
        let what = resource(&node.name)?;
        let change = self.may_change(caller, "CreateNode", (WRITE, what)).await?;
        let (authority, by, new) = (self.authority.clone(), change.by(), node.clone());
        let work = async move { authority.add_node(kept(new), &by).await };
        change.make(work).await?;
        Ok(node)
    }

    pub(in super::super) async fn update_node(&self, caller: &Caller, node: Node) -> Result<Node, Refused> {
        let what = resource(&node.name)?;
        let change = self.may_change(caller, "UpdateNode", (WRITE, what)).await?;
        let (authority, by) = (self.authority.clone(), change.by());
        let to = NodeChange {
            name: None,
            base_url: Some(node.base_url),
            jwks_url: Some(node.jwks_url),
            token_url: Some(node.token_url),
            authorization_url: Some(node.authorization_url),
            redirect_uris: Some(node.redirect_uris),
        };
        let work = async move { authority.change_node(&node.name, to, &by).await };
        change.make(work).await.map(shown)
    }

    pub(in super::super) async fn delete_node(
        &self,
        caller: &Caller,
        asked: DeleteNodeRequest,
    ) -> Result<(), Refused> {
        let what = resource(&asked.name)?;
        let change = self.may_change(caller, "DeleteNode", (WRITE, what)).await?;
        let (authority, by) = (self.authority.clone(), change.by());
        change
            .make(async move { authority.remove_node(&asked.name, &by).await })
            .await
    }
}

fn resource(name: &str) -> Result<HouseResource, Refused> {
    required("name", name)?;
    Ok(HouseResource::item("node", Some(name)).with("node", HouseValue::Text(name.to_owned())))
}

fn shown(node: authority::Node) -> Node {
    Node {
        name: node.name,
        base_url: node.base_url,
        jwks_url: node.jwks_url,
        token_url: node.token_url,
        authorization_url: node.authorization_url,
        redirect_uris: node.redirect_uris,
    }
}

fn kept(node: Node) -> authority::Node {
    authority::Node {
        name: node.name,
        base_url: node.base_url,
        jwks_url: node.jwks_url,
        token_url: node.token_url,
        authorization_url: node.authorization_url,
        redirect_uris: node.redirect_uris,
    }
}
