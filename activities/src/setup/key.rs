//! What the result of a setup depends on.

use sallyport_workflows::revision::sha256_hex;
use serde_json::json;

use crate::{
    mirror::{Mirror, MirrorError},
    policy_file::Setup,
};

/// Changes when a stored result would not be what a setup makes now.
const VERSION: u32 = 1;

/// Files by whose content package managers choose what they install, in whatever folder they are. Rather one too many: to
/// install once more is only slow.
const KNOWN: [&str; 36] = [
    "Cargo.lock",
    "Cargo.toml",
    "Gemfile",
    "Gemfile.lock",
    "Pipfile",
    "Pipfile.lock",
    "build.gradle",
    "build.gradle.kts",
    "bun.lock",
    "bun.lockb",
    "composer.json",
    "composer.lock",
    "deno.lock",
    "go.mod",
    "go.sum",
    "gradle.lockfile",
    "libs.versions.toml",
    "mix.exs",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "packages.lock.json",
    "paket.lock",
    "pdm.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pom.xml",
    "pubspec.lock",
    "pylock.toml",
    "pyproject.toml",
    "settings.gradle",
    "setup.cfg",
    "setup.py",
    "uv.lock",
    "yarn.lock",
];

fn is_known(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    KNOWN.contains(&name) || (name.starts_with("requirements") && name.ends_with(".txt"))
}

/// The name of the result of `setup` at the commit `base`: the same for all that it depends on, which are the command, its
/// lock files with their content, and the machine's architecture. Where there are none, it is the commit itself.
pub(super) async fn of(mirror: &Mirror, base: &str, setup: &Setup) -> Result<String, MirrorError> {
    let named = &setup.lock_files;
    let counts = |path: &str| match named.is_empty() {
        true => is_known(path),
        false => named.iter().any(|named| named.as_str() == path),
    };
    let mut files: Vec<(String, String)> = mirror
        .files(base)
        .await?
        .into_iter()
        .filter(|file| counts(&file.path))
        .map(|file| (file.path, file.object))
        .collect();
    files.sort();
    if files.is_empty() {
        files.push(("the commit".to_owned(), base.to_owned()));
    }
    let all = json!([VERSION, setup.command, files, std::env::consts::ARCH]);
    Ok(sha256_hex(all.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mirror::Mirrors, testing::Origin};

    #[tokio::test]
    async fn a_result_is_the_same_as_long_as_its_lock_files_are() {
        let origin = Origin::new(&[
            ("package-lock.json", "1"),
            ("web/yarn.lock", "1"),
            ("src/a.js", "1"),
        ])
        .await;
        let first = origin.head("main").await;
        let source = origin.commit(&[("src/a.js", "2")]).await;
        let deep = origin.commit(&[("web/yarn.lock", "2")]).await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path())
            .fetch(origin.url())
            .await
            .unwrap();
        let key = async |commit: &str, setup: &Setup| of(&mirror, commit, setup).await.unwrap();
        let mut setup = Setup {
            command: "npm ci".into(),
            lock_files: Vec::new(),
            timeout_seconds: 1,
        };
        let known = key(&first, &setup).await;
        assert_eq!(key(&source, &setup).await, known);
        assert_ne!(key(&deep, &setup).await, known);

        let other = Setup {
            command: "npm install".into(),
            ..setup.clone()
        };
        assert_ne!(key(&first, &other).await, known);
        let slower = Setup {
            timeout_seconds: 2,
            ..setup.clone()
        };
        assert_eq!(key(&first, &slower).await, known);

        setup.lock_files = vec!["package-lock.json".to_owned().try_into().unwrap()];
        assert_eq!(key(&deep, &setup).await, key(&first, &setup).await);
        setup.lock_files = vec!["none.lock".to_owned().try_into().unwrap()];
        assert_ne!(
            key(&source, &setup).await,
            key(&first, &setup).await,
            "no file fixes anything"
        );
    }
}
