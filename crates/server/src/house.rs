//! The running server: everything wired together, started in order and stopped in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contracts::grpc::AuthorizationService;
use contracts::http::HttpDoors;
use decide::problem::Problem;
use decide::{Pipeline, Recorder, Rules};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::admin::Admin;
use crate::authority;
use crate::config::{Config, Loaded};
use crate::listen::{Connections, Language, Listener, Stop};
use crate::metrics::{Counted, Metrics};
use crate::recent::Recent;
use crate::reload::{Origin, Reload, Trigger, warn_of_audit};
use crate::tls::Tls;

/// A running server.
#[derive(Debug)]
pub struct House {
    listener: Listener,
    http: Vec<Listener>,
    admin: Admin,
    authority: Option<authority::Running>,
    reload: Option<Reload>,
    /// Tells of certificates that expire.
    _dates: AbortOnDropHandle<()>,
    stop: watch::Sender<Stop>,
    grace: Duration,
    drain: Duration,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be had.
    #[error("cannot listen on {address} (`{setting}`): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting it came from.
        setting: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The store of the authority cannot be used.
    #[error("the store (`authority.store`) cannot be used: {0}")]
    Store(String),
    /// Network mode has no way to sign or to send.
    #[error("network mode (`authority.network`) cannot be used: {0}")]
    Network(String),
    /// There is no thread for reloading.
    #[error("no thread: {0}")]
    Thread(io::Error),
    /// The rules do not fit together.
    #[error("the issuers cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Issuers(Vec<Problem>),
}

impl House {
    /// Starts fetching keys, then listens. Answers from the first moment; until keys are there, tokens are denied and
    /// `/readyz` says no.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub async fn start(
        config: &Config,
        rules: Arc<Rules>,
        recorder: Box<dyn Recorder>,
    ) -> Result<Self, StartError> {
        Self::start_with(config, rules, recorder, None).await
    }

    /// The same, and puts changes of the files that all this came from in force.
    ///
    /// # Errors
    /// As [`House::start`].
    pub async fn start_reloading(
        loaded: Loaded,
        origin: Origin,
        recorder: Box<dyn Recorder>,
    ) -> Result<Self, StartError> {
        Self::start_with(&loaded.config, loaded.rules, recorder, Some(origin)).await
    }

    async fn start_with(
        config: &Config,
        rules: Arc<Rules>,
        recorder: Box<dyn Recorder>,
        origin: Option<Origin>,
    ) -> Result<Self, StartError> {
        warn_of_audit(&rules);
        let recent = Recent::new(&config.explain);
        let counted = Counted::new(recent.before(recorder));
        let pipeline = Arc::new(
            Pipeline::start(
                rules,
                Box::new(counted.clone()),
                &tokio::runtime::Handle::current(),
            )
            .map_err(StartError::Issuers)?
            .with_most_waiting(config.limits.max_waiting),
        );
        let (stop, stopped) = watch::channel(Stop::No);
        let failed = |address, setting| {
            move |source| StartError::Listen {
                address,
                setting,
                source,
            }
        };
        let tls = Tls::new(&config.tls);
        let reload = origin.map(|origin| {
            let replaced = (Arc::downgrade(&pipeline), tls.clone());
            Reload::start(origin, config, replaced, stopped.clone()).map_err(StartError::Thread)
        });
        let reload = reload.transpose()?;
        let authority = match &config.authority {
            Some(section) => Some(authority::Running::start(section, tls.of("authority"), &pipeline).await?),
            None => None,
        };
        let limits = &config.limits;
        let connections = |name| Connections::new(name, limits);
        let at_grpc = connections("listen.envoy_grpc".to_owned());
        let at_http = (0..config.listen.http.len()).map(|index| connections(format!("listen.http[{index}]")));
        let at_http: Vec<Arc<Connections>> = at_http.collect();
        let listeners = [&at_grpc].into_iter().chain(&at_http).cloned();
        let metrics = Metrics::new(
            counted,
            Arc::clone(&pipeline),
            config,
            (reload.clone(), recent.clone(), tls.clone()),
            authority.as_ref().map(|running| running.authority().clone()),
            listeners.collect(),
        );
        let admin = Admin::start(
            (config.admin, tls.clone()),
            Arc::clone(&pipeline),
            (reload.clone(), recent, metrics),
            authority.as_ref().map(|running| running.authority().clone()),
            stopped.clone(),
        )
        .await
        .map_err(failed(config.admin, "admin"))?;
        let threads = config
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
        let threads = threads.max(1);
        let told = |options, connections: &Connections| contracts::Listener {
            max_message_bytes: limits.max_message_bytes,
            room: connections.room.clone(),
            options,
        };
        let grpc = &config.listen.envoy_grpc_options;
        let service = AuthorizationService::new(Arc::clone(&pipeline), told(grpc.options(), &at_grpc));
        let address = config.listen.envoy_grpc;
        let listener = Listener::start(
            (address, tls.of("listen.envoy_grpc")),
            Language::Grpc(service),
            grpc.allowed_peers(),
            threads,
            (limits, at_grpc),
            &stopped,
        )
        .await
        .map_err(failed(address, "listen.envoy_grpc"))?;
        let mut http = Vec::with_capacity(config.listen.http.len());
        for (index, (settings, connections)) in config.listen.http.iter().zip(at_http).enumerate() {
            let doors = HttpDoors::new(
                Arc::clone(&pipeline),
                settings.doors(),
                told(settings.options(), &connections),
            );
            let (address, language) = (settings.address, Language::Http(doors));
            http.push(
                Listener::start(
                    (address, tls.of(&format!("listen.http[{index}]"))),
                    language,
                    settings.allowed_peers(),
                    threads,
                    (limits, connections),
                    &stopped,
                )
                .await
                .map_err(failed(address, "listen.http"))?,
            );
        }
        Ok(Self {
            listener,
            http,
            admin,
            authority,
            reload,
            _dates: AbortOnDropHandle::new(tokio::spawn(tls.watch_dates())),
            stop,
            grace: Duration::from_secs(config.grace_seconds),
            drain: Duration::from_secs(config.drain_seconds),
        })
    }

    /// Where proxies ask over gRPC.
    pub fn envoy_grpc(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where proxies ask over HTTP, in the order of the configuration.
    pub fn http(&self) -> Vec<SocketAddr> {
        self.http.iter().map(Listener::address).collect()
    }

    /// Where clients and other nodes ask the authority, if there is one.
    pub fn authority(&self) -> Option<SocketAddr> {
        self.authority.as_ref().map(authority::Running::address)
    }

    /// Where operators and probes ask.
    pub fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Looks at the files now, as after SIGHUP, and puts changes in force.
    pub fn reload(&self) {
        if let Some(reload) = &self.reload {
            reload.ask(Trigger::Hangup);
        }
    }

    /// Says "not ready", goes on for the grace period, takes no new connections, lets what is in flight finish, and
    /// ends. Nothing of the rules and of the recorder is in use afterwards.
    pub async fn stop(self) {
        self.stop.send_replace(Stop::Leaving);
        if let Some(reload) = &self.reload {
            reload.stop();
        }
        tokio::time::sleep(self.grace).await;
        self.stop.send_replace(Stop::Drain(self.drain));
        // All at the same time.
        let authority = self
            .authority
            .map(|authority| tokio::spawn(authority.stop(self.drain)));
        self.listener.finished().await;
        for listener in self.http {
            listener.finished().await;
        }
        if let Some(authority) = authority {
            let _ = authority.await;
        }
        self.admin.stop().await;
    }
}
