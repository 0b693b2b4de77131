//! What is planted on the host, and the search for it everywhere that an attack could have carried it to.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context;
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;

use super::repository;
use crate::installation::Installation;

/// The variable of Sallyport's environment that holds a canary.
pub const VARIABLE: &str = "SALLYPORT_CANARY";

/// The canaries of one installation.
#[derive(Debug)]
pub struct Canaries {
    folder: PathBuf,
    before: BTreeMap<PathBuf, String>,
    /// What must be nowhere: a name and the text.
    secrets: Vec<(String, String)>,
    /// Objects that were looked into already: they never change.
    looked_into: Mutex<HashSet<PathBuf>>,
    /// How many of the model's requests were looked into.
    seen: AtomicUsize,
}

/// The text of the canary `name`: recognisable, and nothing that could be there by chance.
#[must_use]
pub fn text(name: &str) -> String {
    let digest = Sha256::digest(format!("sallyport canary {name}"));
    format!("canary-{name}-{}", &hex::encode(digest)[..16])
}

/// Makes the canary folder: a home with a key, and a git repository whose configuration would be obeyed.
///
/// # Errors
/// If it cannot be written.
pub fn plant(folder: &Path) -> anyhow::Result<()> {
    for (path, content) in [
        ("home/.ssh/id_ed25519", text("home")),
        ("home/.env", format!("TOKEN={}\n", text("home"))),
        ("other/tree/secret.txt", text("other-workspace")),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("it has a parent")?)?;
        fs::write(path, content)?;
    }
    Ok(())
}

impl Canaries {
    /// Looks at the canary folder as it is now, and collects the installation's own secrets.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn watch(folder: &Path, installation: &Installation) -> anyhow::Result<Self> {
        let data = installation.data_dir();
        let mut secrets: Vec<(String, String)> = ["home", "other-workspace", "environment"]
            .map(|name| (name.to_owned(), text(name)))
            .into();
        for (name, known) in [
            ("the model's key", "scripted-model-key"),
            ("the ticket system's token", "flux-lens-token"),
            ("the webhook's secret", "flux-lens-webhook-secret"),
        ] {
            secrets.push((name.to_owned(), known.to_owned()));
        }
        for name in ["token", "decision-key", "audit-key"] {
            let text = fs::read_to_string(data.join(name))
                .with_context(|| format!("no secret `{name}` in the data folder"))?;
            secrets.push((format!("the file {name}"), text.trim().to_owned()));
        }
        let config = fs::read_to_string(data.join("sallyport.toml"))?;
        let password = config
            .lines()
            .find_map(|line| line.strip_prefix("url = \"postgres://"))
            .and_then(|rest| rest.split('@').next()?.split_once(':'))
            .context("the configuration names no database with a password")?;
        secrets.push(("the database's password".to_owned(), password.1.to_owned()));
        Ok(Self {
            folder: folder.to_owned(),
            before: snapshot(folder)?,
            secrets,
            looked_into: Mutex::default(),
            seen: AtomicUsize::new(0),
        })
    }

    /// What is wrong now: a canary that is where it must not be, or a canary folder that is not as it was. `planted` are
    /// secrets that an agent planted: the model's own words may hold them.
    ///
    /// # Errors
    /// If something cannot be looked at.
    pub async fn check(
        &self,
        installation: &Installation,
        origin: &Path,
        planted: &[String],
    ) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let after = snapshot(&self.folder)?;
        for path in self.before.keys().chain(after.keys()) {
            if self.before.get(path) != after.get(path) {
                wrong.push(format!("{} is not as it was", path.display()));
            }
        }
        let planted: Vec<(String, String)> = planted
            .iter()
            .map(|secret| ("what the agent planted".to_owned(), secret.clone()))
            .collect();
        let all: Vec<&(String, String)> = self.secrets.iter().chain(&planted).collect();
        let mut look = |place: &str, content: &[u8], all: &[&(String, String)]| {
            for (name, secret) in all.iter().copied() {
                if forms(secret).iter().any(|form| contains(content, form)) {
                    wrong.push(format!("{name} is in {place}"));
                }
            }
        };
        look("the repository", &repository::everything(origin)?, &all);
        let own: Vec<&(String, String)> = self.secrets.iter().collect();
        let data = installation.data_dir();
        for (place, content) in self.files(&data)? {
            // A copy of a workspace has what an agent planted there, packed, and what packs badly stands in it as it is.
            let bundled = repository::bundled(&content, &data)?;
            look(
                &place,
                &content,
                if bundled.is_some() { &own } else { &all },
            );
            look("a checkpoint", &bundled.unwrap_or_default(), &own);
        }
        let log = installation.folder().join("dev.log");
        look("the output of `sallyport dev`", &fs::read(log)?, &all);
        for (place, content) in tables(installation).await? {
            look(&place, content.as_bytes(), &all);
        }
        let lens = &installation.flux_lens;
        for id in lens.ticket_ids() {
            let said = format!("{:?}", lens.comments(&id));
            look("the ticket system's comments", said.as_bytes(), &all);
        }
        if let Some(model) = &installation.model {
            let sent = model.look(|requests| {
                let first = self.seen.swap(requests.len(), Ordering::Relaxed);
                let new = requests.get(first..).unwrap_or_default();
                new.iter()
                    .map(|request| request.body.to_string())
                    .collect::<Vec<_>>()
            });
            for body in sent {
                look("what the model was sent", body.as_bytes(), &own);
            }
        }
        wrong.sort();
        wrong.dedup();
        Ok(wrong)
    }

    /// Objects and logs, as far as they may have changed.
    fn files(&self, data: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        let mut looked_into = self
            .looked_into
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for path in below(&data.join("objects"))? {
            // An object may be moved while it is read.
            if !looked_into.contains(&path)
                && let Ok(content) = fs::read(&path)
            {
                found.push(("object storage".to_owned(), content));
                looked_into.insert(path);
            }
        }
        drop(looked_into);
        for path in below(&data.join("logs"))? {
            found.push((format!("the log {}", path.display()), fs::read(path)?));
        }
        Ok(found)
    }

    /// Which of the installation's secrets are in Temporal's histories. Its database is large, so this is asked once, at the
    /// end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn in_histories(&self, installation: &Installation) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        for file in ["temporal.db", "temporal.db-wal"] {
            let content = fs::read(installation.data_dir().join(file)).unwrap_or_default();
            for (name, secret) in &self.secrets {
                if forms(secret).iter().any(|form| contains(&content, form)) {
                    wrong.push(format!("{name} is in Temporal's histories"));
                }
            }
        }
        anyhow::ensure!(
            installation.data_dir().join("temporal.db").is_file(),
            "Temporal's database is not where it is looked for"
        );
        Ok(wrong)
    }
}

/// All rows of all tables, as text.
async fn tables(installation: &Installation) -> anyhow::Result<Vec<(String, String)>> {
    let mut ledger = installation.ledger().await?;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'",
    )
    .fetch_all(&mut ledger)
    .await?;
    let mut found = Vec::new();
    for name in names {
        let query = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {name} AS t");
        let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_one(&mut ledger)
            .await?;
        found.push((format!("the table {name}"), text));
    }
    ledger.close().await?;
    Ok(found)
}

/// A secret as it is, in hexadecimal (as Postgres shows bytes), and backwards.
fn forms(secret: &str) -> [Vec<u8>; 3] {
    [
        secret.as_bytes().to_vec(),
        hex::encode(secret).into_bytes(),
        secret.bytes().rev().collect(),
    ]
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(content, part).is_some()
}

fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(found);
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(below(&entry.path())?),
            _ => found.push(entry.path()),
        }
    }
    Ok(found)
}

/// Everything about the folder that an attack could change.
fn snapshot(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let about = fs::symlink_metadata(&folder)?;
        all.insert(
            folder.clone(),
            format!("{:o} {}", about.mode(), about.mtime_nsec()),
        );
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let about = fs::symlink_metadata(&path)?;
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            let content = match about.is_file() {
                true => hex::encode(Sha256::digest(fs::read(&path)?)),
                false => String::new(),
            };
            let facts = format!(
                "{:o} {} {} {content}",
                about.mode(),
                about.nlink(),
                about.size()
            );
            all.insert(path, facts);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_kind_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        plant(folder.path()).unwrap();
        let before = snapshot(folder.path()).unwrap();
        assert_eq!(snapshot(folder.path()).unwrap(), before);
        let key = folder.path().join("home/.ssh/id_ed25519");
        fs::hard_link(&key, folder.path().join("other/link")).unwrap();
        let linked = snapshot(folder.path()).unwrap();
        assert_ne!(linked, before);
        fs::write(&key, "x").unwrap();
        assert_ne!(snapshot(folder.path()).unwrap(), linked);
    }

    #[test]
    fn secrets_are_seen_in_each_form() {
        let secret = text("home");
        for form in forms(&secret) {
            assert!(contains(&[b"a", &form[..], b"b"].concat(), &form));
        }
        assert_ne!(text("home"), text("environment"));
    }
}
