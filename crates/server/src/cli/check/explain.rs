//! Explanations: of a question, or of a decision that a running server remembers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use decide::Pipeline;
use decide::explain::{Explanation, Request};
use model::{Check, Decide, Decision, Malformed, Principal};

use super::Form;
use crate::cli::Failure;
use crate::cli::access::{Access, refusal};

/// Longest document that is read from a server.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// Decides as the pipeline does, and keeps the explanation: so it can stand behind any door.
pub(super) struct Explainer {
    pub(super) pipeline: Arc<Pipeline>,
    /// Who asks, instead of whoever a credential says.
    pub(super) given: Option<Principal>,
    explained: Mutex<Option<Explanation>>,
}

impl Explainer {
    pub(super) fn new(pipeline: Arc<Pipeline>, given: Option<Principal>) -> Self {
        Self {
            pipeline,
            given,
            explained: Mutex::default(),
        }
    }

    fn keep(&self, (decision, explanation): (Decision, Explanation)) -> Decision {
        if let Ok(mut explained) = self.explained.lock() {
            *explained = Some(explanation);
        }
        decision
    }

    /// The explanation of what was asked last.
    pub(super) fn explanation(&self, form: &Form) -> Option<Explanation> {
        let mut explanation = self.explained.lock().ok()?.take()?;
        let why = explanation.why.clone();
        if let Form::Request(question, _) = form {
            let unread = || Request {
                contract: "direct".to_owned(),
                method: question.method.clone(),
                scheme: question.scheme.clone(),
                gate: why,
                ..Request::default()
            };
            let path = question.target.split('?').next().unwrap_or_default();
            let request = explanation.request.get_or_insert_with(unread);
            request.host_sent = Some(question.host.clone());
            request.path_sent = Some(path.to_owned());
        }
        Some(explanation)
    }
}

impl Decide for Explainer {
    fn decide_now(&self, _check: &Check<'_>) -> Option<Decision> {
        None
    }

    async fn decide(&self, check: &Check<'_>) -> Decision {
        self.keep(self.pipeline.explain(check, self.given.as_ref()).await)
    }

    fn refuse(&self, malformed: &Malformed) -> Decision {
        self.keep(self.pipeline.explain_malformed(malformed))
    }
}

/// The explanation of a decision that the server with this admin listener remembers.
pub(super) async fn remembered(server: &str, access: &Access, id: &str) -> Result<Explanation, Failure> {
    let failed = |why: String| Err(Failure::Message(why));
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return failed(format!(
            "--decision {id:?}: that is no id of a decision; the decision log has them as `decision_id`"
        ));
    }
    let (status, body) = access.get(server, &["decisions", id], PATIENCE).await?;
    if body.len() > MAX_DOCUMENT {
        return failed(format!("the answer of {server} is too long"));
    }
    if status != 200 {
        return failed(format!("{server} answers {status}: {}", refusal(&body)));
    }
    serde_json::from_str(&body).or_else(|error| {
        failed(format!(
            "the answer of {server} is no explanation: {error}\nis it another version of portcullis?"
        ))
    })
}
