//! What of a policy has to be evaluated once its scope matches.

use std::borrow::Cow;
use std::sync::Arc;

use cedar_policy_core::ast::{Expr, ExprKind, Literal, Policy, SlotEnv, Template, ValueKind, Var};
use cedar_policy_core::evaluator::Evaluator;
use smol_str::SmolStr;

use super::quick::{Facts, Quick};

/// The `when` and `unless` of a policy, ready to be interpreted.
#[derive(Debug)]
pub(super) struct Condition {
    expression: Arc<Expr>,
    quick: Option<Quick>,
    slots: SlotEnv,
    /// What it looks at of `context`.
    pub(super) context: Looks,
}

/// What a condition looks at of `context`.
#[derive(Debug, Default)]
pub(super) enum Looks {
    #[default]
    Nothing,
    Members(Vec<SmolStr>),
    Everything,
}

/// What came of a condition.
pub(super) enum Outcome {
    Satisfied,
    NotSatisfied,
    /// It failed: Cedar's message.
    Failed(String),
}

impl Condition {
    /// The condition of a policy; `None` if its scope is all of it.
    pub(super) fn of(template: &Template, slots: &SlotEnv) -> Option<Arc<Self>> {
        let expression = template.non_scope_constraints_arc()?;
        let slots = match has_slots(expression) {
            true => slots.clone(),
            false => SlotEnv::new(),
        };
        Some(Arc::new(Self {
            context: Looks::of(expression),
            quick: Quick::of(expression),
            expression: Arc::clone(expression),
            slots,
        }))
    }

    /// The outcome, if it is plain to see.
    pub(super) fn look(&self, facts: &Facts<'_>) -> Option<Outcome> {
        Some(match self.quick.as_ref()?.holds(facts)? {
            true => Outcome::Satisfied,
            false => Outcome::NotSatisfied,
        })
    }

    /// Interprets the condition of the policy that `whole` finds.
    pub(super) fn evaluate<'p>(
        &self,
        evaluator: &Evaluator<'_>,
        whole: impl FnOnce() -> Option<Cow<'p, Policy>>,
    ) -> Outcome {
        let value = evaluator.interpret(&self.expression, &self.slots);
        match value.as_ref().map(|value| &value.value) {
            Ok(ValueKind::Lit(Literal::Bool(true))) => return Outcome::Satisfied,
            Ok(ValueKind::Lit(Literal::Bool(false))) => return Outcome::NotSatisfied,
            _ => {}
        }
        // Rare, so it may cost what it costs: the error is the one that Cedar gives for the whole policy.
        let error = whole().and_then(|policy| evaluator.evaluate(&policy).err());
        Outcome::Failed(match error.or(value.err()) {
            Some(error) => error.to_string(),
            None => "its condition is neither true nor false".to_owned(),
        })
    }
}

/// Whether the conditions of the links of a template differ.
pub(super) fn differs(template: &Template) -> bool {
    template
        .non_scope_constraints_arc()
        .is_some_and(|expression| has_slots(expression))
}

fn has_slots(expression: &Expr) -> bool {
    expression.slots().next().is_some()
}

impl Looks {
    /// As `context.a` and `context has a` say it; anything else that is done with `context` looks at all of it.
    fn of(expression: &Expr) -> Self {
        let is_context = |part: &Expr| matches!(part.expr_kind(), ExprKind::Var(Var::Context));
        let (mut members, mut named, mut all) = (Vec::new(), 0, 0);
        for part in expression.subexpressions() {
            match part.expr_kind() {
                ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } if is_context(expr) => {
                    named += 1;
                    if !members.contains(attr) {
                        members.push(attr.clone());
                    }
                }
                ExprKind::Var(Var::Context) => all += 1,
                _ => {}
            }
        }
        match (named, all) {
            (_, 0) => Self::Nothing,
            (named, all) if named == all => Self::Members(members),
            _ => Self::Everything,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(super) fn at(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Members(members) => members.iter().any(|member| member == name),
            Self::Everything => true,
        }
    }
}
