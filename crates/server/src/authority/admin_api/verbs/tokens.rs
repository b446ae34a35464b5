//! Tokens that the house gave, of both kinds; never the tokens themselves.

use authority::{GivenToken, Paged, StoreError};
use decide::{HouseAction, HouseResource, HouseValue};
use model::LocalUser;
use proto::portcullis::admin::v1::{
    DelegatedToken, EndTokenRequest, GetTokenRequest, ListDelegatedTokensRequest,
    ListDelegatedTokensResponse, ListNetworkTokensRequest, ListNetworkTokensResponse, NetworkToken,
};

use super::super::caller::Caller;
use super::super::refused::Refused;
use super::{AdminApi, id, local_user, owned, page, read, required, time, within};

const NETWORK: &str = "network_token";
const DELEGATED: &str = "token";
const READ: HouseAction = HouseAction::TokensRead;
const WRITE: HouseAction = HouseAction::TokensWrite;

impl AdminApi {
    pub(in super::super) async fn list_network_tokens(
        &self,
        caller: &Caller,
        asked: ListNetworkTokensRequest,
    ) -> Result<ListNetworkTokensResponse, Refused> {
        let page = page(asked.page_size, asked.page_token)?;
        within("node", &asked.node)?;
        let node = Some(&*asked.node).filter(|node| !node.is_empty());
        let what = HouseResource::item(NETWORK, None);
        let what = match node {
            Some(node) => what.with("node", HouseValue::Text(node.to_owned())),
            None => what,
        };
        self.may(caller, "ListNetworkTokens", (READ, what)).await?;
        let Paged { items, next } = read(self.authority.network_tokens(node, page)).await?;
        Ok(ListNetworkTokensResponse {
            network_tokens: items.into_iter().map(network).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(in super::super) async fn get_network_token(
        &self,
        caller: &Caller,
        asked: GetTokenRequest,
    ) -> Result<NetworkToken, Refused> {
        let what = self.network_token(&asked.id).await?;
        self.may(caller, "GetNetworkToken", (READ, what)).await?;
        read(self.authority.network_token(&asked.id)).await.map(network)
    }

    pub(in super::super) async fn end_network_token(
        &self,
        caller: &Caller,
        asked: EndTokenRequest,
    ) -> Result<(), Refused> {
        let what = self.network_token(&asked.id).await?;
        let change = self.may_change(caller, "EndNetworkToken", (WRITE, what)).await?;
        let (authority, by) = (self.authority.clone(), change.by());
        change
            .make(async move { authority.end_network_token(&asked.id, &by).await })
            .await
    }

    pub(in super::super) async fn list_delegated_tokens(
        &self,
        caller: &Caller,
        asked: ListDelegatedTokensRequest,
    ) -> Result<ListDelegatedTokensResponse, Refused> {
        let page = page(asked.page_size, asked.page_token)?;
        let of = local_user("subject", &asked.subject)?;
        let what = owned(HouseResource::item(DELEGATED, None), of.as_ref());
        self.may(caller, "ListDelegatedTokens", (READ, what)).await?;
        let of = of.as_ref().map(id);
        let Paged { items, next } = read(self.authority.delegated_tokens(&page, of.as_deref())).await?;
        Ok(ListDelegatedTokensResponse {
            delegated_tokens: items.into_iter().map(delegated).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(in super::super) async fn get_delegated_token(
        &self,
        caller: &Caller,
        asked: GetTokenRequest,
    ) -> Result<DelegatedToken, Refused> {
        let what = self.delegated_token(&asked.id).await?;
        self.may(caller, "GetDelegatedToken", (READ, what)).await?;
        read(self.authority.delegated_token(&asked.id))
            .await
            .map(delegated)
    }

    pub(in super::super) async fn end_delegated_token(
        &self,
        caller: &Caller,
        asked: EndTokenRequest,
    ) -> Result<(), Refused> {
        let what = self.delegated_token(&asked.id).await?;
        let change = self
            .may_change(caller, "EndDelegatedToken", (WRITE, what))
            .await?;
        let (authority, by, house) = (self.authority.clone(), change.by(), self.house());
        change
            .make(async move { authority.end_delegated_token(&by, &house, &asked.id).await })
            .await
    }

    /// The resource with whose it is. Whether there is one at all is told only to those who may know.
    async fn network_token(&self, id: &str) -> Result<HouseResource, Refused> {
        required("id", id)?;
        let resource = HouseResource::item(NETWORK, Some(id));
        Ok(match found(read(self.authority.network_token(id)).await)? {
            Some(token) => {
                owned(resource, token.local_user.as_ref()).with("node", HouseValue::Text(token.node))
            }
            None => resource,
        })
    }

    /// The same for delegated tokens.
    async fn delegated_token(&self, id: &str) -> Result<HouseResource, Refused> {
        required("id", id)?;
        let resource = HouseResource::item(DELEGATED, Some(id));
        let token = found(read(self.authority.delegated_token(id)).await)?;
        Ok(owned(resource, token.map(subject).as_ref()))
    }
}

/// What there is; nothing if there is no such thing.
fn found<T>(read: Result<T, Refused>) -> Result<Option<T>, Refused> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Refused::Store(StoreError::NotFound)) => Ok(None),
        Err(refused) => Err(refused),
    }
}

fn network(token: GivenToken) -> NetworkToken {
    NetworkToken {
        id: token.id,
        node: token.node,
        remote_user: token.remote_user,
        local_user: token.local_user.as_ref().map(id).unwrap_or_default(),
        issued_at: Some(time(token.issued_at)),
        expires_at: Some(time(token.expires_at)),
    }
}

fn subject(token: authority::DelegatedToken) -> LocalUser {
    LocalUser {
        issuer: token.subject_issuer,
        subject: token.subject,
    }
}

fn delegated(token: authority::DelegatedToken) -> DelegatedToken {
    DelegatedToken {
        id: token.id,
        first_id: token.first_id,
        subject: format!("{}/{}", token.subject_issuer, token.subject),
        actor: format!("{}/{}", token.actor_issuer, token.actor),
        issued_at: Some(time(token.issued_at)),
        expires_at: Some(time(token.expires_at)),
        renewable_until: Some(time(token.renewable_until)),
        audiences: token.audiences,
        scopes: token.scopes,
        workspaces: token.workspaces.unwrap_or_default(),
        actions: token.actions.unwrap_or_default(),
    }
}
