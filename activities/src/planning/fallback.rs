//! Models in an order: where one has no answer, the next is asked.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{
    genai_planner::GenaiPlanner,
    model::{Answer, ModelError, Planner, Question},
};
use crate::gateway::{ModelConfig, Pace, Price};

/// The model that plans, and those that take its place.
#[derive(Debug)]
pub struct InOrder {
    first: Arc<dyn Planner>,
    others: Vec<Arc<dyn Planner>>,
}

impl InOrder {
    /// `first`, and then `others` in their order.
    pub fn new(first: Arc<dyn Planner>, others: Vec<Arc<dyn Planner>>) -> Self {
        Self { first, others }
    }

    /// The models that are configured; the first shares its `pace` with the agents, who ask the same vendor.
    pub fn configured(
        first: ModelConfig,
        others: Vec<ModelConfig>,
        pace: Option<Arc<Pace>>,
    ) -> Result<Self, ModelError> {
        let first = GenaiPlanner::new(first)?;
        let first = match pace {
            Some(pace) => first.at_pace(pace),
            None => first,
        };
        let others = others.into_iter().map(|config| {
            let planner: Arc<dyn Planner> = Arc::new(GenaiPlanner::new(config)?);
            Ok(planner)
        });
        Ok(Self::new(
            Arc::new(first),
            others.collect::<Result<_, ModelError>>()?,
        ))
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Planner>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Planner for InOrder {
    fn ask<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Answer, ModelError>> {
        Box::pin(async move {
            let mut problems: Vec<ModelError> = Vec::new();
            for planner in self.all() {
                match planner.ask(question).await {
                    Ok(answer) => return Ok(answer),
                    Err(problem) => {
                        tracing::warn!(model = planner.name(), %problem, "a model did not plan");
                        problems.push(problem);
                    }
                }
            }
            Err(worst(problems))
        })
    }

    /// The most that any of them costs.
    fn price(&self) -> Price {
        let most = |price: Price, other: Price| Price {
            input: price.input.max(other.input),
            output: price.output.max(other.output),
            cache_read: price.cache_read.max(other.cache_read),
            cache_write: price.cache_write.max(other.cache_write),
        };
        self.others
            .iter()
            .map(|other| other.price())
            .fold(self.first.price(), most)
    }

    /// The most that any of them may say.
    fn answer_tokens(&self) -> u32 {
        let most = self.all().map(|planner| planner.answer_tokens()).max();
        most.unwrap_or_default()
    }

    fn name(&self) -> String {
        self.all()
            .map(|planner| planner.name())
            .collect::<Vec<_>>()
            .join(", then ")
    }
}

/// Of several problems the one that says most: waiting may end the first kind, nothing ends the last.
fn worst(problems: Vec<ModelError>) -> ModelError {
    let rank = |problem: &ModelError| match problem {
        ModelError::Busy { .. } => 0,
        ModelError::Unreachable { .. } => 1,
        ModelError::Refused { .. } | ModelError::Configuration { .. } => 2,
        ModelError::Declined { .. } => 3,
    };
    // The first of those alike: it is the model that should have planned.
    let worst = problems.into_iter().min_by_key(rank);
    worst.unwrap_or_else(|| ModelError::Configuration {
        reason: "no model is configured".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use sallyport_test_support::scripted_model::{
        FailureKind, PlanAnswer, Scenario, ScriptedModel,
    };

    use serde_json::Value;

    use super::*;
    use crate::{
        gateway::Vendor,
        planning::{
            answer::{
                schema,
                tests::{good, policy},
            },
            call::{Call, CallOutcome, Calls, usage},
            model::Turn,
            progress::Progress,
        },
    };

    fn config(model: &ScriptedModel, vendor: Vendor) -> ModelConfig {
        let mut config = ModelConfig::new(vendor, "claude-sonnet-4-5", "key".into());
        config.base_url = model.base_url().to_owned();
        config
    }

    fn model(answer: PlanAnswer) -> ScriptedModel {
        ScriptedModel::start(Scenario::new().plan([answer]), "key").unwrap()
    }

    async fn ask(
        first: &ScriptedModel,
        second: &ScriptedModel,
    ) -> (Result<Answer, ModelError>, Vec<Call>) {
        let first = config(first, Vendor::Anthropic);
        let second = config(second, Vendor::OpenAi);
        let planner = InOrder::configured(first, vec![second], None).unwrap();
        let conversation = [
            Turn::System("You plan.".into()),
            Turn::User("Plan it.".into()),
        ];
        let (schema, calls) = (schema(&policy().gates), Calls::default());
        let progress = Progress::default();
        let answer = planner.ask(Question {
            conversation: &conversation,
            schema: &schema,
            progress: &progress,
            calls: &calls,
        });
        (answer.await, calls.into_list())
    }

    fn failing(status: u16) -> PlanAnswer {
        let how = FailureKind::Status {
            status,
            retry_after_seconds: Some(7),
        };
        PlanAnswer::json(good()).fail(9, how)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_next_model_answers_where_one_is_overloaded_gone_or_declines() {
        for broken in [
            failing(529),
            failing(404),
            failing(401),
            PlanAnswer::declined(),
        ] {
            let (first, second) = (model(broken), model(PlanAnswer::json(good())));
            let (answer, calls) = ask(&first, &second).await;
            let answer = answer.unwrap();
            let outcomes: Vec<_> = calls.iter().map(|call| call.outcome).collect();
            assert_eq!((outcomes.len(), outcomes[1]), (2, CallOutcome::Answered));
            assert_ne!(outcomes[0], CallOutcome::Answered);
            assert_eq!(serde_json::from_str::<Value>(&answer.text).unwrap(), good());
            assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
        }
        let (first, second) = (model(PlanAnswer::json(good())), model(failing(500)));
        ask(&first, &second).await.0.unwrap();
        assert_eq!(second.requests().len(), 0);
    }

    #[test]
    fn the_price_is_that_of_the_dearest_so_that_no_budget_is_overrun() {
        let at = |input, output| {
            let mut config = ModelConfig::new(Vendor::OpenAi, "any", "key".into());
            config.price = Some(Price {
                input,
                output,
                cache_read: 1,
                cache_write: 1,
            });
            config
        };
        let planner = InOrder::configured(at(2, 30), vec![at(5, 10), at(1, 1)], None).unwrap();
        assert_eq!((planner.price().input, planner.price().output), (5, 30));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn where_none_answers_the_problem_that_may_pass_counts() {
        let (answer, _) = ask(&model(failing(401)), &model(failing(429))).await;
        let error = answer.unwrap_err();
        let wait = Some(std::time::Duration::from_secs(7));
        assert!(
            matches!(error, ModelError::Busy { status: 429, retry_after, .. } if retry_after == wait),
            "{error}"
        );
        let (answer, calls) = ask(&model(PlanAnswer::declined()), &model(failing(503))).await;
        assert!(matches!(answer, Err(ModelError::Busy { .. })), "{answer:?}");
        let paid = usage(&calls);
        assert!(
            paid.requests == 1 && paid.cost_micro_usd > 0,
            "what declined is paid, whatever comes after it: {paid:?}"
        );
    }
}
