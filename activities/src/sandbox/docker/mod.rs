//! Rooms made by a Docker engine, by its API.
//!
//! A room is a container of an all but empty image: the host's `/usr` is mounted into it read-only, as bubblewrap does it,
//! so that both engines have the same programs. What differs:
//!
//! - An agent's room cannot make rooms itself. Its launcher asks the worker, by a socket that only it sees, and the worker
//!   makes a second container for each shell command ([`rooms`]).
//! - Docker's engine outlives the worker. So the first process in a container waits for a lock that the worker holds as long
//!   as it lives, and ends with it; the kernel then ends all others ([`lifeline`]).
//!
//! | what | where |
//! |---|---|
//! | what a container is made of, and its image | [`container`], [`image`] |
//! | which system calls it may make | [`profile`] |

mod container;
mod image;
mod lifeline;
mod profile;
pub(crate) mod rooms;
mod running;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use bollard::{
    API_DEFAULT_VERSION, Docker as Client,
    query_parameters::{
        AttachContainerOptions, CreateContainerOptions, ListContainersOptions,
        RemoveContainerOptions, StartContainerOptions,
    },
};
use tokio::sync::OnceCell;

pub(super) use self::running::Running;
use super::{Room, RoomProcess, Sandbox, SandboxError, process};

/// Where Docker's engine usually listens.
pub(super) const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// The label of our containers; its value is the kit's folder, which belongs to one worker.
const LABEL: &str = "sallyport.kit";

/// How long the engine may take to answer, in seconds.
const ANSWER_SECONDS: u64 = 60;

/// A Docker engine.
#[derive(Debug)]
pub struct Docker {
    socket: PathBuf,
    ready: OnceCell<Ready>,
}

/// An engine that has answered.
#[derive(Debug)]
struct Ready {
    client: Client,
    image: String,
}

impl Docker {
    /// The engine that listens on `socket`. Nobody is asked yet.
    pub(super) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            ready: OnceCell::new(),
        }
    }

    /// The engine, with the image in it and without what an earlier worker left.
    async fn ready(&self, sandbox: &Sandbox) -> Result<&Ready, SandboxError> {
        self.ready
            .get_or_try_init(|| async {
                let path = self.socket.to_string_lossy();
                let client = Client::connect_with_unix(&path, ANSWER_SECONDS, API_DEFAULT_VERSION);
                let client = match client {
                    Ok(client) => client.negotiate_version().await,
                    Err(error) => Err(error),
                };
                let client = client.map_err(|error| SandboxError::Setup {
                    reason: format!(
                        "no Docker engine answers at {path}: {error}; start it, or name its socket in `worker.sandbox.docker_socket`"
                    ),
                })?;
                let image = image::import(&client).await?;
                remove_orphans(&client, sandbox.kit()).await?;
                Ok(Ready { client, image })
            })
            .await
    }

    pub(super) async fn spawn(
        &self,
        sandbox: &Sandbox,
        room: &Room,
        program: &[&str],
    ) -> Result<RoomProcess, SandboxError> {
        let Ready { client, image } = self.ready(sandbox).await?;
        let lifeline = lifeline::Lifeline::tie(sandbox.kit())?;
        let body = container::body(sandbox, room, (image, &lifeline), program)?;
        let made = client
            .create_container(None::<CreateContainerOptions>, body)
            .await;
        let id = made.map_err(failed("making a container"))?.id;
        // From here on, whatever happens, the container goes with this.
        let mut running = Running::new(client.clone(), id, lifeline);
        let attached = client.attach_container(running.id(), Some(attach())).await;
        let attached = attached.map_err(failed("attaching to a container"))?;
        let started = client
            .start_container(running.id(), None::<StartContainerOptions>)
            .await;
        started.map_err(failed("starting a container"))?;
        running.watch();
        let (stdout, stderr) = running::split(attached.output);
        Ok(RoomProcess {
            stdin: Some(running::input(attached.input)),
            stdout: Some(stdout),
            stderr: Some(stderr),
            running: process::Running::Docker(running),
        })
    }
}

fn attach() -> AttachContainerOptions {
    AttachContainerOptions {
        stream: true,
        stdin: true,
        stdout: true,
        stderr: true,
        ..AttachContainerOptions::default()
    }
}

async fn remove_orphans(client: &Client, kit: &Path) -> Result<(), SandboxError> {
    let label = format!("{LABEL}={}", kit.display());
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([("label".to_owned(), vec![label])])),
        ..ListContainersOptions::default()
    };
    let left = client.list_containers(Some(options)).await;
    for container in left.map_err(failed("looking for containers of an earlier worker"))? {
        if let Some(id) = container.id {
            // Gone already is as good.
            let _ = client.remove_container(&id, Some(by_force())).await;
        }
    }
    Ok(())
}

fn by_force() -> RemoveContainerOptions {
    RemoveContainerOptions {
        force: true,
        v: true,
        ..RemoveContainerOptions::default()
    }
}

fn failed(action: &'static str) -> impl FnOnce(bollard::errors::Error) -> SandboxError {
    move |error| SandboxError::Setup {
        reason: format!("{action}: {error}"),
    }
}
