//! Policies and links -> [`Engine`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::{Entities, PolicySet};
use cedar_policy_core::ast::{self, SlotEnv, SlotId, Template};

use super::book::{Book, Filled, Link, Links, misfit};
use super::condition::{Condition, differs};
use super::entities::Actions;
use super::index::{Indexing, Named, Scope, narrowness};
use super::{Engine, Policy};

/// Where a policy comes from.
enum Source<'b> {
    Written(&'b ast::Policy),
    Link(u32, &'b Link),
}

/// What the links of a template have in common.
struct Shape<'b> {
    template: &'b Template,
    scope: Scope,
    narrow: u8,
    /// `None` if each link has its own.
    condition: Option<Option<Arc<Condition>>>,
    principal: bool,
    resource: bool,
}

impl Engine {
    /// Indexes what is written and what is linked of it. `actions` are all that the schema knows, groups included.
    ///
    /// # Errors
    /// A link does not fit its template.
    pub fn new(written: PolicySet, links: Links, actions: &Entities) -> Result<Self, String> {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let book = Book::new(written, links);
        let (core, links) = (book.core(), book.links());
        let written = core.policies().map(|policy| {
            let name: &str = policy.id().as_ref();
            (name, Source::Written(policy))
        });
        let linked = links.all.iter().zip(0..);
        let linked = linked.map(|(link, place)| (&*link.name, Source::Link(place, link)));
        let mut sorted: Vec<(&str, Source<'_>)> = written.chain(linked).collect();
        // By a method that is fast where long stretches are in order, as programs write them.
        sorted.sort_by_key(|(name, _)| *name);
        let mut indexing = Indexing::of(sorted.len());
        let shapes = links.templates.iter().map(|id| {
            let template = core.get_template(id.as_ref())?;
            Some(Shape::of(template, &mut indexing))
        });
        let shapes: Vec<Option<Shape<'_>>> = shapes.collect();
        let mut policies = Vec::with_capacity(sorted.len());
        for ((name, source), ordinal) in sorted.iter().zip(0..) {
            policies.push(match source {
                Source::Written(policy) => {
                    let template = policy.template();
                    let scope = indexing.scope(template);
                    indexing.add(ordinal, scope, None, None);
                    Policy {
                        name: (*name).into(),
                        link: None,
                        effect: template.effect(),
                        condition: Condition::of(template, &SlotEnv::new()),
                        narrow: narrowness(template),
                        told: false,
                    }
                }
                Source::Link(place, link) => {
                    let shape = shapes.get(link.template as usize).and_then(Option::as_ref);
                    let shape = shape
                        .filter(|shape| shape.fits(link))
                        .ok_or_else(|| misfit(name))?;
                    let [principal, resource] = [&link.principal, &link.resource].map(|filled| {
                        filled
                            .as_ref()
                            .map(|filled| named(links, filled, name))
                            .transpose()
                    });
                    indexing.add(ordinal, shape.scope, principal?, resource?);
                    Policy {
                        name: Arc::clone(&link.name),
                        link: Some(*place),
                        effect: shape.template.effect(),
                        condition: match &shape.condition {
                            Some(condition) => condition.clone(),
                            None => {
                                let linked = book.linked(link).ok_or_else(|| misfit(name))?;
                                Condition::of(shape.template, linked.env())
                            }
                        },
                        narrow: shape.narrow,
                        told: false,
                    }
                }
            });
        }
        let index = indexing.finish(actions);
        Ok(Self {
            policies,
            index,
            actions: Actions::new(actions),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            book: Arc::new(book),
        })
    }
}

impl<'b> Shape<'b> {
    fn of(template: &'b Template, indexing: &mut Indexing) -> Self {
        let has = |slot: SlotId| template.slots().any(|found| found.id == slot);
        Self {
            template,
            scope: indexing.scope(template),
            narrow: narrowness(template),
            condition: (!differs(template)).then(|| Condition::of(template, &SlotEnv::new())),
            principal: has(SlotId::principal()),
            resource: has(SlotId::resource()),
        }
    }

    /// Whether a link fills its slots and no others.
    fn fits(&self, link: &Link) -> bool {
        (self.principal, self.resource) == (link.principal.is_some(), link.resource.is_some())
    }
}

fn named<'l>(links: &'l Links, filled: &'l Filled, link: &str) -> Result<Named<'l>, String> {
    let kind = links.kind(filled).ok_or_else(|| misfit(link))?;
    Ok((kind.as_ref(), &filled.id))
}
