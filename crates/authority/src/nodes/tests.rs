//! Nodes, their users and their tokens in a store, as changes of several meet.

use super::*;
use crate::keys::tests::{Kept, sealed};
use crate::{NodeClaims, RemoteUser, RemoteUserChange, prune};

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
    let authority = kept.open(&sealed("1")).await;
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

/// What a node said, with that digest, good until then.
fn claims(digest: &str, ends_at: i64) -> NodeClaims {
    NodeClaims {
        node: "b".to_owned(),
        user_name: None,
        requesting_user_name: None,
        all: serde_json::Map::new(),
        digest: digest.to_owned(),
        ends_at,
    }
}

#[tokio::test]
async fn a_node_s_token_counts_once_and_for_longer_than_clocks_differ() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("1")).await;
    for (digest, ends_in, again) in [("1", 25, false), ("2", -500, false), ("3", -700, true)] {
        let claims = claims(digest, now() + ends_in);
        authority.count_node_token(&claims).await.unwrap();
        let counted = authority.count_node_token(&claims).await;
        assert_eq!(counted.is_ok(), again, "{ends_in}: {counted:?}");
    }
}

#[tokio::test]
async fn users_who_are_nobody_and_have_no_token_are_forgotten() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("1")).await;
    authority.add_node(node("b"), "ada").await.unwrap();
    for (name, local) in [("somebody", Some("alice")), ("nobody", None)] {
        authority.add_remote_user(user(name, local), "ada").await.unwrap();
    }
    for (name, seconds) in [("with-a-token", 10_000), ("with-an-old-one", 1)] {
        let claims = claims(name, now() + 25);
        authority
            .give_network_token(&claims, name, seconds)
            .await
            .unwrap();
    }
    let users = async || {
        let page = Page {
            after: None,
            limit: 10,
        };
        let users = authority.remote_users(&Default::default(), page).await.unwrap();
        users.items.into_iter().map(|user| user.name).collect::<Vec<_>>()
    };
    prune::prune(&authority.store, now() - 100).await.unwrap();
    assert_eq!(users().await.len(), 4, "they came just now");
    prune::prune(&authority.store, now() + 100).await.unwrap();
    assert_eq!(users().await, ["somebody", "with-a-token"]);
}

#[tokio::test]
async fn only_what_changes_tokens_has_them_read_again() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("1")).await;
    let mut last = kept.view().network_tokens;
    let mut read_again = || {
        let before = std::mem::replace(&mut last, kept.view().network_tokens);
        !std::sync::Arc::ptr_eq(&before, &last)
    };
    let alice = user("x", Some("alice")).local_user.unwrap();
    let (url, name) = (Some("https://b.test/2".to_owned()), Some("c".to_owned()));
    let claims = claims("1", now() + 25);

    authority.add_node(node("b"), "ada").await.unwrap();
    assert!(!read_again(), "a new node");
    authority.add_remote_user(user("rob", None), "ada").await.unwrap();
    assert!(!read_again(), "a new user");
    authority.ask_for_link("b", &alice).await.unwrap();
    assert!(!read_again(), "a link that is asked for");
    authority.count_node_token(&claims).await.unwrap();
    assert!(!read_again(), "a token of a node");
    let to = NodeChange {
        jwks_url: url,
        ..NodeChange::default()
    };
    authority.change_node("b", to, "ada").await.unwrap();
    assert!(!read_again(), "another address");
    let to = NodeChange {
        name,
        ..NodeChange::default()
    };
    authority.change_node("b", to, "ada").await.unwrap();
    assert!(read_again(), "another name");
    authority.remove_node("c", "ada").await.unwrap();
    assert!(read_again(), "no node");
}
