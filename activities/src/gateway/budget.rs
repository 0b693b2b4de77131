//! What a run may spend, has set aside, and has spent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sallyport_workflows::usage::Usage;
use tokio::sync::oneshot;

use super::{Exhausted, GatewayReport, Price, RunLimits};

/// One run's money and tokens.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// What the log calls the run.
    name: Arc<str>,
    limits: Arc<RunLimits>,
    price: Price,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    report: GatewayReport,
    /// Set aside for requests that are not answered yet.
    reserved: Usage,
}

impl State {
    fn exhausted(&mut self, budget: Exhausted) {
        self.report.refused += 1;
        self.report.exhausted.get_or_insert(budget);
    }
}

/// The run's budget does not cover a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of budget: this run's {what} are used up or the rest does not cover another request")]
pub(super) struct NotCovered {
    what: &'static str,
}

impl Budget {
    pub(super) fn new(name: &str, limits: RunLimits, price: Price) -> Self {
        Self {
            name: name.into(),
            limits: Arc::new(limits),
            price,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets aside the most that a request can cost: `input` tokens at the dearest price of input, and `output` tokens.
    pub(super) fn reserve(&self, input: u64, output: u64) -> Result<Reservation, NotCovered> {
        let dearest = self.price.dearest_input();
        let worst = Price {
            input: dearest,
            ..self.price
        };
        let mut amount = Usage {
            requests: 1,
            input_tokens: input,
            output_tokens: output,
            ..Usage::default()
        };
        amount.cost_micro_usd = worst.cost_micro_usd(&amount);

        let mut state = self.state();
        let mut after = state.report.usage;
        after += state.reserved;
        after += amount;
        let over = [
            ("requests", after.requests, self.limits.requests),
            ("tokens", after.tokens(), self.limits.tokens),
            ("dollars", after.cost_micro_usd, self.limits.cost_micro_usd),
        ];
        if let Some((what, _, _)) = over.into_iter().find(|(_, after, limit)| after > limit) {
            state.exhausted(Exhausted::Run);
            return Err(NotCovered { what });
        }
        state.reserved += amount;
        state.report.requests += 1;
        Ok(Reservation {
            budget: self.clone(),
            amount,
            settled: false,
            chargeable: false,
            bytes: (0, 0),
            told: None,
        })
    }

    /// Notes a request that the installation's budget for the day does not cover.
    pub(super) fn day_is_used_up(&self) {
        self.state().exhausted(Exhausted::Day);
    }

    /// Notes a request that was not passed on.
    pub(super) fn refuse(&self) {
        self.state().report.refused += 1;
    }

    /// Notes a failure of the vendor.
    pub(super) fn upstream_failed(&self, reason: String) {
        self.state().report.upstream_error = Some(reason);
    }

    pub(super) fn report(&self) -> GatewayReport {
        self.state().report.clone()
    }
}

/// What is set aside for one request. If it is dropped before it is settled, and the vendor may charge for it, all of it counts
/// as spent: we do not know what an answer that was cut will cost.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Budget,
    amount: Usage,
    settled: bool,
    chargeable: bool,
    /// Bytes of the request and of its answer, for the log.
    bytes: (usize, usize),
    /// Who is told what it cost.
    told: Option<oneshot::Sender<u64>>,
}

impl Reservation {
    /// The most that the request can cost, in millionths of a US dollar.
    pub(super) fn most(&self) -> u64 {
        self.amount.cost_micro_usd
    }

    /// Answers what the request cost, however it ends.
    pub(super) fn cost(&mut self) -> oneshot::Receiver<u64> {
        let (told, cost) = oneshot::channel();
        self.told = Some(told);
        cost
    }

    /// Counts the tokens that were used instead.
    pub(super) fn settle(mut self, mut used: Usage) {
        used.requests = 1;
        used.cost_micro_usd = self.budget.price.cost_micro_usd(&used);
        self.close(used);
    }

    /// Notes whether the vendor may charge for the request: from when it is sent until it is refused.
    pub(super) fn set_chargeable(&mut self, chargeable: bool) {
        self.chargeable = chargeable;
    }

    /// Notes so many more bytes of the request, and of its answer.
    pub(super) fn note_bytes(&mut self, request: usize, answer: usize) {
        self.bytes.0 += request;
        self.bytes.1 += answer;
    }

    /// The vendor did not take the request, so it cost nothing.
    pub(super) fn release(mut self) {
        self.close(Usage::default());
    }

    /// Every request comes here once, however it ended. The log gets sizes and cost, and nothing of what was said.
    fn close(&mut self, used: Usage) {
        self.settled = true;
        tracing::info!(
            run = %self.budget.name,
            request_bytes = self.bytes.0,
            answer_bytes = self.bytes.1,
            input_tokens = used.input_tokens,
            output_tokens = used.output_tokens,
            cache_read_tokens = used.cache_read_tokens,
            cache_write_tokens = used.cache_write_tokens,
            cost_micro_usd = used.cost_micro_usd,
            "a request to the model is counted"
        );
        let mut state = self.budget.state();
        let reserved = &mut state.reserved;
        reserved.requests -= self.amount.requests;
        reserved.input_tokens -= self.amount.input_tokens;
        reserved.output_tokens -= self.amount.output_tokens;
        reserved.cost_micro_usd -= self.amount.cost_micro_usd;
        state.report.usage += used;
        drop(state);
        if let Some(told) = self.told.take() {
            let _ = told.send(used.cost_micro_usd);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            let used = if self.chargeable {
                self.amount
            } else {
                Usage::default()
            };
            self.close(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PRICE: Price = Price {
        input: 1_000_000,
        output: 2_000_000,
        cache_read: 100_000,
        cache_write: 1_500_000,
    };

    fn budget(requests: u64, tokens: u64, cost_micro_usd: u64) -> Budget {
        Budget::new(
            "run-1",
            RunLimits {
                requests,
                tokens,
                cost_micro_usd,
                wall: Duration::ZERO,
            },
            PRICE,
        )
    }

    #[test]
    fn what_is_set_aside_is_not_there_for_others() {
        let budget = budget(10, 1000, u64::MAX);
        let first = budget.reserve(400, 200).unwrap();
        assert_eq!(
            budget.reserve(400, 200).unwrap_err(),
            NotCovered { what: "tokens" }
        );
        first.settle(Usage {
            input_tokens: 100,
            output_tokens: 10,
            ..Usage::default()
        });
        assert!(budget.reserve(400, 200).is_ok());
        assert_eq!(budget.report().refused, 1);
    }

    #[test]
    fn each_limit_holds() {
        assert_eq!(
            budget(0, 9999, 9999).reserve(1, 1).unwrap_err().what,
            "requests"
        );
        assert_eq!(
            budget(9, 20, 9999).reserve(10, 11).unwrap_err().what,
            "tokens"
        );
        // 10 at the dearest input price, 1.5, and 10 at 2.
        assert_eq!(
            budget(9, 9999, 34).reserve(10, 10).unwrap_err().what,
            "dollars"
        );
        let exact = budget(1, 20, 35);
        assert!(exact.reserve(10, 10).is_ok());
        assert_eq!(exact.report().exhausted, None);
    }

    #[test]
    fn an_answer_without_usage_is_charged_in_full_and_a_refused_request_not_at_all() {
        let budget = budget(10, 1000, 1000);
        let mut sent = budget.reserve(100, 50).unwrap();
        sent.set_chargeable(true);
        drop(sent);
        let spent = budget.report().usage;
        assert_eq!(
            (spent.requests, spent.tokens(), spent.cost_micro_usd),
            (1, 150, 250)
        );
        budget.reserve(100, 50).unwrap().release();
        drop(budget.reserve(100, 50).unwrap());
        assert_eq!(budget.report().usage, spent, "it was never sent");
        assert_eq!(budget.report().requests, 3);
    }
}
