//! Configurations to measure: the default pack, and generated ones with as many policies, routes and groups as wanted.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use portcullis::demo::stage::{DEFAULT_CONFIG, default_sources};
use serde_json::{Value, json};

use crate::material::ISSUER;

/// What a configuration consists of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The policies.
    pub(crate) policies: Policies,
    /// Routes besides those of the default pack, none of which the questions are about.
    pub(crate) more_routes: usize,
    /// Threads that answer.
    pub(crate) threads: usize,
    /// Whether records of decisions are written.
    pub(crate) record: bool,
    /// Whether TLS is spoken.
    pub(crate) tls: bool,
    /// Whether a header tells the upstream the groups.
    pub(crate) tells_groups: bool,
}

/// The policies of a configuration.
#[derive(Clone, Debug)]
pub(crate) enum Policies {
    /// Those of `policies/default`.
    DefaultPack,
    /// This many grants of a workspace to a group, as links of a template, none of which fits, and one policy with a
    /// condition, which does.
    Condition {
        /// How many links.
        links: usize,
    },
    /// The same grants, the last of which fits, and no condition.
    ScopeOnly {
        /// How many links.
        links: usize,
    },
    /// The grants of `Condition` as policies of their own.
    Static {
        /// How many.
        count: usize,
    },
    /// `ScopeOnly`, and a grant to each of these groups besides.
    Groups {
        /// Names as in `Group::"main/<name>"`.
        named: Vec<String>,
    },
}

impl Setup {
    /// One answering thread, records written.
    pub(crate) fn new(policies: Policies) -> Self {
        Self {
            policies,
            more_routes: 0,
            threads: 1,
            record: true,
            tls: false,
            tells_groups: true,
        }
    }
}

/// Where a configured server listens.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) config: PathBuf,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

const CONDITION: &str = r#"
@id("members-read")
permit (principal is User, action in Action::"read", resource)
when {
  resource has workspace &&
  principal.hasTag(resource.workspace) &&
  principal.getTag(resource.workspace).contains("ws_access")
};
"#;

const TEMPLATE: &str = r#"
@id("group-reads")
permit (principal in ?principal, action in Action::"read", resource in ?resource);
"#;

/// Writes a configuration into `folder`, which is made, for servers that trust `jwks`.
pub(crate) fn write(folder: &Path, setup: &Setup, jwks: &Value) -> Result<Places, String> {
    let said = |error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(said)?;
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(said);
    put("jwks.json", &jwks.to_string())?;
    let sources = default_sources();
    for file in sources.schema.iter().chain(&sources.policies) {
        let name = file.name.rsplit('/').next().unwrap_or(&file.name);
        put(name, &file.text)?;
    }
    put("condition.cedar", CONDITION)?;
    put("grants.cedar", TEMPLATE)?;
    let mut files = vec!["condition.cedar", "grants.cedar"];
    let mut links = None;
    match &setup.policies {
        Policies::DefaultPack => files = vec!["workspaces.cedar", "public.cedar"],
        Policies::Condition { links: count } => links = Some(grants(*count)),
        Policies::ScopeOnly { links: count } => {
            files = vec!["grants.cedar"];
            let mut all = grants(count.saturating_sub(1));
            all.push(grant("ws-alice", "ws-alice"));
            links = Some(all);
        }
        Policies::Groups { named } => {
            files = vec!["grants.cedar"];
            let mut all = grants(10);
            all.push(grant("ws-alice", "ws-alice"));
            for (number, name) in named.iter().enumerate() {
                all.push(grant(name, &format!("other-{number}")));
            }
            links = Some(all);
        }
        Policies::Static { count } => {
            files = vec!["condition.cedar", "static.cedar"];
            put("static.cedar", &static_grants(*count))?;
        }
    }
    if let Some(grants) = &links {
        put(LINKS, &self::links(grants))?;
    }
    let (grpc, http, admin) = (free()?, free()?, free()?);
    let text = DEFAULT_CONFIG.to_owned();
    let with_links = if links.is_some() {
        format!("\n  links: [{LINKS}]")
    } else {
        String::new()
    };
    let changes = [
        (
            "envoy_grpc: 127.0.0.1:9191",
            format!(
                "envoy_grpc: {grpc}\n  http: [{{ address: \"{http}\", doors: [{{ contract: envoy_http, path: /check }}] }}]"
            ),
        ),
        ("admin: 127.0.0.1:9192", format!("admin: {admin}")),
        (
            "issuer: http://127.0.0.1:8080/realms/demo",
            format!("issuer: {ISSUER}\n    jwks_file: jwks.json\n    min_refresh_interval_seconds: 1 #"),
        ),
        (
            "files: [workspaces.cedar, public.cedar]",
            format!("files: [{}]{with_links}", files.join(", ")),
        ),
        ("\nroutes:\n", format!("\nroutes:\n{}", routes(setup.more_routes))),
    ];
    let told = (!setup.tells_groups).then(|| ("  x-auth-groups: groups\n", String::new()));
    let mut text = changes
        .into_iter()
        .chain(told)
        .try_fold(text, |text, (old, new)| {
            if text.contains(old) {
                Ok(text.replacen(old, &new, 1))
            } else {
                Err(format!("the default configuration no longer has `{old}`"))
            }
        })?;
    let _ = writeln!(text, "\nthreads: {}", setup.threads);
    text.push_str(if setup.record {
        "decision_log: { file: /dev/null }\n"
    } else {
        "decision_log: off\n"
    });
    if setup.tls {
        let names = vec!["127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
        put("tls.crt", &own.cert.pem())?;
        put("tls.key", &own.signing_key.serialize_pem())?;
        let listen = format!("envoy_grpc: {grpc}");
        let tls = "envoy_grpc_options: { tls: { certificate: tls.crt, key: tls.key } }";
        text = text.replacen(&listen, &format!("{listen}\n  {tls}"), 1);
    }
    put("portcullis.yaml", &text)?;
    Ok(Places {
        config: folder.join("portcullis.yaml"),
        grpc,
        http,
        admin,
    })
}

/// Puts another file in the place of one that a server reads, which never sees half of it.
pub(crate) fn replace(file: &Path, text: &str) -> Result<(), String> {
    let beside = file.with_extension("new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, file))
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// The file of links. Large ones are written by programs, as JSON.
pub(crate) const LINKS: &str = "grants.links.json";

/// A list of links.
pub(crate) fn links(grants: &[Value]) -> String {
    Value::from(grants).to_string()
}

fn grant(group: &str, workspace: &str) -> Value {
    json!({
        "template": "group-reads",
        "principal": format!("Group::\"main/{group}\""),
        "resource": format!("Workspace::\"{workspace}\""),
    })
}

/// Grants that concern nobody who asks.
pub(crate) fn grants(count: usize) -> Vec<Value> {
    (0..count)
        .map(|number| grant(&format!("team-{number}"), &format!("ws-{number}")))
        .collect()
}

fn static_grants(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "permit (principal in Group::\"main/team-{number}\", action in Action::\"read\", resource in Workspace::\"ws-{number}\");"
        );
        text
    })
}

fn routes(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "  - {{ path: \"/platform/p{number}/{{page}}/{{rest..}}\", methods: [GET], resource: {{ type: PublicPage }} }}"
        );
        text
    })
}

/// A port that was free a moment ago.
pub(crate) fn free() -> Result<SocketAddr, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port: {error}"))
}
