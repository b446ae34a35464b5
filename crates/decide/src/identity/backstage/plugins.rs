//! Tokens that Backstage's plugins make for the plugins they call, where a gateway stands between plugins.
//!
//! Told apart by `typ` in the header. `sub` is the calling plugin, `aud` the called one; there is no `iss`, so each plugin
//! listed is its own issuer. The principal is the robot `plugin:<id>`, and its tags are the plugins in `aud`, without
//! further restrictions. A token in which a plugin acts for a user (`obo`) is refused: whose rights count would be a guess.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::entries;
use super::restrictions::{Tags, all_of, is_plugin_id};
use super::settings::BackstageSettings;
use crate::identity::algorithm::Algorithm;
use crate::identity::claims::{Claims, Demands, Registered, fault};
use crate::identity::fetch::{self, Source};
use crate::identity::fetching::Fetching;
use crate::identity::jws::Jws;
use crate::identity::keys::{IssuerKeys, Pace};
use crate::identity::refusal::{ClaimFault, TokenRefusal};
use crate::identity::settings::acceptable_url;
use crate::identity::signature::{SignedWith, Stop, check_signature};
use crate::identity::verifier::Question;
use crate::problem::Problem;

/// A plugin whose tokens are accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginSettings {
    /// The plugin's id, as in `/api/<id>`: `sub` of its tokens, and `aud` of those for it.
    pub id: String,
    /// Where the plugin publishes its keys: `<backend>/api/<id>/.backstage/auth/v1/jwks.json`. `https`, or `http` on this
    /// very host.
    pub jwks_uri: String,
}

/// A plugin with its keys.
pub(super) struct Plugin {
    /// Its keys.
    pub(super) keys: Arc<IssuerKeys>,
    id: String,
    demands: Demands,
}

/// What a good token of a plugin says.
pub(super) struct Called {
    /// `plugin:<id>`.
    pub(super) subject: String,
    /// The plugins that it may call.
    pub(super) tags: Tags,
    /// The registered claims.
    pub(super) registered: Registered,
    /// The key that signed it.
    pub(super) signed_with: SignedWith,
}

impl Plugin {
    /// The plugin of that (validated) settings, among all that are configured; fetching begins at once.
    pub(super) fn new(
        label: &str,
        settings: &PluginSettings,
        all: &BackstageSettings,
        times: &Demands,
        fetching: &Fetching<'_>,
    ) -> Self {
        let source = Source {
            issuer: settings.jwks_uri.clone(),
            place: fetch::Place::Urls(vec![settings.jwks_uri.clone()]),
        };
        Self {
            keys: fetching.keys(label, source, Pace::USUAL),
            id: settings.id.clone(),
            demands: Demands {
                audiences: all.plugins.iter().map(|plugin| plugin.id.clone()).collect(),
                ..times.clone()
            },
        }
    }

    /// True for a token that says it is of this plugin.
    pub(super) fn made(&self, jws: &Jws<'_>) -> bool {
        let subject = jws.claims.get("sub").and_then(|sub| sub.as_str());
        super::internal(jws) == Some(TokenRefusal::BackstagePlugin) && subject == Some(&self.id)
    }

    /// Judges a token of this plugin.
    pub(super) fn judge(&self, jws: &Jws<'_>, question: &Question<'_>) -> Result<Called, Stop> {
        if !Algorithm::ASYMMETRIC.contains(&jws.algorithm) {
            return Err(TokenRefusal::AlgorithmNotAllowed(jws.algorithm).into());
        }
        let claims = Claims(&jws.claims);
        let registered = Registered::check(claims, &self.demands, question.now)?;
        if registered.issued_at.is_none() {
            return Err(fault("iat", ClaimFault::Missing).into());
        }
        if ["obo", "act"].iter().any(|name| jws.claims.contains_key(*name)) {
            return Err(TokenRefusal::BackstageOnBehalf.into());
        }
        let signed_with = check_signature(&self.keys, jws)?;
        let listed = |aud: &&String| self.demands.audiences.contains(aud);
        let tags = registered.audiences.iter().filter(listed);
        Ok(Called {
            subject: subject(&self.id),
            tags: tags.map(|plugin| all_of(plugin)).collect(),
            registered,
            signed_with,
        })
    }
}

/// The subject of a plugin that calls.
fn subject(id: &str) -> String {
    format!("plugin:{id}")
}

/// All problems of the list `plugins`, at once.
pub(super) fn validate(settings: &BackstageSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (entries, _) = entries::read(settings);
    for (index, plugin) in settings.plugins.iter().enumerate() {
        let pointer = |field: &str| format!("/backstage/plugins/{index}/{field}");
        let mut before = settings.plugins.iter().take(index);
        if !is_plugin_id(&plugin.id) {
            let help = "letters, digits, `_` and `-`, for example `catalog`";
            problems.push(Problem::setting(pointer("id"), "this is no plugin id", help));
        }
        if before.any(|other| other.id.eq_ignore_ascii_case(&plugin.id)) {
            let message = "another entry is for the same plugin";
            problems.push(Problem::setting(
                pointer("id"),
                message,
                "a plugin has one set of keys",
            ));
        }
        let subject = subject(&plugin.id);
        if entries
            .iter()
            .any(|entry| entry.proof.subject() == Some(&subject))
        {
            problems.push(Problem::setting(
                pointer("id"),
                format!("callers of an entry of `externalAccess` have the subject `{subject}`, too"),
                "choose another subject there: policies could not tell the two apart",
            ));
        }
        if let Err(why) = acceptable_url(&plugin.jwks_uri) {
            let help =
                "for example `https://backstage.example.test/api/catalog/.backstage/auth/v1/jwks.json`";
            problems.push(Problem::setting(
                pointer("jwks_uri"),
                format!("the URL {why}"),
                help,
            ));
        }
    }
    problems
}
