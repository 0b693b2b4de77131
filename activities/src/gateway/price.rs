//! What tokens cost.

use sallyport_workflows::usage::Usage;
use serde::{Deserialize, Serialize};

/// A model's price: millionths of a US dollar per **million** tokens, so that 3 US dollars a million are `3_000_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input that no cache held.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from the vendor's cache.
    pub cache_read: u64,
    /// Input written to the vendor's cache.
    pub cache_write: u64,
}

impl Price {
    /// What `usage`'s tokens cost, in millionths of a US dollar, rounded up. Its own cost is not looked at.
    pub fn cost_micro_usd(&self, usage: &Usage) -> u64 {
        let parts = [
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_read_tokens, self.cache_read),
            (usage.cache_write_tokens, self.cache_write),
        ];
        let sum: u128 = parts
            .iter()
            .map(|(tokens, price)| u128::from(*tokens) * u128::from(*price))
            .sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The price of an input token in the worst case.
    pub(crate) fn dearest_input(&self) -> u64 {
        self.input.max(self.cache_write).max(self.cache_read)
    }
}

/// In cents per million tokens: input, output, cache read, cache write. The longest prefix that fits counts.
/// These figures were not checked against the vendors' price lists; whoever pays sets `model.planner_price` and
/// `model.agent_price`, which go before.
const PRICES: &[(&str, [u64; 4])] = &[
    ("claude-opus-4", [1500, 7500, 150, 1875]),
    ("claude-opus-4-5", [500, 2500, 50, 625]),
    ("claude-opus-4-6", [500, 2500, 50, 625]),
    ("claude-sonnet-4", [300, 1500, 30, 375]),
    ("claude-haiku-4-5", [100, 500, 10, 125]),
    ("claude-3-7-sonnet", [300, 1500, 30, 375]),
    ("claude-3-5-sonnet", [300, 1500, 30, 375]),
    ("claude-3-5-haiku", [80, 400, 8, 100]),
    ("gpt-5", [125, 1000, 13, 125]),
    ("gpt-5-pro", [1500, 12000, 1500, 1500]),
    ("gpt-5-mini", [25, 200, 3, 25]),
    ("gpt-5-nano", [5, 40, 1, 5]),
    ("gpt-4.1", [200, 800, 50, 200]),
    ("gpt-4.1-mini", [40, 160, 10, 40]),
    ("gpt-4.1-nano", [10, 40, 3, 10]),
    ("gpt-4o", [250, 1000, 125, 250]),
    ("gpt-4o-mini", [15, 60, 8, 15]),
    ("o3", [200, 800, 50, 200]),
    ("o3-pro", [2000, 8000, 2000, 2000]),
    ("o4-mini", [110, 440, 28, 110]),
    // Only what costs the same however long the prompt is: others cost more from 200,000 tokens on.
    ("gemini-2.5-flash", [30, 250, 3, 30]),
    ("gemini-2.5-flash-lite", [10, 40, 1, 10]),
];

/// The built-in price of `model`, by the longest known beginning of its name.
pub fn price_of(model: &str) -> Option<Price> {
    let (_, cents) = PRICES
        .iter()
        .filter(|(prefix, _)| model.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())?;
    let [input, output, cache_read, cache_write] = cents.map(|cents| cents * 10_000);
    Some(Price {
        input,
        output,
        cache_read,
        cache_write,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        assert_eq!(price_of("gpt-5-mini-2025-08-07").unwrap().output, 2_000_000);
        assert_eq!(price_of("gpt-5.1").unwrap().output, 10_000_000);
        assert_eq!(
            price_of("claude-sonnet-4-5-20250929").unwrap().input,
            3_000_000
        );
        assert_eq!(price_of("claude-opus-4-1").unwrap().input, 15_000_000);
        assert_eq!(price_of("gemini-2.5-flash-lite").unwrap().output, 400_000);
        assert_eq!(price_of("gemini-2.5-pro"), None, "it has two prices");
        assert_eq!(price_of("somebody-elses-model"), None);
    }

    #[test]
    fn cost_is_rounded_up() {
        let price = Price {
            input: 3_000_000,
            output: 15_000_000,
            cache_read: 300_000,
            cache_write: 3_750_000,
        };
        let usage = Usage {
            input_tokens: 1000,
            output_tokens: 200,
            cache_read_tokens: 1,
            cache_write_tokens: 2,
            ..Usage::default()
        };
        assert_eq!(
            price.cost_micro_usd(&usage),
            3000 + 3000 + 8,
            "0.3 + 7.5 are 7.8"
        );
        let huge = Usage {
            input_tokens: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(price.cost_micro_usd(&huge), u64::MAX);
    }
}
