//! Which credentials do not count any more.

use std::time::{SystemTime, UNIX_EPOCH};

use authority::{NewRevocation, Paged};
use decide::{HouseAction, HouseResource};
use model::{Before, Revoked};
use proto::google::protobuf::Timestamp;
use proto::portcullis::admin::v1::{
    GetRevocationRequest, LiftRequest, ListRevocationsRequest, ListRevocationsResponse, Revocation,
    RevokeRequest,
};

use super::super::caller::Caller;
use super::super::refused::Refused;
use super::{AdminApi, page, read, required, time, within};

const KIND: &str = "revocation";
/// How much later than now something may be issued and still be revoked: clocks differ.
const AHEAD_SECONDS: f64 = 3600.0;

impl AdminApi {
    pub(in super::super) async fn list_revocations(
        &self,
        caller: &Caller,
        asked: ListRevocationsRequest,
    ) -> Result<ListRevocationsResponse, Refused> {
        let page = page(asked.page_size, asked.page_token)?;
        let what = HouseResource::item(KIND, None);
        self.may(caller, "ListRevocations", (HouseAction::RevocationsRead, what))
            .await?;
        let Paged { items, next } = read(self.authority.revocations(&page)).await?;
        Ok(ListRevocationsResponse {
            revocations: items.into_iter().map(shown).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(in super::super) async fn get_revocation(
        &self,
        caller: &Caller,
        asked: GetRevocationRequest,
    ) -> Result<Revocation, Refused> {
        required("id", &asked.id)?;
        let what = HouseResource::item(KIND, Some(&asked.id));
        self.may(caller, "GetRevocation", (HouseAction::RevocationsRead, what))
            .await?;
        read(self.authority.revocation(&asked.id)).await.map(shown)
    }

    pub(in super::super) async fn revoke(
        &self,
        caller: &Caller,
        asked: RevokeRequest,
    ) -> Result<Revocation, Refused> {
        let new = self.new_revocation(asked)?;
        let what = HouseResource::item(KIND, Some(&named(&new)));
        let change = self
            .may_change(caller, "Revoke", (HouseAction::RevocationsWrite, what))
            .await?;
        let authority = self.authority.clone();
        let by = change.by();
        change
            .make(async move { authority.revoke(&by, new).await })
            .await
            .map(shown)
    }

    pub(in super::super) async fn lift(&self, caller: &Caller, asked: LiftRequest) -> Result<(), Refused> {
        required("id", &asked.id)?;
        let what = HouseResource::item(KIND, Some(&asked.id));
        let change = self
            .may_change(caller, "Lift", (HouseAction::RevocationsWrite, what))
            .await?;
        let authority = self.authority.clone();
        let by = change.by();
        change
            .make(async move { authority.lift(&by, &asked.id).await })
            .await
    }

    /// What the store is told. Whoever is named must be known here: a revocation of nobody would look like a success.
    fn new_revocation(&self, asked: RevokeRequest) -> Result<NewRevocation, Refused> {
        within("reason", &asked.reason)?;
        let issuer = self.issuer(&asked)?;
        let single = asked.kind == "token";
        let what = match &*asked.kind {
            "issuer" => {
                if !asked.value.is_empty() {
                    let why =
                        "`value` is for `token`, `subject` and `client`: `issuer` is everything it issued";
                    return Err(Refused::Invalid(why.to_owned()));
                }
                Revoked::Issuer
            }
            kind => {
                let of = match kind {
                    "token" => Revoked::Token,
                    "subject" => Revoked::Subject,
                    "client" => Revoked::Client,
                    other => {
                        return Err(Refused::Invalid(format!(
                            "`kind` is {other:?}: it is one of token, subject, client, issuer"
                        )));
                    }
                };
                required("value", &asked.value)?;
                of(asked.value)
            }
        };
        if single && asked.issued_before.is_some() {
            let why = "`issued_before` is not for single tokens";
            return Err(Refused::Invalid(why.to_owned()));
        }
        if !single && asked.expires_at.is_some() {
            let why =
                "`expires_at` is only for single tokens: whoever else is revoked stays so until it is lifted";
            return Err(Refused::Invalid(why.to_owned()));
        }
        let before = asked.issued_before.as_ref().map(seconds);
        if before.is_some_and(|before| before > now() + AHEAD_SECONDS) {
            let why =
                "`issued_before` is later than now: leave it out to revoke whatever is issued, also later";
            return Err(Refused::Invalid(why.to_owned()));
        }
        Ok(NewRevocation {
            issuer,
            what,
            before: before.map_or(Before::Ever, Before::Time),
            reason: (!asked.reason.is_empty()).then_some(asked.reason),
            expires_at: asked.expires_at.map(|time| time.seconds),
        })
    }

    /// The short name of the issuer that is meant.
    fn issuer(&self, asked: &RevokeRequest) -> Result<String, Refused> {
        let live = self.pipeline.live();
        let rules = live.rules();
        match (&*asked.issuer, &*asked.issuer_url) {
            ("", "") => Err(Refused::Invalid(
                "`issuer` is missing: the short name of whoever issued it, or `issuer_url`".to_owned(),
            )),
            ("", url) => rules.short_name(url).map(str::to_owned).ok_or_else(|| {
                Refused::Invalid(format!(
                    "no issuer {url:?} is configured here: its tokens count for nothing anyway"
                ))
            }),
            (name, "") => {
                self.known_issuer(name)?;
                Ok(name.to_owned())
            }
            _ => Err(Refused::Invalid("`issuer` or `issuer_url`, not both".to_owned())),
        }
    }
}

/// What is revoked, for policies and logs: `main/subject/alice`.
fn named(new: &NewRevocation) -> String {
    let (issuer, kind) = (&new.issuer, new.what.as_str());
    match &new.what {
        Revoked::Token(value) | Revoked::Subject(value) | Revoked::Client(value) => {
            format!("{issuer}/{kind}/{value}")
        }
        Revoked::Issuer => format!("{issuer}/{kind}"),
    }
}

fn shown(revocation: authority::Revocation) -> Revocation {
    let kind = revocation.what.as_str().to_owned();
    Revocation {
        id: revocation.id,
        issuer: revocation.issuer,
        kind,
        value: match revocation.what {
            Revoked::Token(value) | Revoked::Subject(value) | Revoked::Client(value) => value,
            Revoked::Issuer => String::new(),
        },
        issued_before: match revocation.before {
            Before::Ever => None,
            Before::Time(seconds) => Some(timestamp(seconds)),
        },
        reason: revocation.reason.unwrap_or_default(),
        created_at: Some(time(revocation.created_at)),
        created_by: revocation.created_by,
        expires_at: revocation.expires_at.map(time),
    }
}

fn seconds(time: &Timestamp) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact for the next hundred million years"
    )]
    let whole = time.seconds as f64;
    whole + f64::from(time.nanos) / 1e9
}

fn timestamp(seconds: f64) -> Timestamp {
    let whole = seconds.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and fractions are below 1e9"
    )]
    let (whole, nanos) = (whole as i64, ((seconds - whole) * 1e9) as i32);
    Timestamp {
        seconds: whole,
        nanos,
    }
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
