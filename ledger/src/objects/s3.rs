//! The storage behind S3's protocol: Amazon's own, MinIO, Ceph, or another that speaks it.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    path::Path as ObjectPath,
    prefix::PrefixStore,
};
use secrecy::ExposeSecret;

use super::ObjectError;
use crate::config::S3Config;

/// How long one request may take; the largest object must pass a slow line.
const REQUEST_LIMIT: Duration = Duration::from_secs(120);
/// Whoever asked tries again by itself, and wants to know soon.
const RETRIES: usize = 3;
/// After this long nothing is tried again.
const RETRY_LIMIT: Duration = Duration::from_secs(20);

/// The storage and how messages name it. Reaches nobody yet.
pub(super) fn open(config: &S3Config) -> Result<(Arc<dyn ObjectStore>, String), ObjectError> {
    let wrong = |key, reason: String| ObjectError::Key { key, reason };
    if config.bucket.is_empty() || config.bucket.contains('/') {
        return Err(wrong(
            "objects.s3.bucket",
            format!("`{}` is no bucket's name", config.bucket),
        ));
    }
    let place = match &config.endpoint {
        Some(endpoint) => format!("bucket `{}` at {endpoint}", config.bucket),
        None => format!("bucket `{}` in {}", config.bucket, config.region),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_access_key_id(config.access_key_id()?.expose_secret())
        .with_secret_access_key(config.secret_access_key()?.expose_secret())
        .with_virtual_hosted_style_request(!config.path_style())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(ClientOptions::new().with_timeout(REQUEST_LIMIT))
        .with_allow_http(config.allow_http)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: RETRY_LIMIT,
        });
    if let Some(endpoint) = &config.endpoint {
        let is_plain = endpoint.starts_with("http://");
        if !is_plain && !endpoint.starts_with("https://") {
            return Err(wrong(
                "objects.s3.endpoint",
                format!("`{endpoint}` is no address; write it as https://HOST:PORT"),
            ));
        }
        if is_plain && !config.allow_http {
            return Err(wrong(
                "objects.s3.endpoint",
                format!(
                    "`{endpoint}` is not encrypted; use https, or set `objects.s3.allow_http = true` in a network that \
                     you trust"
                ),
            ));
        }
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    let store = builder
        .build()
        .map_err(|error| wrong("objects.s3", error.to_string()))?;
    let prefix = config.prefix.as_deref().unwrap_or_default();
    let prefix =
        ObjectPath::parse(prefix).map_err(|error| wrong("objects.s3.prefix", error.to_string()))?;
    if prefix == ObjectPath::default() {
        return Ok((Arc::new(store), place));
    }
    Ok((Arc::new(PrefixStore::new(store, prefix)), place))
}
