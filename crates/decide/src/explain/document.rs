//! The explanation as a document: what `portcullis check --explain -o json` prints (`docs/explain.md`). Fields may be added;
//! none is removed or changes its meaning while [`FORMAT`] stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the document's shape.
pub const FORMAT: u32 = 1;

/// One decision with everything that led to it. There is no credential in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// [`FORMAT`].
    pub format: u32,
    /// `allow` or `deny`.
    pub verdict: String,
    /// HTTP status of a denial.
    pub status: Option<u16>,
    /// The class of the reason: `permitted`, `no_permit`, …
    pub reason: String,
    /// The whole reason, in a line.
    pub why: String,
    /// What would have changed the answer, best first; empty for an allow.
    pub hints: Vec<String>,
    /// The id of this decision.
    pub decision_id: String,
    /// The rules that made it.
    pub version: String,
    /// For a decision of a running server: what it decided then. Everything else here was computed when it was explained.
    pub recorded: Option<Recorded>,
    /// The request as read; absent when it could not be read.
    pub request: Option<Request>,
    /// The credential that was found, and how its checks went.
    pub credential: Credential,
    /// Who asks; absent when that is not known.
    pub principal: Option<Principal>,
    /// What is asked for.
    pub route: Route,
    /// What Magpie's permissions say; absent where the route does not ask them.
    #[serde(default)]
    pub magpie: Option<Magpie>,
    /// What the policies were asked: one question for the principal and one for each who acts for it.
    pub questions: Vec<Question>,
    /// What the proxy is told.
    pub reply: Reply,
    /// The steps of the walk with their times; the last is the one that decided.
    pub steps: Vec<Step>,
}

/// What a running server decided, from its memory of recent decisions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When, in RFC 3339.
    pub time: String,
    /// `allow` or `deny`.
    pub verdict: String,
    /// HTTP status of a denial.
    pub status: Option<u16>,
    /// The class of the reason.
    pub reason: String,
    /// The whole reason, in a line.
    pub why: String,
    /// The rules that decided.
    pub version: String,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// True if the rules in force are still those.
    pub same_rules: bool,
    /// What could not be kept and may matter.
    pub missing: Vec<String>,
}

/// The request as read. Values of headers and query parameters are shown only if policies may see them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The contract it came through.
    pub contract: String,
    /// The method; empty for a TCP connection.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host as sent, if that is known.
    pub host_sent: Option<String>,
    /// The host in its normal form.
    pub host: String,
    /// The path as sent, if that is known.
    pub path_sent: Option<String>,
    /// The canonical path.
    pub path: String,
    /// The path that routes are compared with, if `upstream_paths` makes it another one.
    pub compared_as: Option<String>,
    /// Query parameters; `null` for a value that policies may not see.
    pub query: Vec<(String, Option<String>)>,
    /// Headers that policies may see.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body, if there is one.
    pub body_bytes: Option<usize>,
    /// The client's address, as far as it is known.
    pub client_ip: Option<String>,
    /// Who holds the other end of the connection to the proxy, by certificate.
    pub peer: Option<String>,
    /// The port of a TCP connection.
    pub port: Option<u16>,
    /// What the gate says: `passed`, or why not.
    pub gate: String,
}

/// The credential of the request. Never the credential itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// Where it was: `authorization header`, `cookie "session"`, `given on the command line`, …; `none`.
    pub found: String,
    /// The issuer whose verifier answered.
    pub verifier: Option<String>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// Every check in the order of verification.
    pub checks: Vec<CredentialCheck>,
}

/// One check of a credential.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CredentialCheck {
    /// Its name, as `portcullis token inspect` has it.
    pub check: String,
    /// What it demands.
    pub demands: String,
    /// `passed`, `failed` or `not_checked`.
    pub outcome: String,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// `User`, `Client`, `Robot` or `Anonymous`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `<issuer>/<subject>`.
    pub id: String,
    /// A name for people.
    pub name: Option<String>,
    /// The OAuth client.
    pub client: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Roles by client; policies see them as tags.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Audiences.
    pub audiences: Vec<String>,
    /// Operations that the credential grants, with the path they are for.
    pub capabilities: Vec<String>,
    /// Who acts for it.
    pub actors: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// The route that matched.
    pub matched: Option<String>,
    /// What its pattern captured.
    pub captures: Vec<(String, String)>,
    /// The action, as policies name it.
    pub action: Option<String>,
    /// The groups that the action is in.
    pub action_groups: Vec<String>,
    /// The resource, as policies name it.
    pub resource: Option<String>,
    /// Routes that nearly matched, nearest first; only when none did.
    pub near: Vec<NearRoute>,
}

/// What Magpie's permissions say to a request. Policies see the answer as `context.magpie`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Magpie {
    /// The service.
    pub service: String,
    /// Its type.
    pub service_type: String,
    /// True if everything that the request needs is allowed.
    pub allowed: bool,
    /// Whose permission decides: `administrator`, `user:<name>`, `group:<name>`, `multiple`, `no-permission`; or `undetermined`.
    pub reason: String,
    /// Why it is not known what the request needs.
    pub unknown: Option<String>,
    /// Whoever asks, if some permission or membership is for them.
    pub user: Option<String>,
    /// The groups of whoever asks that Magpie knows.
    pub groups: Vec<String>,
    /// What the request needs; all of it must be allowed.
    pub needs: Vec<MagpieNeed>,
}

/// A permission that a request needs on a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MagpieNeed {
    /// `/service/outer/inner`.
    pub resource: String,
    /// Its name.
    pub permission: String,
    /// False if what is asked for does not exist in Magpie; then it is decided on what it would be in.
    pub exact: bool,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whose permission decides.
    pub reason: String,
    /// What was come across from the resource up to the service.
    pub chain: Vec<MagpieSeen>,
}

/// A permission that has a say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MagpieSeen {
    /// Where it is set.
    pub resource: String,
    /// `user:<name>` or `group:<name>`.
    pub subject: String,
    /// `read-allow-recursive`.
    pub permission: String,
    /// False for one that is for that resource only, which is not what was asked for.
    pub reaches: bool,
    /// Whether it decides.
    pub decides: bool,
}

/// A route that did not match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NearRoute {
    /// Its name.
    pub route: String,
    /// What it lacks.
    pub why: String,
}

/// One question to the policies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// `principal`, or `actor`: somebody who acts for the principal.
    pub about: String,
    /// Whom it is about.
    pub principal: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// `allow`, `deny`, or `error` when it could not be put.
    pub verdict: String,
    /// The policies that determined it.
    pub determined_by: Vec<String>,
    /// Why it could not be put.
    pub error: Option<String>,
    /// The entities as policies see them.
    pub entities: Vec<Entity>,
    /// The context: the members that some policy mentions.
    pub context: BTreeMap<String, Value>,
    /// Policies whose scope matches.
    pub policies: Vec<Policy>,
    /// Permits whose scope misses in one part only, nearest first.
    pub near: Vec<Policy>,
    /// How many policies are in neither list.
    pub others: usize,
}

/// An entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// Its name.
    pub uid: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Its tags.
    pub tags: BTreeMap<String, Value>,
    /// What it is in.
    pub ancestors: Vec<String>,
}

/// A policy and what it says to the question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its `@id`.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// `file:line:column`; absent for a policy that is built in.
    pub place: Option<String>,
    /// `satisfied`, `not_satisfied`, `error`, or `scope` when its scope does not match.
    pub result: String,
    /// Cedar's message for an `error`; for `scope`, what misses.
    pub message: Option<String>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// What is missing for a permit to be satisfied; all of it is needed.
    pub unmet: Vec<Unmet>,
}

/// A `when` or an `unless`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// `when` or `unless`.
    pub kind: String,
    /// What it is made of.
    pub expression: Part,
}

/// A part of a condition, split at `&&` and `||`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// In Cedar's syntax.
    pub text: String,
    /// `true`, `false`, `error`, or `not_reached` when a part before it decided.
    pub value: String,
    /// The values that made it so.
    pub because: Option<String>,
    /// `&&` or `||`, if it has parts.
    pub operator: Option<String>,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// Something that would have to be otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unmet {
    /// What would have to be true, for people.
    pub wish: String,
    /// The same in Cedar's syntax, with values filled in.
    pub expression: String,
    /// How it is.
    pub because: String,
}

/// What the proxy is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// HTTP status of a denial; absent for an allow.
    pub status: Option<u16>,
    /// The line the caller reads.
    pub body: Option<String>,
    /// Where a browser is sent to log in.
    pub redirect: Option<String>,
    /// Headers that are set: on the upstream's request for an allow, on the answer for a denial.
    pub set: Vec<(String, String)>,
    /// Headers that are removed from the upstream's request.
    pub removed: Vec<String>,
    /// Headers that are added to the answer of the upstream.
    pub response_headers: Vec<(String, String)>,
    /// Query parameters that are set on the upstream's request.
    pub set_query: Vec<(String, String)>,
    /// Query parameters that are removed from the upstream's request.
    pub remove_query: Vec<String>,
}

/// A step of the walk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `gate`, `identity`, `route`, `policies`, `answer`.
    pub step: String,
    /// How long it took, in microseconds.
    pub microseconds: f64,
}
