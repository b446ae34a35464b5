//! PostgreSQL is stopped, killed, cut off or replaced under load: nothing that was revoked is ever allowed by who
//! acknowledged it, nothing at all when nobody can know, and all is well again without a restart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::postgres::{Line, PostgresServer, Wire};
use super::replica::{ALICE, Replica};
use crate::house::until;

/// Somebody who revokes on a replica all the time, and somebody who asks it.
struct Load {
    acknowledged: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(replica: &Arc<Replica>, name: &'static str) -> Self {
        let (acknowledged, stop) = (
            Arc::new(Mutex::new(Vec::<String>::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let revoking = {
            let (replica, acknowledged, stop) =
                (Arc::clone(replica), Arc::clone(&acknowledged), Arc::clone(&stop));
            async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let id = format!("{name}-{number}");
                    number += 1;
                    if replica.revoke_token(&id).await.is_ok() {
                        assert!(!replica.allows(&id), "{id} was acknowledged");
                        acknowledged.lock().expect("no panic").push(id);
                    }
                    tokio::task::yield_now().await;
                }
            }
        };
        let asking = {
            let (replica, acknowledged, stop) =
                (Arc::clone(replica), Arc::clone(&acknowledged), Arc::clone(&stop));
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let known = acknowledged.lock().expect("no panic").clone();
                    for id in known.iter().rev().take(50).chain(known.first()) {
                        assert!(!replica.allows(id), "{id} was acknowledged");
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
        };
        Self {
            acknowledged,
            stop,
            tasks: vec![tokio::spawn(revoking), tokio::spawn(asking)],
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("no panic").len()
    }

    /// More is acknowledged than now.
    async fn goes_on(&self) {
        let before = self.count();
        until("changes are acknowledged", async || self.count() > before).await;
    }

    /// All that was acknowledged.
    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("nothing revoked was allowed");
        }
        self.acknowledged.lock().expect("no panic").clone()
    }
}

/// Everything is denied, and the status says why.
async fn knows_nothing(replica: &Replica) {
    until("what is too old is not believed", async || {
        replica.verdict(ALICE, "good") == Some("unknown")
    })
    .await;
    let status = replica.authority.status();
    assert!(!status.connected && !status.good, "{status:?}");
    assert!(status.age.is_some_and(|age| age.as_secs() >= 3), "{status:?}");
    assert!(status.last_error.is_some(), "{status:?}");
}

async fn knows_all(replica: &Replica, acknowledged: &[String]) {
    until("all that was acknowledged is known", async || {
        replica.allows("good") && acknowledged.iter().all(|id| !replica.allows(id))
    })
    .await;
    let status = replica.authority.status();
    assert!(
        status.connected && status.good && status.last_error.is_none(),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_or_crashes() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    let url = server.database("house");
    let replicas = [
        Arc::new(Replica::impatient(&url).await),
        Arc::new(Replica::impatient(&url).await),
    ];
    let loads = [Load::on(&replicas[0], "one"), Load::on(&replicas[1], "other")];
    for round in 0..2 {
        for load in &loads {
            load.goes_on().await;
        }
        if round == 0 {
            server.stop().await;
        } else {
            server.kill();
        }
        for replica in &replicas {
            knows_nothing(replica).await;
        }
        server.run().await;
        for load in &loads {
            load.goes_on().await;
        }
    }
    let mut all = Vec::new();
    for load in loads {
        all.extend(load.end().await);
    }
    for replica in &replicas {
        knows_all(replica, &all).await;
    }
    knows_all(&Replica::start(&url).await, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_cut_off() {
    let Some(server) = PostgresServer::start().await else {
        return;
    };
    let direct = Arc::new(Replica::impatient(&server.database("house")).await);
    let line = Line::to(&server).await;
    let far = Arc::new(Replica::impatient(&line.url("house")).await);
    let loads = [Load::on(&direct, "direct"), Load::on(&far, "far")];
    for wire in [Wire::Swallows, Wire::Cut] {
        for load in &loads {
            load.goes_on().await;
        }
        line.set(wire);
        knows_nothing(&far).await;
        // What the one that is cut off had begun holds nobody up for long.
        loads[0].goes_on().await;
        assert!(direct.allows("good"));
        let refused = far.revoke_token("refused").await;
        assert!(refused.is_err(), "{wire:?}: {refused:?}");
        line.set(Wire::Whole);
        for load in &loads {
            load.goes_on().await;
        }
    }
    let mut all = Vec::new();
    for load in loads {
        all.extend(load.end().await);
    }
    for replica in [&direct, &far] {
        knows_all(replica, &all).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_yet() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    let url = server.database("house");
    server.stop().await;
    let replica = Replica::impatient(&url).await;
    assert_eq!(replica.verdict(ALICE, "good"), Some("unknown"));
    assert!(replica.revoke_token("a").await.is_err());
    server.run().await;
    until("it is found", async || replica.allows("good")).await;
    replica.revoke_token("a").await.expect("a revocation");
    assert!(!replica.allows("a"));
}

#[tokio::test]
async fn a_server_that_lost_changes_is_not_believed() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    let url = server.database("house");
    let replica = Replica::impatient(&url).await;
    replica.revoke_token("kept").await.expect("a revocation");
    server.stop().await;
    let copy = server.copy();
    server.run().await;
    until("it can be reached again", async || {
        replica.revoke_token("lost").await.is_ok()
    })
    .await;
    server.stop().await;
    server.put_back(&copy);
    server.run().await;
    until("it says so", async || {
        let status = replica.authority.status();
        status.last_error.is_some_and(|error| error.contains("went back"))
    })
    .await;
    // As many changes as were lost, by somebody who does not know: the numbers are the same again, the contents are not.
    let newcomer = Replica::start(&url).await;
    newcomer.revoke_token("new").await.expect("a revocation");
    newcomer.revoke_token("newer").await.expect("a revocation");
    for id in ["kept", "lost"] {
        assert!(!replica.allows(id), "{id}");
    }
    until("nothing is allowed", async || {
        replica.verdict(ALICE, "good") == Some("unknown")
    })
    .await;
    let error = replica
        .revoke_token("another")
        .await
        .expect_err("it could not be put in force here");
    assert!(error.to_string().contains("went back"), "{error}");
    assert!(newcomer.allows("another"));
}

#[tokio::test]
async fn a_standby_confirms_nothing() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    let url = server.database("house");
    let replica = Replica::impatient(&url).await;
    replica.revoke_token("a").await.expect("a revocation");
    server.stop().await;
    server.becomes_standby();
    server.run().await;
    until("it says so", async || {
        let status = replica.authority.status();
        status.last_error.is_some_and(|error| error.contains("standby"))
    })
    .await;
    knows_nothing(&replica).await;
}
