//! What of a policy has to be evaluated once its scope matches.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Expr, ExprKind, Literal, Policy, SlotEnv, Template, ValueKind, Var};
use cedar_policy_core::evaluator::Evaluator;

/// The `when` and `unless` of a policy, ready to be interpreted.
#[derive(Debug)]
pub(super) struct Condition {
    expression: Arc<Expr>,
    slots: SlotEnv,
    /// Whether it looks at `context`.
    pub(super) context: bool,
}

/// What came of a condition.
pub(super) enum Outcome {
    Satisfied,
    NotSatisfied,
    /// It failed: Cedar's message.
    Failed(String),
}

/// Conditions of policies; the links of one template share theirs.
#[derive(Default)]
pub(super) struct Conditions(HashMap<*const Template, Option<Arc<Condition>>>);

impl Conditions {
    /// The condition of `policy`; `None` if its scope is all of it.
    pub(super) fn of(&mut self, policy: &Policy) -> Option<Arc<Condition>> {
        let template = policy.template();
        if template.slots().any(|slot| !policy.env().contains_key(&slot.id)) {
            return Some(Condition::new(Arc::new(policy.condition()), policy.env().clone()));
        }
        let expression = policy.non_scope_constraints_arc()?;
        if expression.slots().next().is_some() {
            return Some(Condition::new(Arc::clone(expression), policy.env().clone()));
        }
        let known = self.0.entry(template).or_insert_with(|| {
            let condition = Condition::new(Arc::clone(expression), SlotEnv::new());
            Some(condition)
        });
        known.clone()
    }
}

impl Condition {
    fn new(expression: Arc<Expr>, slots: SlotEnv) -> Arc<Self> {
        let is_context = |part: &Expr| matches!(part.expr_kind(), ExprKind::Var(Var::Context));
        let context = expression.subexpressions().any(is_context);
        Arc::new(Self {
            expression,
            slots,
            context,
        })
    }

    /// Interprets the condition of the policy that `whole` finds.
    pub(super) fn evaluate<'p>(
        &self,
        evaluator: &Evaluator<'_>,
        whole: impl FnOnce() -> Option<&'p Policy>,
    ) -> Outcome {
        let value = evaluator.interpret(&self.expression, &self.slots);
        match value.as_ref().map(|value| &value.value) {
            Ok(ValueKind::Lit(Literal::Bool(true))) => return Outcome::Satisfied,
            Ok(ValueKind::Lit(Literal::Bool(false))) => return Outcome::NotSatisfied,
            _ => {}
        }
        // Rare, so it may cost what it costs: the error is the one that Cedar gives for the whole policy.
        let error = whole().and_then(|policy| evaluator.evaluate(policy).err());
        Outcome::Failed(match error.or(value.err()) {
            Some(error) => error.to_string(),
            None => "its condition is neither true nor false".to_owned(),
        })
    }
}
