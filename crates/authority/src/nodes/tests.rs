//! Nodes, their users and their tokens in a store, as changes of several meet.

use super::*;
use crate::keys::tests::{Kept, sealed};
use crate::{RemoteUser, RemoteUserChange};

fn node(name: &str) -> Node {
    let url = || "https://b.test/".to_owned();
    Node {
        name: name.to_owned(),
        base_url: url(),
        jwks_url: url(),
        token_url: url(),
        authorization_url: url(),
        redirect_uris: Vec::new(),
    }
}

fn user(name: &str, local: Option<&str>) -> RemoteUser {
    RemoteUser {
        node: "b".to_owned(),
        name: name.to_owned(),
        local_user: local.map(|subject| model::LocalUser {
            issuer: "main".to_owned(),
            subject: subject.to_owned(),
        }),
    }
}

#[tokio::test]
async fn changes_at_the_same_time_all_stay() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("01")).await;
    authority.add_node(node("b"), "ada").await.unwrap();
    for round in 0..5 {
        let url = || Some(format!("https://b.test/{round}"));
        let no = NodeChange::default;
        let changes = [
            NodeChange {
                base_url: url(),
                ..no()
            },
            NodeChange {
                jwks_url: url(),
                ..no()
            },
            NodeChange {
                token_url: url(),
                ..no()
            },
            NodeChange {
                authorization_url: url(),
                ..no()
            },
        ];
        let changed = changes.map(|to| authority.change_node("b", to, "ada"));
        for changed in futures_util::future::join_all(changed).await {
            changed.unwrap();
        }
        let now = authority.node("b").await.unwrap();
        for found in [now.base_url, now.jwks_url, now.token_url, now.authorization_url] {
            assert_eq!(Some(found), url());
        }

        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        authority
            .add_remote_user(user(&old, Some("alice")), "ada")
            .await
            .unwrap();
        let unmap = RemoteUserChange {
            local_user: Some(None),
            ..RemoteUserChange::default()
        };
        let rename = RemoteUserChange {
            name: Some(new.clone()),
            ..RemoteUserChange::default()
        };
        let (unmapped, renamed) = tokio::join!(
            authority.change_remote_user("b", &old, unmap, "ada"),
            authority.change_remote_user("b", &old, rename, "ada"),
        );
        renamed.unwrap();
        let found = authority.remote_user("b", &new).await.unwrap().local_user;
        assert_eq!(
            found.is_none(),
            unmapped.is_ok(),
            "{unmapped:?} is said of {found:?}"
        );
        authority.remove_remote_user("b", &new, "ada").await.unwrap();
    }
}
