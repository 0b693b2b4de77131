//! The headers of a request: what the room must show, and what goes to the vendor.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::{ModelConfig, Vendor};

/// Betas of Anthropic's that change only how an answer is streamed or thought about.
const ALLOWED_BETAS: &[&str] = &[
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
];

/// Whether a request shows the run's token where the vendor's key would stand.
pub(super) fn shows_token(vendor: Vendor, token: &SecretString, headers: &HeaderMap) -> bool {
    let (name, before) = key_header(vendor);
    let shown = headers.get(name).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix(before));
    shown.is_some_and(|shown| {
        let token = token.expose_secret().as_bytes();
        bool::from(shown.as_bytes().ct_eq(token))
    })
}

/// The header that the vendor's key stands in, and what stands before it.
fn key_header(vendor: Vendor) -> (HeaderName, &'static str) {
    match vendor {
        Vendor::Anthropic => (HeaderName::from_static("x-api-key"), ""),
        Vendor::OpenAi => (header::AUTHORIZATION, "Bearer "),
        Vendor::Google => (HeaderName::from_static("x-goog-api-key"), ""),
    }
}

/// What is sent along with a request: nothing of the room's but the version of the protocol.
pub(super) fn outgoing(config: &ModelConfig, incoming: &HeaderMap) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let (name, before) = key_header(config.vendor);
    let value = format!("{before}{}", config.api_key.expose_secret());
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    headers.insert(name, value);
    if config.vendor == Vendor::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        let asked = incoming
            .get_all("anthropic-beta")
            .iter()
            .filter_map(|value| value.to_str().ok());
        let betas: Vec<&str> = asked
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|beta| ALLOWED_BETAS.contains(beta))
            .collect();
        if !betas.is_empty() {
            headers.insert(
                "anthropic-beta",
                HeaderValue::from_str(&betas.join(",")).ok()?,
            );
        }
    }
    Some(headers)
}
