//! Tokens that nodes send each other: JWTs by RS256, good for half a minute, for one receiver and once.
//!
//! Verified without a JWT library: what a header or claim may be is decided here, and keys come from the registered URL of
//! the node that `iss` names, whatever else the token says.

mod keys;
mod outbound;
mod signer;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::keys::{MAX_KID_BYTES, NoKey, NodeKeys};
pub use self::outbound::OutboundFailure;
pub(crate) use self::outbound::{Outbound, acceptable_url};
pub(crate) use self::signer::NodeSigner;
pub use self::signer::NotSigned;
use self::signer::Signer;
use crate::Authority;
use crate::network_settings::NetworkSettings;
use crate::nodes::Node;
use crate::store::now;

/// Longest token that is looked at.
const MAX_BYTES: usize = 8 * 1024;
/// By how many seconds the clocks of two nodes may differ.
const LEEWAY_SECONDS: i64 = 5;
/// Longest answer of a node that is asked for a token.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longest name of a user, in bytes.
const MAX_USER_BYTES: usize = 255;
/// Header parameters that change what a token means.
const FORBIDDEN: [&str; 5] = ["crit", "b64", "zip", "enc", "cty"];

/// A token taken apart, and not believed.
#[derive(Debug)]
pub struct UnverifiedJwt {
    kid: String,
    signed: String,
    signature: Vec<u8>,
    claims: Claims,
    all: Map<String, Value>,
}

/// What a node says, verified.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeClaims {
    /// The node that says it.
    pub node: String,
    /// The user there that it is about.
    pub user_name: Option<String>,
    /// In the answer to a request to link: the user here who asked for it.
    pub requesting_user_name: Option<String>,
    /// All claims.
    pub all: Map<String, Value>,
    /// Tells the token from others: SHA-256 in hexadecimal digits of what was signed.
    pub digest: String,
    /// `exp` and the leeway, Unix seconds: it is not accepted from then on.
    pub ends_at: i64,
}

/// Why a token of a node is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeJwtRefusal {
    /// It is no JWT as nodes make them.
    #[error("the token {0}")]
    Malformed(&'static str),
    /// It says something that it must not, or is not signed by the node.
    #[error("the token {0}")]
    Invalid(&'static str),
    /// The keys of the node cannot be had.
    #[error("the keys of the node cannot be had: {0}")]
    KeysUnavailable(String),
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    user_name: Option<String>,
    requesting_user_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Listed(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

/// The tokens from and to other nodes.
#[derive(Debug)]
pub struct NodeJwts {
    /// Our own name.
    instance: String,
    /// How long a token may be good.
    seconds: u64,
    signer: Signer,
    keys: NodeKeys,
    outbound: Outbound,
}

impl UnverifiedJwt {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`NodeJwtRefusal::Malformed`], or [`NodeJwtRefusal::Invalid`] for another algorithm.
    pub fn parse(token: &str) -> Result<Self, NodeJwtRefusal> {
        let malformed = NodeJwtRefusal::Malformed;
        if token.len() > MAX_BYTES {
            return Err(malformed("is too long"));
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(malformed("is no signed JWT"));
        };
        let signed = format!("{header}.{payload}");
        let decoded = |segment: &str| URL_SAFE_NO_PAD.decode(segment).ok();
        let header = decoded(header).ok_or(malformed("has a header that is no base64url"))?;
        let members: Map<String, Value> =
            serde_json::from_slice(&header).map_err(|_| malformed("has a header that is no JSON object"))?;
        if FORBIDDEN.iter().any(|name| members.contains_key(*name)) {
            return Err(NodeJwtRefusal::Invalid(
                "has a header parameter that is never accepted",
            ));
        }
        // A member that is there twice is an error here.
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| malformed("has a header without `alg`, or with one that is no text"))?;
        if header.alg != "RS256" {
            return Err(NodeJwtRefusal::Invalid("is not signed by RS256"));
        }
        if header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
            return Err(NodeJwtRefusal::Invalid("is of another type than JWT"));
        }
        let kid = header.kid.filter(|kid| (1..=MAX_KID_BYTES).contains(&kid.len()));
        let kid = kid.ok_or(NodeJwtRefusal::Invalid("does not name its key (`kid`)"))?;
        let payload = decoded(payload).ok_or(malformed("has claims that are no base64url"))?;
        let claims = serde_json::from_slice(&payload)
            .map_err(|_| malformed("lacks `iss`, `aud` or `exp`, or has a claim of another shape"))?;
        let all =
            serde_json::from_slice(&payload).map_err(|_| malformed("has claims that are no JSON object"))?;
        let signature = decoded(signature).ok_or(malformed("has a signature that is no base64url"))?;
        Ok(Self {
            kid,
            signed,
            signature,
            claims,
            all,
        })
    }

    /// The node that it says it is from; nothing more than what to look up.
    pub fn issuer(&self) -> &str {
        &self.claims.iss
    }
}

impl NodeJwts {
    /// By validated settings.
    ///
    /// # Errors
    /// Nothing can be signed or sent.
    pub fn new(settings: &NetworkSettings) -> Result<Self, String> {
        Ok(Self {
            instance: settings.instance.clone(),
            seconds: settings.node_token_seconds,
            signer: Signer::new(settings)?,
            keys: NodeKeys::default(),
            outbound: Outbound::new().map_err(|failure| failure.to_string())?,
        })
    }

    /// A token for that node about a user of ours; `requesting` is the user there who asked for it, if one did.
    ///
    /// # Errors
    /// There is no key to sign with.
    pub async fn sign(
        &self,
        authority: &Authority,
        node: &str,
        user_name: &str,
        requesting: Option<&str>,
    ) -> Result<String, NotSigned> {
        let exp = now().saturating_add_unsigned(self.seconds);
        // Without `jti` two in the same second would be the same one, and the second is refused as used before.
        let jti = uuid::Uuid::new_v4().to_string();
        let mut claims =
            json!({ "iss": self.instance, "aud": node, "exp": exp, "jti": jti, "user_name": user_name });
        if let (Some(name), Some(claims)) = (requesting, claims.as_object_mut()) {
            claims.insert("requesting_user_name".to_owned(), name.into());
        }
        self.signer.get(authority).await?.sign(&claims)
    }

    /// Our public keys (RFC 7517).
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn jwks(&self, authority: &Authority) -> Result<Value, NotSigned> {
        Ok(self.signer.get(authority).await?.jwks())
    }

    /// Asks a node for a network token, with a token of ours.
    ///
    /// # Errors
    /// It gave none.
    pub async fn request_token(&self, node: &Node, jwt: &str) -> Result<String, OutboundFailure> {
        let body = json!({ "token": jwt });
        let answer = self
            .outbound
            .json(Method::POST, &node.token_url, &body, MAX_ANSWER_BYTES);
        let answer: Option<Value> = serde_json::from_slice(&answer.await?).ok();
        let token = answer.as_ref().and_then(|answer| answer.get("token")?.as_str());
        let token =
            token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        token.map(str::to_owned).ok_or_else(|| OutboundFailure::NoToken {
            url: node.token_url.clone(),
        })
    }

    /// Asks a node to end a network token, with a token of ours.
    ///
    /// # Errors
    /// It did not.
    pub async fn return_token(&self, node: &Node, jwt: &str) -> Result<(), OutboundFailure> {
        let body = json!({ "token": jwt });
        let answer = self
            .outbound
            .json(Method::DELETE, &node.token_url, &body, MAX_ANSWER_BYTES);
        answer.await.map(|_| ())
    }

    /// The claims, if the node signed them, for us, and for now. `node` is the one that the token names.
    ///
    /// # Errors
    /// [`NodeJwtRefusal`]
    pub async fn verify(&self, token: UnverifiedJwt, node: &Node) -> Result<NodeClaims, NodeJwtRefusal> {
        let invalid = |why| Err(NodeJwtRefusal::Invalid(why));
        let claims = &token.claims;
        // What costs nothing comes first: a token that is bad in any case causes no fetch.
        if claims.iss != node.name {
            return invalid("is of another node");
        }
        let for_us = match &claims.aud {
            Audience::One(one) => *one == self.instance,
            Audience::Listed(listed) => matches!(listed.as_slice(), [one] if *one == self.instance),
        };
        if !for_us {
            return invalid("is not for this node alone (`aud`)");
        }
        let (now, leeway) = (now() as f64, LEEWAY_SECONDS as f64);
        let lifetime = Duration::from_secs(self.seconds).as_secs_f64();
        // Negated, so that what is no number at all is refused.
        if !(claims.exp + leeway > now) {
            return invalid("has expired");
        }
        if !(claims.exp <= now + lifetime + leeway) {
            return invalid("is good for longer than tokens between nodes may be (`node_token_seconds`)");
        }
        let begins = [claims.nbf, claims.iat].into_iter().flatten();
        if !begins.into_iter().all(|time| time <= now + leeway) {
            return invalid("is not good yet");
        }
        let names = [&claims.user_name, &claims.requesting_user_name];
        if names
            .into_iter()
            .flatten()
            .any(|name| checked_user(name).is_err())
        {
            return invalid("has the name of a user that is empty, too long, or has control characters");
        }
        let key = self.keys.get(&self.outbound, &node.jwks_url, &token.kid).await;
        let key = key.map_err(|why| match why {
            NoKey::Unknown => NodeJwtRefusal::Invalid("is signed with a key that the node does not publish"),
            NoKey::Unavailable(why) => NodeJwtRefusal::KeysUnavailable(why),
        })?;
        if !key.verifies(&token.signed, &token.signature) {
            return invalid("is not signed by the node");
        }
        Ok(NodeClaims {
            node: node.name.clone(),
            digest: hex(digest(&SHA256, token.signed.as_bytes()).as_ref()),
            ends_at: claims.exp.ceil() as i64 + LEEWAY_SECONDS,
            user_name: token.claims.user_name,
            requesting_user_name: token.claims.requesting_user_name,
            all: token.all,
        })
    }
}

/// The name of a user, ours or another node's.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn checked_user(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_USER_BYTES {
        return Err("is empty, or longer than 255 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("has control characters");
    }
    Ok(())
}

/// In hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
