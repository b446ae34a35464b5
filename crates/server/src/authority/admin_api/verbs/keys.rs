//! What the house signs with, without the private parts.

use authority::{KeyInfo, KeyUse, Rotation};
use decide::{HouseAction, HouseResource};
use proto::portcullis::admin::v1::{
    DeleteKeyRequest, Key, ListKeysRequest, ListKeysResponse, RotateKeysRequest,
};

use super::super::caller::Caller;
use super::super::refused::Refused;
use super::{AdminApi, read, required, time};

impl AdminApi {
    pub(in super::super) async fn list_keys(
        &self,
        caller: &Caller,
        _: ListKeysRequest,
    ) -> Result<ListKeysResponse, Refused> {
        let what = HouseResource::item("key", None);
        self.may(caller, "ListKeys", (HouseAction::KeysRead, what))
            .await?;
        read(self.authority.keys()).await.map(shown)
    }

    pub(in super::super) async fn rotate_keys(
        &self,
        caller: &Caller,
        asked: RotateKeysRequest,
    ) -> Result<ListKeysResponse, Refused> {
        let wanted = algorithm(&asked.algorithm)?;
        let what = HouseResource::item("key", None);
        let change = self
            .may_change(caller, "RotateKeys", (HouseAction::KeysWrite, what))
            .await?;
        let uses = match wanted {
            Some(usage) => vec![usage],
            None => self.uses().await?,
        };
        let rotation = if asked.now {
            Rotation::Now
        } else {
            Rotation::Published
        };
        let (authority, by) = (self.authority.clone(), change.by());
        let work = async move {
            authority.rotate_keys(&by, &uses, rotation).await?;
            authority.keys().await
        };
        change.make(work).await.map(shown)
    }

    pub(in super::super) async fn delete_key(
        &self,
        caller: &Caller,
        asked: DeleteKeyRequest,
    ) -> Result<(), Refused> {
        required("kid", &asked.kid)?;
        let what = HouseResource::item("key", Some(&asked.kid));
        let change = self
            .may_change(caller, "DeleteKey", (HouseAction::KeysWrite, what))
            .await?;
        let (authority, by) = (self.authority.clone(), change.by());
        change
            .make(async move { authority.remove_key(&by, &asked.kid).await })
            .await
    }

    /// What there are keys for.
    async fn uses(&self) -> Result<Vec<KeyUse>, Refused> {
        let keys = read(self.authority.keys()).await?;
        let has = |usage: &KeyUse| keys.iter().any(|key| key.usage == *usage);
        let uses: Vec<KeyUse> = KeyUse::ALL.into_iter().filter(has).collect();
        if uses.is_empty() {
            let why =
                "there are no keys yet, they are made when they are needed first; `algorithm` makes some now";
            return Err(Refused::Invalid(why.to_owned()));
        }
        Ok(uses)
    }
}

fn algorithm(name: &str) -> Result<Option<KeyUse>, Refused> {
    if name.is_empty() {
        return Ok(None);
    }
    let found = KeyUse::ALL.into_iter().find(|usage| usage.algorithm() == name);
    found
        .map(Some)
        .ok_or_else(|| Refused::Invalid(format!("`algorithm` is {name:?}: it is EdDSA or RS256")))
}

fn shown(keys: Vec<KeyInfo>) -> ListKeysResponse {
    let keys = keys.into_iter().map(|key| Key {
        kid: key.kid,
        algorithm: key.usage.algorithm().to_owned(),
        signs: key.signs,
        created_at: Some(time(key.created_at)),
        retired_at: key.retired_at.map(time),
        verifies_until: key.verifies_until.map(time),
    });
    ListKeysResponse { keys: keys.collect() }
}
