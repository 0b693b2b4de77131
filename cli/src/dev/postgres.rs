//! The Postgres of a local installation: a cluster of its own in the data folder, on 127.0.0.1 only, with a password.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{
    data_dir::DataDir,
    processes::{Account, Program, bare, bound_command},
};
use crate::{private_file::write_private, terminal::tell};

/// The user that Postgres runs as when we are root, since it refuses to run as root.
const SYSTEM_USER: &str = "sallyport-postgres";
/// The database, and the role that owns it.
const DATABASE: &str = "sallyport";

/// A cluster that is ready to be started.
#[derive(Clone, Debug)]
pub struct Postgres {
    programs: PathBuf,
    cluster: PathBuf,
    account: Option<Account>,
    password: SecretString,
    port: u16,
}

impl Postgres {
    /// Makes the cluster in the data folder, or takes the one that is there.
    pub fn prepare(
        programs: &Path,
        data: &DataDir,
        port: u16,
        as_root: bool,
    ) -> anyhow::Result<Self> {
        let account = as_root.then(system_account).transpose()?;
        let folder = data.path().join("postgres");
        make_private_folder(&folder, account)?;
        let cluster = folder.join("cluster");
        let password_file = data.path().join("postgres-password");
        let is_new = !cluster.join("PG_VERSION").exists();
        if !is_new && !password_file.exists() {
            bail!(
                "the database in {} has a password that is gone: {} is missing. Put it back, or remove the data folder \
                 to start anew",
                cluster.display(),
                password_file.display()
            );
        }
        let password = fs::read_to_string(data.secret("postgres-password")?)
            .with_context(|| format!("cannot read {}", password_file.display()))?;
        let postgres = Self {
            programs: programs.to_owned(),
            cluster,
            account,
            password: SecretString::from(password.trim()),
            port,
        };
        if is_new {
            tell("making the database's files (only this once)");
            postgres.initialize(&folder)?;
        } else {
            postgres.check_version()?;
            remove_lock_of_the_dead(&postgres.cluster.join("postmaster.pid"))?;
        }
        Ok(postgres)
    }

    /// Where the database is, without the password.
    pub fn public_url(&self) -> String {
        format!("postgres://{DATABASE}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Where the database is, reached through `port`.
    pub fn url_at(&self, port: u16) -> SecretString {
        SecretString::from(format!(
            "postgres://{DATABASE}:{}@127.0.0.1:{port}/{DATABASE}",
            self.password.expose_secret(),
        ))
    }

    /// The server.
    pub fn server(&self, log: PathBuf) -> Program {
        let mut command: Vec<OsString> = vec![self.programs.join("postgres").into()];
        command.extend(["-D".into(), self.cluster.clone().into()]);
        command.extend(["-p".into(), self.port.to_string().into()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "logging_collector=off",
            // After a crash: one call for the file system instead of one for each file.
            "recovery_init_sync_method=syncfs",
            "log_line_prefix=%m [%p] ",
        ] {
            command.extend(["-c".into(), setting.into()]);
        }
        Program {
            name: "postgres",
            command,
            bare: true,
            environment: Vec::new(),
            account: self.account,
            log,
            // "Fast": ends sessions, writes everything out, stops.
            stop_signal: Signal::INT,
            grace: Duration::from_secs(20),
        }
    }

    /// Whether the server takes connections; makes the database if it is not there yet.
    pub async fn is_ready(&self) -> anyhow::Result<()> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(DATABASE)
            .password(self.password.expose_secret())
            .ssl_mode(PgSslMode::Disable)
            .database("postgres");
        let mut connection = options
            .disable_statement_logging()
            .connect()
            .await
            .with_context(|| format!("cannot reach Postgres on port {}", self.port))?;
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(DATABASE)
                .fetch_one(&mut connection)
                .await
                .context("cannot list the databases")?;
        if !exists {
            sqlx::query("CREATE DATABASE sallyport")
                .execute(&mut connection)
                .await
                .context("cannot make the database")?;
        }
        connection
            .close()
            .await
            .context("cannot close the connection to Postgres")
    }

    /// Makes the cluster beside its place and then puts it there, so that one half made is never taken.
    fn initialize(&self, folder: &Path) -> anyhow::Result<()> {
        let fresh = folder.join("cluster.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)
                .with_context(|| format!("cannot remove {}", fresh.display()))?;
        }
        let password_file = folder.join("password.new");
        write_private(&password_file, self.password.expose_secret())?;
        give(&password_file, self.account)?;
        let mut command = bound_command(self.account, [self.programs.join("initdb")]);
        bare(&mut command);
        command
            .arg("--pgdata")
            .arg(&fresh)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", DATABASE, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-instructions"])
            .current_dir("/");
        let made = run(&mut command, "make the database's files");
        fs::remove_file(&password_file)
            .with_context(|| format!("cannot remove {}", password_file.display()))?;
        made?;
        fs::rename(&fresh, &self.cluster)
            .with_context(|| format!("cannot put {} into place", self.cluster.display()))
    }

    /// A cluster made by another major version cannot be used, and Postgres says so only in its log.
    fn check_version(&self) -> anyhow::Result<()> {
        let made_by = fs::read_to_string(self.cluster.join("PG_VERSION"))
            .with_context(|| format!("cannot read the version of {}", self.cluster.display()))?;
        let made_by = made_by.trim();
        let mut command = Command::new(self.programs.join("postgres"));
        bare(&mut command);
        let is = run(command.arg("--version"), "ask Postgres for its version")?;
        if major_version(&is) != Some(made_by) {
            bail!(
                "the data in {} was made by Postgres {made_by}, but the tools now have {}. Run `cargo xtask setup` with \
                 Postgres {made_by} on the PATH, or remove the data folder to start anew",
                self.cluster.display(),
                is.trim()
            );
        }
        Ok(())
    }
}

/// Removes Postgres's lock file if its process is dead and only waits to be noticed by its new parent: Postgres takes it
/// for alive, and in a container whose first process never looks after orphans it would do so for ever. Only we use this
/// cluster, since the data folder is locked.
fn remove_lock_of_the_dead(lock: &Path) -> anyhow::Result<()> {
    let Ok(text) = fs::read_to_string(lock) else {
        return Ok(());
    };
    let pid = text.lines().next().unwrap_or_default().trim();
    if pid.parse::<u32>().is_err() {
        return Ok(());
    }
    // `123 (postgres) Z ...`
    let is_dead = fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.contains("(postgres) Z "));
    if is_dead {
        fs::remove_file(lock).with_context(|| format!("cannot remove {}", lock.display()))?;
    }
    Ok(())
}

/// `15` from `postgres (PostgreSQL) 15.14 (Debian ...)`.
fn major_version(text: &str) -> Option<&str> {
    text.split_whitespace()
        .find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
        .and_then(|version| {
            version
                .split(|letter: char| !letter.is_ascii_digit())
                .next()
        })
}

fn make_private_folder(folder: &Path, account: Option<Account>) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close the folder {}", folder.display()))?;
    give(folder, account)
}

fn give(path: &Path, account: Option<Account>) -> anyhow::Result<()> {
    let Some(Account { uid, gid }) = account else {
        return Ok(());
    };
    chown(path, Some(uid), Some(gid))
        .with_context(|| format!("cannot give {} to {SYSTEM_USER}", path.display()))
}

/// The account of [`SYSTEM_USER`], which is made if it is not there.
fn system_account() -> anyhow::Result<Account> {
    if let Some(account) = look_up()? {
        return Ok(account);
    }
    let mut command = Command::new("useradd");
    command
        .args(["--system", "--user-group", "--no-create-home"])
        .args(["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"])
        .args(["--comment", "Postgres of Sallyport"])
        .arg(SYSTEM_USER);
    let added = run(&mut command, "make the system user that Postgres runs as");
    // Another `sallyport dev` may have made it at the same moment.
    match look_up()? {
        Some(account) => Ok(account),
        None => {
            added?;
            bail!("the system user {SYSTEM_USER} was made, but the system does not know it")
        }
    }
}

fn look_up() -> anyhow::Result<Option<Account>> {
    let output = Command::new("getent")
        .args(["passwd", SYSTEM_USER])
        .stdin(Stdio::null())
        .output()
        .context("cannot run getent")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut fields = text.trim().split(':').skip(2);
    let ids = (fields.next(), fields.next());
    Ok(match ids {
        (Some(uid), Some(gid)) => Some(Account {
            uid: uid.parse().context("the system's list of users is odd")?,
            gid: gid.parse().context("the system's list of users is odd")?,
        }),
        _ => None,
    })
}

fn run(command: &mut Command, what: &str) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot {what}: cannot run {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!(
            "cannot {what}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_found() {
        for (text, major) in [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                "15",
            ),
            ("postgres (PostgreSQL) 18.6\n", "18"),
            ("postgres (PostgreSQL) 19beta1\n", "19"),
        ] {
            assert_eq!(major_version(text), Some(major), "{text}");
        }
        assert_eq!(major_version("what?"), None);
    }
}
