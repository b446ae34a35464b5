//! Questions about the house itself: may whoever asks do this to that? By the same identities, other policies, one record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use model::{Check, Contract, Decision, HeaderEdits, Principal, Reason};

use super::answer::{answer, denial_of, internal};
use super::audit::{Word, Yes};
use super::delegated::not_for_the_house;
use super::live::Live;
use super::who::Who;
use super::{Asking, PATIENCE, Pipeline, Story, Verdict, Waited, decided};
use crate::client_ip::client_ip;
use crate::house::{HouseAction, HouseResource};
use crate::policy::{Circumstances, PrincipalEntity};
use crate::routes::DenyAnswer;
use crate::settings::Expose;

/// The answer to a question about the house, and who asked.
#[derive(Debug)]
pub struct HouseAnswer {
    /// Yes or no; it is recorded already.
    pub decision: Decision,
    /// Who asked, if a credential was presented and is good.
    pub principal: Option<Principal>,
}

impl Pipeline {
    /// Whether whoever presents the credentials of `check` may do `action` to `resource`, by `authority.policies`. Without
    /// such policies nobody may. May wait for keys; then the answer is by the rules in force afterwards.
    pub async fn decide_house(
        &self,
        check: &Check<'_>,
        action: HouseAction,
        resource: &HouseResource,
    ) -> HouseAnswer {
        let started = Instant::now();
        let live = self.live.load_full();
        let ask = |live: &Arc<Live>, waited| {
            let asking = Asking {
                now: SystemTime::now(),
                ..Asking::by_credentials(waited)
            };
            self.ask_house(live, check, (action, resource), &asking, started)
        };
        let wanted = match ask(&live, Waited::No) {
            Ok(answer) => return answer,
            Err(wanted) => wanted,
        };
        // Whether they have come or not is seen when it is asked again.
        let _ = tokio::time::timeout(PATIENCE, wanted.wait()).await;
        let live = self.live.load_full();
        ask(&live, Waited::Yes).unwrap_or_else(|_| HouseAnswer {
            decision: self.waited_twice(&live, check, Contract::House, started),
            principal: None,
        })
    }

    fn ask_house(
        &self,
        live: &Arc<Live>,
        check: &Check<'_>,
        (action, resource): (HouseAction, &HouseResource),
        asking: &Asking<'_>,
        started: Instant,
    ) -> Result<HouseAnswer, crate::identity::Awaited> {
        let mut story = Story::default();
        let verdict = live.judge_house(check, action, resource, asking, &mut story);
        let decision = decided(live, check, verdict)?;
        self.record(live, Some(check), &story, &decision, Contract::House, started);
        Ok(HouseAnswer {
            decision,
            principal: story.who.as_ref().and_then(Who::principal).cloned(),
        })
    }
}

impl Live {
    fn judge_house<'r>(
        &'r self,
        check: &Check<'_>,
        action: HouseAction,
        resource: &HouseResource,
        asking: &Asking<'_>,
        story: &mut Story<'r>,
    ) -> Verdict {
        let address: Option<IpAddr> = client_ip(check, check.listener.trusted_hops.unwrap_or_default());
        story.client_ip = address;
        story.action = Some(action.as_str());
        let who = story.who.insert(self.identify(check, asking)?);
        not_for_the_house(
            who.principal()
                .and_then(|principal| principal.delegation.as_deref()),
        )?;
        let Some((rules, action)) = self
            .rules
            .house
            .as_ref()
            .and_then(|rules| Some((rules, rules.action(action)?)))
        else {
            let log = "the configuration has neither `authority` nor `admin_options.policies`, so nobody may"
                .to_owned();
            return Err(denial_of(&DenyAnswer::default(), who.kind(), Reason::NoRoute, log).into());
        };
        let resource = resource.entity(rules).map_err(internal)?;
        story.resource = Some(resource.uid().clone());
        let nobody = Principal::anonymous();
        let principal = who.principal().unwrap_or(&nobody);
        let entity = PrincipalEntity::new(&Arc::new(principal.clone()), rules.policies.entities())
            .map_err(internal)?;
        let circumstances = Circumstances {
            check,
            client_ip: address,
            now: asking.now,
            token_age: who.token_age(asking.now),
            path: &self.comparable(check),
            capability_path: None,
            ends: None,
            expose: &Expose::default(),
            public: false,
            client_certificates: None,
            magpie: None,
            thorough: true,
        };
        let judged = rules.policies.judge(&entity, action, &resource, &circumstances);
        story.errors = judged.errors;
        let edits = Arc::new(HeaderEdits::default());
        let (permit, policies) = answer(judged.judgement, who, judged.actor, "", &edits, None)?;
        Ok(Yes {
            permit,
            word: Word::Policies(policies),
        })
    }
}
