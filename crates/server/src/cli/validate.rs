//! `portcullis validate`: every problem at once, and the table of routes.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{ConfigFile, Output, eprint_invalid, say};
use crate::config::Loaded;

/// Check everything that `serve` would load.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Validate {
    #[command(flatten)]
    file: ConfigFile,
    /// How it is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "\
Examples:
  portcullis validate --config policies/default/portcullis.yaml
  portcullis validate --config policies/default/portcullis.yaml -o json

With -o json: `valid`, `problems` (each with severity, file, line, column, message and help), and if it is valid what is
in it. Exit codes: 0 valid, 1 failed, 2 wrong usage, 4 invalid configuration or policies.";

impl Validate {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match self.file.load_for(self.output) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        if self.output == Output::Json {
            say(&format!("{:#}\n", json(&loaded)));
            return ExitCode::SUCCESS;
        }
        eprint_invalid(&loaded.advice);
        let rules = &loaded.rules;
        let rows: Vec<[String; 4]> = rules
            .routes()
            .routes()
            .iter()
            .map(|route| {
                let methods: Vec<&str> = route.actions.iter().map(|(method, _)| &**method).collect();
                let named = route
                    .actions
                    .iter()
                    .find(|(method, action)| **method != *action.name);
                [
                    route.name.to_string(),
                    methods.join(" "),
                    named.map_or_else(
                        || "(the method)".to_owned(),
                        |(_, action)| action.name.to_string(),
                    ),
                    match route.public {
                        true => format!("{} (PUBLIC)", route.resource.kind),
                        false => route.resource.kind.to_string(),
                    },
                ]
            })
            .collect();
        let header = ["route", "methods", "action", "resource"].map(str::to_owned);
        let width = |column: usize| {
            let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        let mut table = String::new();
        for [route, methods, action, resource] in [&header].into_iter().chain(&rows) {
            let _ = writeln!(
                table,
                "{route:0$}  {methods:1$}  {action:2$}  {resource}",
                widths[0], widths[1], widths[2],
            );
        }
        let _ = writeln!(
            table,
            "\nheaders that the proxy copies or clears: {}",
            rules.upstream_headers().join(" ")
        );
        let _ = writeln!(
            table,
            "valid. policies: {}, routes: {}, issuers: {}, version: {}",
            rules.policies().count(),
            rows.len(),
            loaded.config.settings.identity.issuers.len(),
            rules.version()
        );
        say(&table);
        ExitCode::SUCCESS
    }
}

/// A valid configuration for programs.
fn json(loaded: &Loaded) -> Value {
    let rules = &loaded.rules;
    let routes: Vec<Value> = rules
        .routes()
        .routes()
        .iter()
        .map(|route| {
            let actions = route.actions.iter();
            let actions: Map<String, Value> = actions
                .map(|(method, action)| (method.to_string(), action.name.to_string().into()))
                .collect();
            json!({
                "route": route.name.to_string(),
                "actions": actions,
                "resource": route.resource.kind.to_string(),
                "public": route.public,
            })
        })
        .collect();
    json!({
        "valid": true,
        "problems": loaded.advice.json(),
        "routes": routes,
        "policies": rules.policies().count(),
        "issuers": loaded.config.settings.identity.issuers.len(),
        "headers": rules.upstream_headers(),
        "version": rules.version().to_string(),
    })
}
