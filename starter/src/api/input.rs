//! What requests bring: paths, queries and bodies. What cannot be read is a problem document, as every other error is.

use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
};
use sallyport_ledger::json::parse_json;
use serde::de::DeserializeOwned;

use crate::{api::error::ApiError, text, webhooks::body};

/// The path's one parameter.
#[derive(Clone, Debug)]
pub struct Path(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(parameter)| Self(parameter))
            .map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

/// The query. An empty text is none: what a form sends. An empty number is an error.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        understood::<T>(query)?;
        let given: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                pair.split_once('=')
                    .is_some_and(|(_, value)| !value.is_empty())
            })
            .collect();
        understood(&given.join("&")).map(Self)
    }
}

fn understood<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let uri = format!("/?{query}")
        .parse()
        .map_err(|_| ApiError::bad_request(text::UNREADABLE_QUERY))?;
    axum::extract::Query::try_from_uri(&uri)
        .map(|axum::extract::Query(query)| query)
        .map_err(|error| ApiError::bad_request(text::bad_query(&error.body_text())))
}

/// The request's JSON. What is no JSON is 400; what lacks a field or has one too many is 422.
pub async fn body_of<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let (parts, content) = request.into_parts();
    let content = body::read(&parts.headers, content).await?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&content)
        .map_err(|error| ApiError::bad_field("", &error.to_string()))?;
    parse_json(&content)
        .map_err(|(field, problem)| ApiError::unprocessable(text::bad_field(&field, &problem)))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Asked {
        text: Option<String>,
        limit: Option<u32>,
    }

    async fn asked(query: &str) -> Result<(Option<String>, Option<u32>), ApiError> {
        let (mut parts, ()) = Request::get(format!("/?{query}"))
            .body(())
            .unwrap()
            .into_parts();
        let Query(Asked { text, limit }) = Query::from_request_parts(&mut parts, &()).await?;
        Ok((text, limit))
    }

    #[tokio::test]
    async fn an_empty_text_is_none_and_an_empty_number_an_error() {
        assert_eq!(asked("text=&limit=7").await.unwrap(), (None, Some(7)));
        assert_eq!(asked("text=a").await.unwrap(), (Some("a".into()), None));
        assert_eq!(asked("").await.unwrap(), (None, None));
        for wrong in ["limit=", "limit", "text=a&limit="] {
            assert!(asked(wrong).await.is_err(), "{wrong}");
        }
    }
}
