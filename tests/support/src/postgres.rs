//! Postgres for tests: one server for each test process, and an empty database for each test.

use std::{
    fs::{self, File, OpenOptions},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    child::{Output, spawn},
    temporal::free_port,
    tools::TestTools,
};

/// How long the server may take to answer; only reached when it does not start at all.
const START_LIMIT: Duration = Duration::from_secs(120);
/// The start of the name of each server's folder.
const FOLDER_PREFIX: &str = "sallyport-test-postgres-";
/// The file that a test process holds locked as long as its server's folder is in use.
const LOCK_FILE: &str = "in-use";
/// The only user of the database; it is reachable on 127.0.0.1 alone and holds nothing but test data.
const USER: &str = "sallyport";
const PASSWORD: &str = "for-tests-only";

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    databases: AtomicU64,
    _child: Child,
    _in_use: File,
}

impl Postgres {
    /// The server of this test process, started by the first who asks. It dies with the process.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(|| Self::start().expect("Postgres starts"))
    }

    /// Makes an empty database and returns its URL.
    pub async fn database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres"))
            .await
            .context("cannot connect to the tests' Postgres")?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .with_context(|| format!("cannot create the database {name}"))?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    /// The address of one of the server's databases.
    fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    fn start() -> anyhow::Result<Self> {
        let programs = TestTools::load()?.postgres_bin_dir;
        remove_left_overs();
        let folder = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            .tempdir()
            .context("cannot make a folder for Postgres")?
            .keep();
        // Locked before it has the name that others look for, so that nobody takes the folder for a left-over.
        let in_use = File::create(folder.join("new"))?;
        in_use.lock()?;
        fs::rename(folder.join("new"), folder.join(LOCK_FILE))?;
        // Postgres refuses to run as root: then it is `nobody`, who must be able to pass this folder.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))?;
        let owner = Owner::choose()?;
        let data = folder.join("data");
        fs::create_dir(&data)?;
        owner.take(&data)?;
        initialise(&programs, &folder, &data, &owner)?;

        let log = folder.join("postgres.log");
        let port = free_port()?;
        let mut command = owner.command(&programs.join("postgres"));
        command.arg("-D").arg(&data);
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            // Nothing here outlives the process, so nothing needs to reach the disk.
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        command.current_dir(&folder);
        let mut child = spawn(command, &Output::Log(log.clone()))?;
        wait_for(port, &mut child, &log)?;
        Ok(Self {
            port,
            databases: AtomicU64::new(0),
            _child: child,
            _in_use: in_use,
        })
    }
}

/// The user that Postgres runs as.
enum Owner {
    /// Whoever we are.
    Ourselves,
    /// We are root; this user id and group id.
    Other(u32, u32),
}

impl Owner {
    fn choose() -> anyhow::Result<Self> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Self::Ourselves);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let ids = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, user, group) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            (name == "nobody").then(|| Some((user.parse().ok()?, group.parse().ok()?)))?
        });
        let (user, group) = ids.context(
            "Postgres cannot run as root, and there is no user `nobody` to run it as; run the tests as an ordinary user",
        )?;
        Ok(Self::Other(user, group))
    }

    /// Gives a file or folder to this user.
    fn take(&self, path: &Path) -> anyhow::Result<()> {
        if let Self::Other(user, group) = self {
            chown(path, Some(*user), Some(*group))
                .with_context(|| format!("cannot give {} to `nobody`", path.display()))?;
        }
        Ok(())
    }

    /// Runs `program` as this user; the kernel kills it when the thread ends that started it.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Self::Other(user, group) = self {
            command.arg(format!("--reuid={user}"));
            command.arg(format!("--regid={group}"));
            command.arg("--clear-groups");
        }
        command.arg("--").arg(program);
        command
    }
}

/// Makes the server's data folder.
fn initialise(programs: &Path, folder: &Path, data: &Path, owner: &Owner) -> anyhow::Result<()> {
    let password = folder.join("password");
    fs::write(&password, PASSWORD)?;
    owner.take(&password)?;
    let output = owner
        .command(&programs.join("initdb"))
        .arg("-D")
        .arg(data)
        .args(["--username", USER, "--encoding", "UTF8", "--locale", "C"])
        .args(["--auth", "scram-sha-256", "--no-sync", "--no-instructions"])
        .arg("--pwfile")
        .arg(&password)
        .current_dir(folder)
        .output()
        .with_context(|| format!("cannot run {}/initdb", programs.display()))?;
    if !output.status.success() {
        bail!(
            "initdb ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Returns when the server takes connections.
fn wait_for(port: u16, child: &mut Child, log: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        // Postgres listens before it is ready, so its own word is what counts.
        let said = fs::read_to_string(log)?;
        if said.contains("ready to accept connections")
            && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("Postgres ended with {status}: {said}");
        }
        if started.elapsed() > START_LIMIT {
            bail!("Postgres does not answer: {said}");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Removes the folders of test processes that were killed or simply ended: a static is never dropped.
fn remove_left_overs() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    let folders: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(FOLDER_PREFIX)
        })
        .map(|entry| entry.path())
        .collect();
    for folder in folders {
        // Who has just made its folder has not locked it yet, and has no such file either: left alone.
        let Ok(lock) = OpenOptions::new().write(true).open(folder.join(LOCK_FILE)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // Another process may be at it too; what cannot be removed now goes next time.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_test_has_a_database_of_its_own() {
        let server = Postgres::shared();
        let (first, second) = (
            server.database().await.unwrap(),
            server.database().await.unwrap(),
        );
        let mut connection = PgConnection::connect(&first).await.unwrap();
        sqlx::query("CREATE TABLE here (id INTEGER)")
            .execute(&mut connection)
            .await
            .unwrap();
        let mut other = PgConnection::connect(&second).await.unwrap();
        let absent = sqlx::query("SELECT * FROM here").execute(&mut other).await;
        assert!(absent.is_err());
    }
}
