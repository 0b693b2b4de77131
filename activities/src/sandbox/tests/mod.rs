//! Attacks on real rooms. Each asks for what it must not get, from inside, and the test looks at the outcome from
//! outside wherever it can be seen there.

mod commands;
mod docker;
mod limits;
mod read_only;
mod walls;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// A workspace in a folder of its own, with room for the kit and for what must stay unseen beside it.
struct House {
    folder: TempDir,
    sandbox: Sandbox,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The room's user has to pass.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let sandbox = Sandbox::open_with(
            &crate::tools::for_tests(),
            &folder.path().join("kit"),
            &engine(),
        )
        .unwrap();
        fs::create_dir(folder.path().join("workspace")).unwrap();
        give_to_room(&folder.path().join("workspace")).unwrap();
        Self { folder, sandbox }
    }

    fn is_docker(&self) -> bool {
        self.sandbox.engine().name() == EngineName::Docker
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    async fn run_within(&self, limits: Limits, command: &str) -> CommandResult {
        run_command(&self.sandbox, &self.workspace(), command, limits)
            .await
            .unwrap()
    }

    async fn run(&self, command: &str) -> CommandResult {
        self.run_within(Limits::for_commands(), command).await
    }

    /// Runs a command as Pi's does: by the launcher, from inside an agent's room.
    async fn run_through_launcher(&self, mut room: Room, command: &str) -> (i32, Captured) {
        let folder = self.folder.path().join("rooms");
        let rooms = InnerRooms::open(&self.sandbox, &folder, &self.workspace()).unwrap();
        if let Some(rooms) = &rooms {
            room = rooms.shown_to(room);
        }
        let launcher = format!("{KIT}/{}", launcher::FILE);
        let mut process = self
            .sandbox
            .spawn(&room, &[&launcher, command])
            .await
            .unwrap();
        let output = tokio::spawn(Capture::new(1 << 20, 1 << 20).drain(process.stdout.take()));
        let exit = process.wait().await.unwrap();
        (exit.code, output.await.unwrap().finish())
    }

    fn agent_room(&self) -> Room {
        Room::new(Layer::Agent, self.workspace(), Limits::for_agents())
    }
}

/// The engine that these tests are about: bubblewrap, or the Docker engine whose socket is named in the environment.
fn engine() -> EngineConfig {
    match std::env::var_os("SALLYPORT_DOCKER") {
        None => EngineConfig::default(),
        Some(socket) => EngineConfig {
            engine: EngineName::Docker,
            docker_socket: socket.into(),
        },
    }
}

/// Whether a process on this machine has `marker` in its command line.
pub(crate) fn runs(marker: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(marker.len())
            .any(|part| part == marker.as_bytes())
    })
}

/// A number that only the caller's commands have as an argument.
pub(crate) fn marker() -> String {
    format!("7{:09}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000)
}
