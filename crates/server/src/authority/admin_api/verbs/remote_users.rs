//! The users of other nodes, and who they are here.

use authority::{Paged, RemoteUserChange, RemoteUserFilter, StoreError};
use decide::{HouseAction, HouseResource, HouseValue};
use model::LocalUser;
use proto::portcullis::admin::v1::{
    DeleteRemoteUserRequest, GetRemoteUserRequest, ListRemoteUsersRequest, ListRemoteUsersResponse,
    RemoteUser,
};

use super::super::caller::Caller;
use super::super::refused::Refused;
use super::{AdminApi, id, local_user, owned, page, read, required, within};

const KIND: &str = "remote_user";
const READ: HouseAction = HouseAction::RemoteUsersRead;
const WRITE: HouseAction = HouseAction::RemoteUsersWrite;

impl AdminApi {
    pub(in super::super) async fn list_remote_users(
        &self,
        caller: &Caller,
        asked: ListRemoteUsersRequest,
    ) -> Result<ListRemoteUsersResponse, Refused> {
        let page = page(asked.page_size, asked.page_token)?;
        within("node", &asked.node)?;
        let of = local_user("local_user", &asked.local_user)?;
        let what = owned(HouseResource::item(KIND, None), of.as_ref());
        self.may(caller, "ListRemoteUsers", (READ, what)).await?;
        let filter = RemoteUserFilter {
            node: (!asked.node.is_empty()).then_some(asked.node),
            local_user: of,
        };
        let Paged { items, next } = read(self.authority.remote_users(&filter, page)).await?;
        Ok(ListRemoteUsersResponse {
            remote_users: items.into_iter().map(shown).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(in super::super) async fn get_remote_user(
        &self,
        caller: &Caller,
        asked: GetRemoteUserRequest,
    ) -> Result<RemoteUser, Refused> {
        let what = self.known(&asked.node, &asked.name).await?;
        self.may(caller, "GetRemoteUser", (READ, what)).await?;
        read(self.authority.remote_user(&asked.node, &asked.name))
            .await
            .map(shown)
    }

    pub(in super::super) async fn create_remote_user(
        &self,
        caller: &Caller,
        user: RemoteUser,
    ) -> Result<RemoteUser, Refused> {
        let local_user = self.somebody(&user)?;
        let what = owned(resource(&user.node, &user.name)?, local_user.as_ref());
        let change = self.may_change(caller, "CreateRemoteUser", (WRITE, what)).await?;
        let (authority, by) = (self.authority.clone(), change.by());
        let new = authority::RemoteUser {
            node: user.node.clone(),
            name: user.name.clone(),
            local_user,
        };
        let work = async move { authority.add_remote_user(new, &by).await };
        change.make(work).await?;
        Ok(user)
    }

    /// Decided by whose it is now; whose it becomes needs the same permission once more if that is somebody.
    pub(in super::super) async fn update_remote_user(
        &self,
        caller: &Caller,
        user: RemoteUser,
    ) -> Result<RemoteUser, Refused> {
        let local_user = self.somebody(&user)?;
        let now = self.known(&user.node, &user.name).await?;
        let mut change = self.may_change(caller, "UpdateRemoteUser", (WRITE, now)).await?;
        if local_user.is_some() {
            let then = owned(resource(&user.node, &user.name)?, local_user.as_ref());
            change = self.may_change(caller, "UpdateRemoteUser", (WRITE, then)).await?;
        }
        let (authority, by) = (self.authority.clone(), change.by());
        let to = RemoteUserChange {
            local_user: Some(local_user),
            ..RemoteUserChange::default()
        };
        let work = async move {
            authority
                .change_remote_user(&user.node, &user.name, to, &by)
                .await
        };
        change.make(work).await.map(shown)
    }

    pub(in super::super) async fn delete_remote_user(
        &self,
        caller: &Caller,
        asked: DeleteRemoteUserRequest,
    ) -> Result<(), Refused> {
        let what = self.known(&asked.node, &asked.name).await?;
        let change = self.may_change(caller, "DeleteRemoteUser", (WRITE, what)).await?;
        let (authority, by) = (self.authority.clone(), change.by());
        let work = async move { authority.remove_remote_user(&asked.node, &asked.name, &by).await };
        change.make(work).await
    }

    /// The resource with whose it is. Whether there is one at all is told only to those who may know.
    async fn known(&self, node: &str, name: &str) -> Result<HouseResource, Refused> {
        let resource = resource(node, name)?;
        match read(self.authority.remote_user(node, name)).await {
            Ok(user) => Ok(owned(resource, user.local_user.as_ref())),
            Err(Refused::Store(StoreError::NotFound)) => Ok(resource),
            Err(refused) => Err(refused),
        }
    }

    /// Who somebody is here, by an issuer that there is: anybody else would never come.
    fn somebody(&self, user: &RemoteUser) -> Result<Option<LocalUser>, Refused> {
        let somebody = local_user("local_user", &user.local_user)?;
        if let Some(somebody) = &somebody {
            self.known_issuer(&somebody.issuer)?;
        }
        Ok(somebody)
    }
}

fn resource(node: &str, name: &str) -> Result<HouseResource, Refused> {
    required("node", node)?;
    required("name", name)?;
    let resource = HouseResource::item(KIND, Some(&format!("{node}/{name}")));
    Ok(resource.with("node", HouseValue::Text(node.to_owned())))
}

fn shown(user: authority::RemoteUser) -> RemoteUser {
    RemoteUser {
        node: user.node,
        name: user.name,
        local_user: user.local_user.as_ref().map(id).unwrap_or_default(),
    }
}
