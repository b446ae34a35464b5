//! Pieces of configuration and policies that pages show: each is valid with one of the packs around it.

use std::str::FromStr as _;

use cedar_policy::{PolicySet, Schema, ValidationMode, ValidationWarning, Validator};
use portcullis::demo::issuer::LocalIssuer;
use serde_json::{Map, Value, json};

use super::page::{Block, pages};
use super::surroundings::{Surroundings, merge, texts, write};
use crate::{Ran, portcullis, root, run};

/// YAML that is no piece of our configuration: how it begins, and what it is.
const NO_SETTINGS: &[(&str, &str)] = &[
    (
        "# file: ",
        "a file by itself, which whoever reads the page writes",
    ),
    ("now: ", "a suite; `packs.rs` runs it"),
    ("- run: ", "steps of a pipeline; `documented.rs` runs them"),
    ("clusters:", "Envoy's"),
    ("with_request_body:", "Envoy's"),
    ("opa:", "APISIX'"),
    ("traffic.sidecar.istio.io/", "Istio's, an annotation of pods"),
];

/// What a block writes for something that readers have otherwise.
const INSTEAD: &[(&str, &str)] = &[
    ("files: [policies/]", "files: [workspaces.cedar, public.cedar]"),
    ("magpie: { service: thredds }", "magpie: { service: thredds-1 }"),
];

const PACKS: [&str; 5] = ["default", "backstage", "eoepca", "magpie", "wlcg"];

/// Where a block belongs in a configuration.
enum Piece {
    Settings(Value),
    /// Of an issuer.
    Issuer(Value),
    Routes(Vec<Value>),
}

impl Piece {
    fn of(block: &Block) -> Option<Self> {
        let mut text = block.text.clone();
        for (written, instead) in INSTEAD {
            text = text.replace(written, instead);
        }
        match serde_saphyr::from_str(&text).expect("YAML") {
            Value::Object(all) if known("", &all) => Some(Self::Settings(Value::Object(all))),
            Value::Object(all) if known("/$defs/IssuerSettings", &all) => {
                Some(Self::Issuer(Value::Object(all)))
            }
            Value::Array(all) if all.iter().all(|route| route["path"].is_string()) => Some(Self::Routes(all)),
            _ => None,
        }
    }

    /// The configuration with it.
    fn put_into(&self, config: &mut Value) {
        match self {
            Self::Settings(settings) => merge(config, settings.clone()),
            Self::Issuer(settings) => {
                config["issuers"][0]["profile"] = "oidc".into();
                merge(&mut config["issuers"][0], settings.clone());
            }
            Self::Routes(routes) => {
                for route in routes {
                    // What a part of a route leaves out.
                    let kind = &config["routes"][0]["resource"]["type"];
                    let mut whole = json!({ "methods": ["GET"], "resource": { "type": kind } });
                    merge(&mut whole, route.clone());
                    config["routes"].as_array_mut().expect("routes").push(whole);
                }
            }
        }
    }
}

/// Whether these are all names of settings there.
fn known(place: &str, settings: &Map<String, Value>) -> bool {
    let schema = std::fs::read_to_string(root().join("deploy/config.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let names = &schema.pointer(place).expect("settings")["properties"];
    settings.keys().all(|name| names.get(name).is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_piece_of_configuration_is_valid() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let here = Surroundings::new("snippets", None, &issuer);
    let (mut valid, mut wrong, mut used) = (0, Vec::new(), Vec::new());
    for page in pages() {
        for block in page.blocks_of("yaml") {
            if let Some((begins, _)) = NO_SETTINGS
                .iter()
                .find(|(begins, _)| block.text.starts_with(begins))
            {
                used.push(*begins);
                continue;
            }
            let place = block.place(&page);
            let Some(piece) = Piece::of(block) else {
                wrong.push(format!("{place}: this is no piece of a configuration"));
                continue;
            };
            let fits = |pack: &str| tokio::task::block_in_place(|| validate(&here, pack, &piece));
            let ran = fits(PACKS[0]);
            if ran.code != Some(0) && !PACKS[1..].iter().any(|pack| fits(pack).code == Some(0)) {
                wrong.push(format!("{place}: {}", ran.err));
            }
            valid += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(valid > 30, "{valid}");
    for (begins, _) in NO_SETTINGS {
        assert!(used.contains(begins), "no block begins with {begins:?}");
    }
}

fn validate(here: &Surroundings<'_>, pack: &str, piece: &Piece) -> Ran {
    let mut config = here.configuration_of(pack);
    if matches!(piece, Piece::Settings(settings) if settings.get("authority").is_some()) {
        config = here.house(config);
    }
    piece.put_into(&mut config);
    let config = texts(config, &|text| here.files_here(text));
    let folder = if pack == "default" {
        here.folder.clone()
    } else {
        here.folder.join("policies").join(pack)
    };
    let file = folder.join("snippet.yaml");
    write(&file, &config.to_string());
    let mut command = portcullis(&["validate", "--config"]);
    command.arg(&file).envs(here.variables(""));
    Ran::of(&command.output().expect("the binary starts"))
}

/// The schemas of the packs, and of the house.
fn schemas(here: &Surroundings<'_>) -> Vec<Schema> {
    let file = here.folder.join("house.yaml").display().to_string();
    let mut printed = vec![run(&["schema", "--authority", "--config", &file])];
    printed.extend(
        PACKS
            .iter()
            .map(|pack| run(&["schema", "--config", &format!("policies/{pack}/portcullis.yaml")])),
    );
    let schemas = printed
        .into_iter()
        .map(|ran| Schema::from_str(&ran.expect(0).out).expect("a schema"));
    schemas.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_policy_is_one_for_some_pack() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let here = Surroundings::new("policies", None, &issuer);
    let schemas = tokio::task::block_in_place(|| schemas(&here));
    let (mut valid, mut wrong) = (0, Vec::new());
    for page in pages() {
        // Policies that are files belong to the other files of their page, with which they are loaded.
        for block in page.blocks_of("cedar").filter(|block| block.file().is_none()) {
            let place = block.place(&page);
            let policies = match PolicySet::from_str(&block.text) {
                Ok(policies) => policies,
                Err(error) => {
                    wrong.push(format!("{place}: {error}"));
                    continue;
                }
            };
            let said = schemas
                .iter()
                .map(|schema| said_of(&policies, schema))
                .collect::<Vec<_>>();
            if !said.iter().any(Vec::is_empty) {
                wrong.push(format!(
                    "{place}: no pack takes this:\n{}",
                    said.concat().join("\n")
                ));
            }
            valid += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(valid > 10, "{valid}");
}

/// What is wrong with policies, or can never apply.
fn said_of(policies: &PolicySet, schema: &Schema) -> Vec<String> {
    let result = Validator::new(schema.clone()).validate(policies, ValidationMode::Strict);
    let errors = result.validation_errors().map(ToString::to_string);
    let dead = |warning: &&ValidationWarning| matches!(warning, ValidationWarning::ImpossiblePolicy(_));
    let warnings = result.validation_warnings().filter(dead).map(ToString::to_string);
    errors.chain(warnings).collect()
}
