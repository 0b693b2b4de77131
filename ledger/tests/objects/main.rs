//! Object storage: the same suite over a local folder and over a real server that speaks S3, and what only a server
//! can do wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bucket;
mod garbage;
mod suite;

use std::path::PathBuf;

use sallyport_ledger::{
    Objects,
    config::{ObjectsConfig, S3Config},
    secret::SecretString,
};
use sallyport_test_support::s3::{ACCESS_KEY_ID, S3Server, SECRET_ACCESS_KEY};
use tempfile::TempDir;

const BUCKET: &str = "tickets";

/// An empty storage of either kind.
enum Storage {
    Folder(TempDir, Objects),
    Bucket(Box<S3Server>, Objects),
}

impl Storage {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = ObjectsConfig::folder(folder.path().join("made/on/demand"));
        let objects = Objects::open(&config).unwrap();
        Self::Folder(folder, objects)
    }

    fn bucket() -> Self {
        let server = S3Server::start(BUCKET).unwrap();
        let objects = Objects::open(&ObjectsConfig::bucket(s3(server.endpoint()))).unwrap();
        Self::Bucket(Box::new(server), objects)
    }

    fn objects(&self) -> &Objects {
        match self {
            Self::Folder(_, objects) | Self::Bucket(_, objects) => objects,
        }
    }

    /// Where the storage keeps what has this path in it.
    fn file(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(folder, _) => folder.path().join("made/on/demand").join(path),
            Self::Bucket(server, _) => server.file(BUCKET, &format!("of/ours/{path}")),
        }
    }
}

fn s3(endpoint: &str) -> S3Config {
    S3Config {
        endpoint: Some(endpoint.to_owned()),
        region: "eu-central-1".to_owned(),
        bucket: BUCKET.to_owned(),
        prefix: Some("of/ours".to_owned()),
        access_key_id: Some(SecretString::from(ACCESS_KEY_ID)),
        access_key_id_file: None,
        secret_access_key: Some(SecretString::from(SECRET_ACCESS_KEY)),
        secret_access_key_file: None,
        allow_http: true,
        path_style: None,
    }
}
