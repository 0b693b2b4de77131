//! How long a busy vendor asks us to wait.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, header};
use serde_json::Value;

/// What Google's errors call the part that holds the pause.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The pause that an answer asks for: in the header `retry-after`, in seconds or until a date, or in the details of an error
/// of Google's, which has no such header.
pub fn pause_asked_for(headers: &HeaderMap, body: &Value) -> Option<Duration> {
    in_header(headers).or_else(|| in_details(body))
}

fn in_header(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some(
        SystemTime::from(date)
            .duration_since(SystemTime::now())
            .unwrap_or_default(),
    )
}

/// `retryDelay` is a duration as protocol buffers write it in JSON: seconds, and an `s`.
fn in_details(body: &Value) -> Option<Duration> {
    let details = body["error"]["details"].as_array()?;
    let info = details
        .iter()
        .find(|detail| detail["@type"] == RETRY_INFO)?;
    let seconds = info["retryDelay"].as_str()?.strip_suffix('s')?;
    Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn header(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn a_header_tells_seconds_or_a_date() {
        let seconds = |value: &str| pause_asked_for(&header(value), &Value::Null);
        assert_eq!(seconds("7"), Some(Duration::from_secs(7)));
        assert_eq!(seconds("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(
            seconds("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO),
            "it is over"
        );
        assert!(seconds("Fri, 01 Jan 2100 00:00:00 GMT").unwrap() > Duration::from_secs(3600));
        for nonsense in ["soon", "-1", "inf"] {
            assert_eq!(seconds(nonsense), None);
        }
    }

    #[test]
    fn google_tells_it_in_the_details_of_the_error() {
        let body = |delay: &str| {
            json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
                {"@type": RETRY_INFO, "retryDelay": delay},
            ]}})
        };
        let delay = |delay: &str| pause_asked_for(&HeaderMap::new(), &body(delay));
        assert_eq!(delay("34.5s"), Some(Duration::from_millis(34_500)));
        assert_eq!(delay("34"), None);
        assert_eq!(delay("-1s"), None);
        assert_eq!(
            pause_asked_for(&header("2"), &body("34s")),
            Some(Duration::from_secs(2))
        );
        assert_eq!(pause_asked_for(&HeaderMap::new(), &Value::Null), None);
    }
}
