//! What tokens cost.

use std::collections::BTreeMap;

use bartizan_engine::usage::Usage;
use serde::Deserialize;

use crate::settings::ModelSetupError;

const MILLION: f64 = 1_000_000.0;

/// What a million tokens of a model cost, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input tokens.
    pub input: f64,
    /// Input tokens from the provider's cache; none where they cost as much as others.
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// Output tokens, reasoning included.
    pub output: f64,
}

/// The price table. A model that is not in it has no cost, which is not the same as none.
#[derive(Clone, Debug, Default)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// A table of prices by `model` or `provider/model`.
    ///
    /// # Errors
    /// A price that is negative, infinite or no number.
    pub fn new(prices: impl IntoIterator<Item = (String, Price)>) -> Result<Self, ModelSetupError> {
        let prices: BTreeMap<String, Price> = prices.into_iter().collect();
        for (model, price) in &prices {
            let parts = [price.input, price.output, price.cached_input.unwrap_or(0.0)];
            if !parts.iter().all(|part| part.is_finite() && *part >= 0.0) {
                return Err(ModelSetupError::InvalidPrice { model: model.clone() });
            }
        }
        Ok(Self(prices))
    }

    /// The price of a model: by its own name, else by `provider/model`.
    pub fn of(&self, provider: &str, model: &str) -> Option<Price> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(model).or_else(|| self.0.get(&format!("{provider}/{model}"))).copied()
    }
}

impl Price {
    /// What this use costs, in US dollars.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let fresh = usage.input_tokens - cached;
        let dollars = tokens(fresh) * self.input
            + tokens(cached) * self.cached_input.unwrap_or(self.input)
            + tokens(usage.output_tokens) * self.output;
        dollars / MILLION
    }
}

/// Token counts stay far below 2^53, up to which the conversion is exact.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn tokens(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: f64, cached_input: Option<f64>, output: f64) -> Price {
        Price { input, cached_input, output }
    }

    #[test]
    fn cached_tokens_have_their_own_price() {
        let usage = Usage {
            input_tokens: 1_000_000,
            cached_tokens: 400_000,
            output_tokens: 100_000,
            ..Usage::default()
        };
        let cost = price(2.0, Some(0.5), 10.0).cost(&usage);
        assert!((cost - (1.2 + 0.2 + 1.0)).abs() < 1e-9, "{cost}");
        let cost = price(2.0, None, 10.0).cost(&usage);
        assert!((cost - 3.0).abs() < 1e-9, "{cost}");
    }

    #[test]
    fn the_models_own_name_comes_first() {
        let prices = Prices::new([
            ("m".to_owned(), price(1.0, None, 1.0)),
            ("openai/m".to_owned(), price(2.0, None, 2.0)),
            ("openai/n".to_owned(), price(3.0, None, 3.0)),
        ])
        .unwrap();
        assert_eq!(prices.of("openai", "m").unwrap().input, 1.0);
        assert_eq!(prices.of("openai", "n").unwrap().input, 3.0);
        assert_eq!(prices.of("gemini", "n"), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            let error = Prices::new([("m".to_owned(), price(wrong, None, 1.0))]).unwrap_err();
            assert!(error.to_string().contains("`m`"), "{error}");
        }
    }
}
