//! What a vendor's error means for whoever asked.

use genai::webc;
use sallyport_workflows::text::shorten;
use serde_json::Value;

use super::model::ModelError;
use crate::{
    failure::{scrub, without_secret},
    gateway::{ModelConfig, pause_asked_for},
};

/// What `error` of the model `config` means.
pub fn of(error: &genai::Error, config: &ModelConfig) -> ModelError {
    let error = innermost(error);
    let clean = |text: &str| shorten(&scrub(&without_secret(text, &config.api_key)), 300);
    let Some(status) = error.status() else {
        // Google stops what it does not want to read at the door, with nothing but a reason.
        if let genai::Error::ChatResponse { body, .. } = error
            && body.get("finishReason").is_some()
        {
            return ModelError::Declined {
                reason: "the vendor stopped the question".to_owned(),
            };
        }
        return ModelError::Unreachable {
            reason: clean(&unreachable_reason(error)),
        };
    };
    let reason = clean(&vendor_words(&vendor_body(error)["error"]));
    let status = status.as_u16();
    let busy = matches!(status, 408 | 409 | 425 | 429) || status >= 500;
    // Nothing is left on the account: waiting does not fill it.
    if !busy || reason.contains("insufficient_quota") {
        return ModelError::Refused { status, reason };
    }
    ModelError::Busy {
        status,
        reason,
        retry_after: error
            .headers()
            .and_then(|headers| pause_asked_for(headers, &vendor_body(error))),
    }
}

/// Of a stream's error the one that it wraps.
fn innermost(error: &genai::Error) -> &genai::Error {
    match error {
        genai::Error::WebStream { error: inner, .. } => inner
            .downcast_ref::<genai::Error>()
            .map_or(error, innermost),
        _ => error,
    }
}

/// What the vendor answered instead; null if it was no JSON.
fn vendor_body(error: &genai::Error) -> Value {
    let body = match error {
        genai::Error::HttpError { body, .. } => body,
        genai::Error::WebModelCall { webc_error, .. }
        | genai::Error::WebAdapterCall { webc_error, .. } => match webc_error {
            webc::Error::ResponseFailedStatus { body, .. } => body,
            _ => return Value::Null,
        },
        _ => return Value::Null,
    };
    serde_json::from_str(body).unwrap_or_default()
}

/// What the vendor says about an error: `message`, and `code`, `type` or `status` of what its JSON has under `error`.
fn vendor_words(said: &Value) -> String {
    let code = ["code", "type", "status"]
        .iter()
        .find_map(|key| said[key].as_str());
    match (said["message"].as_str(), code) {
        (Some(message), Some(code)) => format!("{message} ({code})"),
        (Some(message), None) => message.to_owned(),
        _ => "no reason given".to_owned(),
    }
}

/// genai's own words may hold the whole request; these don't.
fn unreachable_reason(error: &genai::Error) -> String {
    let web = match error {
        genai::Error::WebModelCall { webc_error, .. }
        | genai::Error::WebAdapterCall { webc_error, .. } => webc_error,
        genai::Error::ChatResponseGeneration { cause, .. } => return cause.clone(),
        // An error in the middle of an answer: of OpenAI genai gives what is under `error`, of others all.
        genai::Error::ChatResponse { body, .. } => {
            let said = body.get("error").unwrap_or(body);
            return format!("the answer broke off: {}", vendor_words(said));
        }
        genai::Error::StreamParse { serde_error, .. } => {
            return format!("a part of the answer is broken JSON: {serde_error}");
        }
        genai::Error::WebStream { error, .. } => return with_causes(&**error),
        _ => return "the answer is not what the vendor documents".to_owned(),
    };
    match web {
        webc::Error::Reqwest(error) => with_causes(error),
        webc::Error::ResponseFailedNotJson { content_type, .. } => {
            format!("the answer is `{content_type}` and not JSON")
        }
        webc::Error::ResponseFailedInvalidJson { cause, .. } => {
            format!("the answer is broken JSON: {cause}")
        }
        _ => "the answer is not what the vendor documents".to_owned(),
    }
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    reason
}
