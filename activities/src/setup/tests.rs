//! Setups in real rooms, with a registry of the test's own on loopback.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::*;
use crate::{
    mirror::Mirrors,
    testing::{Origin, reachable_folder, tools},
};

/// A registry with one package, which counts how often it was asked.
async fn registry() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let package = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { "export const leftPad = 1;\n" }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::clone(&asked);
    let fails_once = move || {
        let before = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match before {
                0 => Err(StatusCode::INTERNAL_SERVER_ERROR),
                _ => Ok("export {};\n"),
            }
        }
    };
    let router = Router::new()
        .route("/left-pad.js", get(package))
        .route("/fails-once.js", get(fails_once));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

struct World {
    folder: tempfile::TempDir,
    origin: Origin,
    mirror: Mirror,
    base: String,
    setups: Setups,
    asked: Arc<AtomicUsize>,
    registry: SocketAddr,
}

impl World {
    async fn new() -> Self {
        let (registry, asked) = registry().await;
        let origin = Origin::new(&[
            (".gitignore", "node_modules/\n"),
            ("package-lock.json", "{}\n"),
            ("src/a.js", "export const a = 1;\n"),
        ])
        .await;
        let folder = reachable_folder();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        let config = SetupConfig {
            registries: Registry::try_from(format!("http://{registry}"))
                .into_iter()
                .collect(),
            ..SetupConfig::default()
        };
        let sandbox = Sandbox::open(&tools(), &folder.path().join("kit")).unwrap();
        Self {
            base: origin.head("main").await,
            setups: Setups::new(
                folder.path().join("setups"),
                config,
                sandbox,
                LeakCheck::new([], crate::leaks::LARGEST_FILE),
            ),
            folder,
            origin,
            mirror,
            asked,
            registry,
        }
    }

    /// A command that fetches `address` with Node and writes it to `file`, and fails if it cannot.
    fn fetch(address: &str, file: &str) -> String {
        format!(
            "node -e \"fetch('{address}').then(async (answer) => {{ if (!answer.ok) throw new Error(await answer.text()); \
             require('fs').writeFileSync('{file}', await answer.text()) }})\""
        )
    }

    async fn install(&self, command: &str) -> Result<Installed, SetupError> {
        let setup = Setup {
            command: command.to_owned(),
            lock_files: Vec::new(),
            timeout_seconds: 60,
        };
        let subject = Subject {
            mirror: &self.mirror,
            base: &self.base,
            setup: &setup,
        };
        self.setups.installed(subject, |_| {}).await
    }

    /// A checkout of the base commit with `installed` in it.
    async fn laid_out(&self, installed: &Installed) -> std::path::PathBuf {
        let tree = self.folder.path().join("workspace");
        let index = self.folder.path().join("index");
        checkout::check_out(self.mirror.git(), &index, &self.base, &tree)
            .await
            .unwrap();
        self.setups.lay_out(installed, &tree).await.unwrap();
        tree
    }
}

#[tokio::test]
async fn what_a_setup_installs_is_laid_out_and_made_only_once() {
    let mut world = World::new().await;
    let address = format!("http://{}/left-pad.js", world.registry);
    let command = format!(
        "mkdir -p node_modules && {} && echo changed > src/a.js && touch $HOME/of-the-home && ln -s ../src node_modules/link",
        World::fetch(&address, "node_modules/left-pad.js")
    );
    let installed = world.install(&command).await.unwrap();
    assert_eq!(world.asked.load(Ordering::SeqCst), 1);
    let tree = world.laid_out(&installed).await;
    let read = |path: &str| fs::read_to_string(tree.join(path)).unwrap();
    assert_eq!(
        read("node_modules/left-pad.js"),
        "export const leftPad = 1;\n"
    );
    assert_eq!(read(".sallyport-home/of-the-home"), "");
    assert_eq!(
        read("src/a.js"),
        "export const a = 1;\n",
        "the base's own file"
    );
    assert_eq!(
        fs::read_link(tree.join("node_modules/link")).unwrap(),
        std::path::Path::new("../src")
    );
    assert!(!tree.join("run").exists());

    // What a later commit has at the same place stays.
    let first = world.base.clone();
    world.base = world
        .origin
        .commit(&[("node_modules/left-pad.js", "ours\n")])
        .await;
    world.mirror = Mirrors::new(world.folder.path().join("m"))
        .fetch(world.origin.url())
        .await
        .unwrap();
    let tree = world.laid_out(&installed).await;
    assert_eq!(
        fs::read_to_string(tree.join("node_modules/left-pad.js")).unwrap(),
        "ours\n"
    );
    assert!(tree.join("node_modules/link").symlink_metadata().is_ok());
    world.base = first;

    // Another commit with the same lock files, then with others.
    world.base = world
        .origin
        .commit(&[("src/a.js", "export const a = 2;\n")])
        .await;
    world.mirror = Mirrors::new(world.folder.path().join("m"))
        .fetch(world.origin.url())
        .await
        .unwrap();
    assert_eq!(world.install(&command).await.unwrap(), installed);
    assert_eq!(world.asked.load(Ordering::SeqCst), 1);
    assert!(
        fs::read_to_string(world.laid_out(&installed).await.join("src/a.js"))
            .unwrap()
            .contains("a = 2")
    );
    world.base = world
        .origin
        .commit(&[("package-lock.json", "{\"a\": 1}\n")])
        .await;
    world.mirror = Mirrors::new(world.folder.path().join("m"))
        .fetch(world.origin.url())
        .await
        .unwrap();
    assert_ne!(world.install(&command).await.unwrap(), installed);
    assert_eq!(world.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_setup_reaches_nothing_but_registries() {
    let world = World::new().await;
    let (elsewhere, asked) = registry().await;
    // Through the proxy.
    let command = World::fetch(&format!("http://{elsewhere}/left-pad.js"), "/tmp/x");
    let problem = world.install(&command).await.unwrap_err().to_string();
    assert!(
        problem.contains("failed with exit code 1 on the base commit"),
        "{problem}"
    );
    assert!(
        problem.contains(&format!("asked for {elsewhere}, no registry")),
        "{problem}"
    );
    // Past it: the registry's own address is none in the room.
    let command = format!(
        "! timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}' && ! timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}'",
        world.registry.port(),
        elsewhere.port()
    );
    world.install(&command).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(world.asked.load(Ordering::SeqCst), 0);
    // A later room has no way to the registries at all.
    let installed = world.install("true").await.unwrap();
    let tree = world.laid_out(&installed).await;
    let room = crate::sandbox::run_command(
        &world.setups.sandbox,
        &tree,
        "ls /run/registries /opt/bridge.mjs; env",
        crate::sandbox::Limits::for_commands(),
    );
    let said = room.await.unwrap().output.text;
    assert!(
        !said.contains("registries.sock") && !said.to_lowercase().contains("proxy="),
        "{said}"
    );
}

#[tokio::test]
async fn a_setup_that_fails_or_leaves_files_of_its_own_says_so() {
    let world = World::new().await;
    let problem = world
        .install("echo one; echo two >&2; exit 3")
        .await
        .unwrap_err();
    assert!(
        problem
            .to_string()
            .ends_with("failed with exit code 3 on the base commit; its output ends with: one two"),
        "{problem}"
    );
    let error = StepError::from(problem);
    assert!(
        error.is_final() && error.kind() == kind::SETUP_FAILED,
        "{error}"
    );
    let problem = world
        .install("mkdir dist && touch dist/app.js")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("such as dist/app.js") && problem.contains(".gitignore"),
        "{problem}"
    );
    let left: Vec<_> = fs::read_dir(world.folder.path().join("setups"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // A registry that fails once is asked again.
    let address = format!("http://{}/fails-once.js", world.registry);
    let installed = world
        .install(&World::fetch(&address, "node_modules.js"))
        .await;
    assert!(
        matches!(installed, Err(SetupError::NotIgnored { .. })),
        "{installed:?}"
    );
    assert_eq!(world.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_a_setup_leaves_cannot_lead_the_worker_astray() {
    let world = World::new().await;
    let outside = world.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    // Links to where the room ends, in place of folders that the base has, and special files.
    let command = format!(
        "rm -r src && ln -s {outside} src && mkdir node_modules && ln -s {outside} node_modules/out && mkfifo node_modules/pipe",
        outside = outside.display()
    );
    let installed = world.install(&command).await;
    // `src` is a link now, which git neither has nor ignores.
    assert!(
        matches!(installed, Err(SetupError::NotIgnored { .. })),
        "{installed:?}"
    );
    let command = format!(
        "mkdir node_modules && ln -s {0} node_modules/out && mkfifo node_modules/pipe && echo x > node_modules/file",
        outside.display()
    );
    let installed = world.install(&command).await.unwrap();

    // A workspace in which a folder of the result is a link out of it.
    let tree = world.laid_out(&installed).await;
    assert!(
        fs::symlink_metadata(tree.join("node_modules/out"))
            .unwrap()
            .is_symlink()
    );
    fs::remove_dir_all(tree.join("node_modules")).unwrap();
    symlink(&outside, tree.join("node_modules")).unwrap();
    let _ = world.setups.lay_out(&installed, &tree).await;
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"]);
    assert_eq!(
        fs::read_to_string(outside.join("file")).unwrap(),
        "untouched"
    );
}

#[tokio::test]
async fn results_that_nobody_uses_go() {
    let world = World::new().await;
    let installed = world.install("mkdir node_modules").await.unwrap();
    let folder = world.folder.path().join("setups");
    fs::create_dir(folder.join("half-made.new")).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(
        world
            .setups
            .sweep(SystemTime::now() + 13 * day)
            .await
            .unwrap(),
        0
    );
    assert!(installed.tree.is_dir() && !folder.join("half-made.new").exists());
    assert_eq!(
        world
            .setups
            .sweep(SystemTime::now() + 15 * day)
            .await
            .unwrap(),
        1
    );
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}
