//! All policies in the form that Cedar's public interface takes.
//!
//! Cedar's form of a link is twenty times as large as what makes it one, and takes longer to make than everything else that
//! is done with it. Only Cedar's own `Authorizer` and explanations want it, so large numbers of links are given to those in
//! parts, each made when its turn has come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, PolicySetError,
    Request, Response, SlotId,
};
use cedar_policy_core::ast;
use smol_str::SmolStr;

/// As many links are in one part.
const PART: usize = if cfg!(test) { 3 } else { 500 };

/// Policies, and links that are policies in all but form.
#[derive(Debug)]
pub struct Book {
    /// Policies and templates.
    written: PolicySet,
    links: Links,
    /// Whether the links are among what is written.
    joined: bool,
}

/// Links, in their order.
#[derive(Debug, Default)]
pub struct Links {
    /// The templates that links name by number.
    pub templates: Vec<PolicyId>,
    /// The types of entities that links name by number.
    pub kinds: Vec<EntityTypeName>,
    /// The links.
    pub all: Vec<Link>,
}

/// A link: for whom and what its template is a policy.
#[derive(Debug)]
pub struct Link {
    /// The policy's name.
    pub name: Arc<str>,
    /// The number of its template.
    pub template: u32,
    /// What `?principal` stands for.
    pub principal: Option<Filled>,
    /// What `?resource` stands for.
    pub resource: Option<Filled>,
}

/// The entity that a slot stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filled {
    /// The number of its type.
    pub kind: u32,
    /// Its id.
    pub id: SmolStr,
}

impl Book {
    pub(super) fn new(written: PolicySet, links: Links) -> Self {
        Self {
            joined: links.all.is_empty(),
            written,
            links,
        }
    }

    /// Makes policies of all links, once and for all.
    pub(super) fn join(&mut self) -> Result<(), String> {
        if !self.joined {
            self.links.put(&self.links.all, &mut self.written)?;
            self.joined = true;
        }
        Ok(())
    }

    /// The links.
    pub fn links(&self) -> &Links {
        &self.links
    }

    pub(super) fn core(&self) -> &ast::PolicySet {
        self.written.as_ref()
    }

    /// Shows all policies in sets that have none in common.
    ///
    /// # Errors
    /// Cedar does not take a link, which loading excludes.
    pub fn each_part(&self, mut look: impl FnMut(&PolicySet)) -> Result<(), String> {
        look(&self.written);
        if !self.joined {
            for links in self.links.all.chunks(PART) {
                look(&self.part(links)?);
            }
        }
        Ok(())
    }

    /// Asks Cedar's `Authorizer`, over all policies.
    ///
    /// # Errors
    /// As [`Book::each_part`].
    pub fn ask(&self, request: &Request, entities: &Entities) -> Result<Response, String> {
        let authorizer = Authorizer::new();
        if self.joined {
            return Ok(authorizer.is_authorized(request, &self.written, entities));
        }
        // A policy is satisfied or fails whatever the others do. What is determined by them is by the satisfied permits, or
        // by the satisfied forbids if there is one.
        let (mut permits, mut forbids, mut errors) = (HashSet::new(), HashSet::new(), Vec::new());
        self.each_part(|set| {
            let response = authorizer.is_authorized(request, set, entities);
            let satisfied = match response.decision() {
                Decision::Allow => &mut permits,
                Decision::Deny => &mut forbids,
            };
            satisfied.extend(response.diagnostics().reason().cloned());
            errors.extend(response.diagnostics().errors().cloned());
        })?;
        Ok(if !forbids.is_empty() {
            Response::new(Decision::Deny, forbids, errors)
        } else if permits.is_empty() {
            Response::new(Decision::Deny, permits, errors)
        } else {
            Response::new(Decision::Allow, permits, errors)
        })
    }

    /// A link as Cedar has it.
    pub(super) fn linked(&self, link: &Link) -> Option<ast::Policy> {
        let template = self.links.template(link)?;
        let template = self.core().get_template_arc(template.as_ref())?;
        let slots = self.links.slots(link)?.into_iter();
        let slots = slots.map(|(slot, uid)| (slot.into(), uid.into())).collect();
        ast::Template::link(template, PolicyId::new(&link.name).into(), slots).ok()
    }

    fn part(&self, links: &[Link]) -> Result<PolicySet, String> {
        let mut set = PolicySet::new();
        for link in links {
            let id = self.links.template(link).ok_or_else(|| misfit(&link.name))?;
            if set.template(id).is_none() {
                let template = self.written.template(id).ok_or_else(|| misfit(&link.name))?;
                set.add_template(template.clone())
                    .map_err(|error| error.to_string())?;
            }
        }
        self.links.put(links, &mut set)?;
        Ok(set)
    }
}

impl Links {
    fn put(&self, links: &[Link], set: &mut PolicySet) -> Result<(), String> {
        for link in links {
            let id = self.template(link).ok_or_else(|| misfit(&link.name))?;
            let slots = self.slots(link).ok_or_else(|| misfit(&link.name))?;
            set.link(id.clone(), PolicyId::new(&link.name), slots)
                .map_err(|error: PolicySetError| error.to_string())?;
        }
        Ok(())
    }

    /// The template of a link.
    pub fn template(&self, link: &Link) -> Option<&PolicyId> {
        self.templates.get(link.template as usize)
    }

    /// What its slots stand for.
    pub fn slots(&self, link: &Link) -> Option<HashMap<SlotId, EntityUid>> {
        let mut slots = HashMap::with_capacity(2);
        for (slot, filled) in [
            (SlotId::principal(), &link.principal),
            (SlotId::resource(), &link.resource),
        ] {
            if let Some(filled) = filled {
                slots.insert(slot, self.uid(filled)?);
            }
        }
        Some(slots)
    }

    pub(super) fn kind(&self, filled: &Filled) -> Option<&EntityTypeName> {
        self.kinds.get(filled.kind as usize)
    }

    fn uid(&self, filled: &Filled) -> Option<EntityUid> {
        let id = EntityId::new(&filled.id);
        Some(EntityUid::from_type_name_and_id(self.kind(filled)?.clone(), id))
    }
}

pub(super) fn misfit(name: &str) -> String {
    format!("the link `{name}` does not fit its template")
}
