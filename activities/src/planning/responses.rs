//! The planner's answers that were stored, so that no request is paid twice.

use sallyport_ledger::{
    planner_calls::{self, PlannerCall},
    planner_responses,
};
use sallyport_workflows::{activities::StepKey, usage::Usage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    call::Call,
    model::{Answer, Planner, Turn},
};
use crate::{context::Context, failure::StepError};

/// One request by its hash.
pub type Request = [u8; 32];

/// The answers to one ticket's requests.
#[derive(Clone, Copy, Debug)]
pub struct Responses<'a> {
    /// Where they are.
    pub context: &'a Context,
    /// The step that asks now.
    pub step: &'a StepKey,
    /// The name that the planner has in the configuration.
    pub planner: &'a str,
}

/// The hash of a whole request: which model is asked for what, under which limits.
pub fn request(planner: &dyn Planner, conversation: &[Turn], schema: &Value) -> Request {
    let turns: Vec<(&str, &str)> = conversation
        .iter()
        .map(|turn| (turn.role(), turn.text()))
        .collect();
    let whole = json!([1, planner.name(), planner.answer_tokens(), schema, turns]);
    Sha256::digest(whole.to_string()).into()
}

impl Responses<'_> {
    /// The answer to `request`, if it is there. It costs what it did in the step that asked, and nothing in others: there it
    /// was counted already.
    pub async fn find(&self, request: &Request) -> Result<Option<Answer>, StepError> {
        let (database, objects) = (&self.context.database, &self.context.objects);
        let found = planner_responses::find(database, &self.step.ticket, request).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let stored = objects.get(&found.response).await?;
        let mut answer: Answer = serde_json::from_slice(&stored).map_err(StepError::step)?;
        if found.step != self.step.sequence {
            answer.usage = Usage::default();
        }
        Ok(Some(answer))
    }

    /// Stores the answer to `request`. Key: the ticket and the request.
    pub async fn keep(&self, request: &Request, answer: &Answer) -> Result<(), StepError> {
        let json = serde_json::to_vec(answer).map_err(StepError::step)?;
        let stored = self.context.store(&self.step.ticket, json).await?;
        Ok(planner_responses::record(&self.context.database, self.step, request, &stored).await?)
    }

    /// Puts requests to models on record. Key: the ticket, the step, and when each was asked.
    pub async fn note(&self, calls: &[Call]) -> Result<(), StepError> {
        for call in calls {
            let row = PlannerCall {
                planner: self.planner.to_owned(),
                vendor: call.vendor.as_str().to_owned(),
                model: call.model.clone(),
                asked_at: call.asked_at,
                latency_ms: u64::try_from(call.latency.as_millis()).unwrap_or(u64::MAX),
                outcome: call.outcome.as_str().to_owned(),
                usage: call.usage,
            };
            planner_calls::record(&self.context.database, self.step, &row).await?;
        }
        Ok(())
    }

    /// Forgets the answers to `requests`, which came to nothing.
    pub async fn forget(&self, requests: &[Request]) -> Result<(), StepError> {
        let database = &self.context.database;
        Ok(planner_responses::forget(database, &self.step.ticket, requests).await?)
    }
}
