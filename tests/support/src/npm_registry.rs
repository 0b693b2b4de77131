//! A package registry as npm speaks to it (the packument and the tarball of each package), with one package in it.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::local_server::{BoundSocket, LocalServer};

/// The package: it says what a duration is called.
pub const PACKAGE: &str = "plain-words";

/// Its only version.
pub const VERSION: &str = "1.0.0";

/// A running registry. It is gone when this is dropped.
#[derive(Debug)]
pub struct NpmRegistry {
    server: LocalServer,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    base_url: String,
    tarball: Vec<u8>,
    requests: Mutex<Vec<String>>,
}

impl Shared {
    fn tarball_path(&self) -> String {
        format!("/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz")
    }

    fn integrity(&self) -> String {
        format!(
            "sha512-{}",
            BASE64_STANDARD.encode(Sha512::digest(&self.tarball))
        )
    }

    fn manifest(&self) -> Value {
        json!({
            "name": PACKAGE,
            "version": VERSION,
            "main": "index.js",
            "dist": {
                "tarball": format!("{}{}", self.base_url, self.tarball_path()),
                "integrity": self.integrity(),
            },
        })
    }
}

impl NpmRegistry {
    /// Starts one; what the package does when it is installed is the shell command `install_script`.
    ///
    /// # Errors
    /// If there is no port, or no `tar`.
    pub fn start(install_script: &str) -> anyhow::Result<Self> {
        let socket = BoundSocket::bind(0)?;
        let shared = Arc::new(Shared {
            base_url: socket.base_url(),
            tarball: tarball(install_script)?,
            requests: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let server = LocalServer::start("npm-registry", socket, router)?;
        Ok(Self { server, shared })
    }

    /// The address, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.server.base_url()
    }

    /// A `package-lock.json` for a project `name` that depends on the package.
    #[must_use]
    pub fn lock_file(&self, name: &str) -> String {
        let manifest = self.shared.manifest();
        let locked = json!({
            "version": VERSION,
            "resolved": manifest["dist"]["tarball"],
            "integrity": manifest["dist"]["integrity"],
            "hasInstallScript": true,
        });
        let lock = json!({
            "name": name,
            "lockfileVersion": 3,
            "requires": true,
            "packages": {
                "": {"name": name, "dependencies": {PACKAGE: VERSION}},
                (format!("node_modules/{PACKAGE}")): locked,
            },
        });
        format!("{lock:#}\n")
    }

    /// What was asked for, as `GET /path`, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let requests = self.shared.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    let mut requests = shared
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    requests.push(format!("{} {path}", request.method()));
    drop(requests);
    if path == shared.tarball_path() {
        let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
        return (kind, shared.tarball.clone()).into_response();
    }
    if path == format!("/{PACKAGE}") {
        let packument = json!({
            "name": PACKAGE,
            "dist-tags": {"latest": VERSION},
            "versions": {VERSION: shared.manifest()},
        });
        return Json(packument).into_response();
    }
    let problem = Json(json!({"error": "Not found"}));
    (StatusCode::NOT_FOUND, problem).into_response()
}

/// The package as `npm pack` packs one.
fn tarball(install_script: &str) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let package = folder.path().join("package");
    std::fs::create_dir(&package)?;
    let manifest = json!({
        "name": PACKAGE,
        "version": VERSION,
        "main": "index.js",
        "scripts": {"install": install_script},
    });
    std::fs::write(package.join("package.json"), format!("{manifest:#}\n"))?;
    std::fs::write(
        package.join("index.js"),
        "module.exports = { ms: 'milliseconds' };\n",
    )?;
    let done = Command::new("tar")
        .args(["-czf", "-", "package"])
        .current_dir(folder.path())
        .stderr(Stdio::inherit())
        .output()
        .context("tar cannot be run")?;
    ensure!(done.status.success(), "tar: {}", done.status);
    Ok(done.stdout)
}
