//! A storage that speaks S3, on 127.0.0.1: the server of the crates `s3s` and `s3s-fs`, which checks every request's
//! signature, in front of a folder. It can be made to break off its answers.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, anyhow};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use crate::local_server::{BoundSocket, LocalServer};

/// The id of the only access key.
pub const ACCESS_KEY_ID: &str = "SALLYPORTTESTS";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "a-secret-for-tests-only";

/// A running server; it ends when this is dropped, and its objects with it.
#[derive(Debug)]
pub struct S3Server {
    server: LocalServer,
    folder: TempDir,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    requests: Mutex<Vec<(Method, String)>>,
    breaks_off: AtomicBool,
}

impl S3Server {
    /// Starts a server on a free port, with one empty bucket.
    pub fn start(bucket: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the objects")?;
        fs::create_dir(folder.path().join(bucket))?;
        let files = FileSystem::new(folder.path())
            .map_err(|error| anyhow!("cannot serve {}: {error:?}", folder.path().display()))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let service = builder.build();
        let watch = Arc::new(Watch::default());
        let watching = watch.clone();
        let router = Router::new().fallback(async move |request: Request| {
            let (service, watch) = (service.clone(), watching.clone());
            answer(&service, &watch, request).await
        });
        let server = LocalServer::start("s3", BoundSocket::bind(0)?, router)?;
        Ok(Self {
            server,
            folder,
            watch,
        })
    }

    /// Its address, without a slash at its end.
    pub fn endpoint(&self) -> &str {
        self.server.base_url()
    }

    /// The file of an object: for looking and for damaging it behind the server's back.
    pub fn file(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.path().join(bucket).join(key)
    }

    /// The folder that holds the buckets.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many requests with this method asked for a path that ends so.
    pub fn requests(&self, method: &Method, end: &str) -> usize {
        let requests = self
            .watch
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        requests
            .iter()
            .filter(|(asked, path)| asked == method && path.ends_with(end))
            .count()
    }

    /// From now on every answer with a body breaks off half way, or none does.
    pub fn break_off(&self, on: bool) {
        self.watch.breaks_off.store(on, Ordering::SeqCst);
    }
}

async fn answer(service: &S3Service, watch: &Watch, request: Request) -> Response {
    watch
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((request.method().clone(), request.uri().path().to_owned()));
    let answer = service.call(request.map(s3s::Body::http_body_unsync)).await;
    let response = match answer {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response();
        }
    };
    if watch.breaks_off.load(Ordering::SeqCst) {
        return response.map(half);
    }
    response
}

/// The first half of a body, and then an error: the connection ends before the length that the head promised.
fn half(body: Body) -> Body {
    let pieces = body.into_data_stream().take(1).flat_map(|piece| {
        let piece = piece.unwrap_or_default();
        let first: Result<Bytes, std::io::Error> = Ok(piece.slice(..piece.len() / 2));
        futures::stream::iter([first, Err(std::io::Error::other("broken off on purpose"))])
    });
    Body::from_stream(pieces)
}
