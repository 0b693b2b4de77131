//! Hostile trees. In each, nothing that the agent wrote runs, and nothing outside the scope is committed.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::PathBuf,
    process::Command,
};

use chrono::DateTime;
use sallyport_workflows::{scope::RepositoryPath, ticket::TicketKey};

use super::*;
use crate::{
    mirror::Mirrors,
    testing::Origin,
    workspace::{checkout, remove::make_deep},
};

#[path = "diff_scope_tests.rs"]
mod scope_rules;

/// A workspace on a small repository; `src/a.js` and `src/new.js` are in scope.
struct Room {
    folder: tempfile::TempDir,
    _origin: Origin,
    mirror: Mirror,
    workspace: Workspace,
    base: String,
    scope: Scope,
}

impl Room {
    async fn new() -> Self {
        let origin = Origin::new(&[
            ("src/a.js", "export const a = 1;\n"),
            ("src/b.js", "export const b = 1;\n"),
            (".gitignore", "*.log\n"),
        ])
        .await;
        let base = origin
            .commit_entries(&[
                ("120000", "link", b"src/b.js"),
                ("100755", "run.sh", b"#!/bin/sh\n"),
            ])
            .await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        let workspace = Workspace::of(folder.path(), &TicketKey::first("flux-lens", "FL-1"));
        checkout::prepare(mirror.git(), &workspace, &base)
            .await
            .unwrap();
        Self {
            folder,
            _origin: origin,
            mirror,
            workspace,
            base,
            scope: scope(&["src/a.js", "src/new.js"]),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.workspace.tree().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    /// A program that shows that it ran.
    fn evil(&self) -> (PathBuf, PathBuf) {
        let marker = self.folder.path().join("ran");
        let program = self.at("evil.sh");
        fs::write(
            &program,
            format!("#!/bin/sh\ntouch {}\ncat\n", marker.display()),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (program, marker)
    }

    async fn collect(&self) -> Collected {
        let author = Signature::default();
        let plan = CommitPlan {
            base: &self.base,
            parent: &self.base,
            scope: &self.scope,
            message: "Fix it\n",
            author: &author,
            at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        };
        collect(&self.mirror, &self.workspace, &plan).await.unwrap()
    }

    /// What is refused; fails if anything was committed.
    async fn refused(&self) -> Vec<String> {
        match self.collect().await {
            Collected::OutOfScope { refused } => paths(refused),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Which files the commit changes; fails if none was made.
    async fn committed(&self) -> Vec<String> {
        match self.collect().await {
            Collected::Committed { commit, files, .. } => {
                let changes = changes(self.mirror.git(), &self.base, &commit)
                    .await
                    .unwrap();
                assert_eq!(changes.len(), files as usize);
                changes
                    .iter()
                    .map(|change| readable(&change.path))
                    .collect()
            }
            other => panic!("not committed: {other:?}"),
        }
    }
}

fn paths(refused: Vec<Refused>) -> Vec<String> {
    refused.into_iter().map(|refused| refused.path).collect()
}

fn scope(paths: &[&str]) -> Scope {
    paths
        .iter()
        .map(|path| RepositoryPath::try_from((*path).to_owned()).unwrap())
        .collect()
}

/// A plain git, as an agent has it in its room.
fn git(folder: &std::path::Path, arguments: &[&str]) {
    let done = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(["-c", "init.defaultBranch=main", "-c", "safe.directory=*"])
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

#[tokio::test]
async fn changes_in_scope_make_the_same_commit_each_time() {
    let room = Room::new().await;
    room.write("src/a.js", "export const a = 2;\n");
    room.write("src/new.js", "export const c = 3;\n");
    room.write("debug.log", "ignored by the base's rules\n");
    let first = room.collect().await;
    let Collected::Committed {
        commit,
        diff,
        files,
    } = &first
    else {
        panic!("{first:?}");
    };
    assert_eq!(*files, 2);
    let diff = String::from_utf8_lossy(diff);
    assert!(
        diff.contains("-export const a = 1;\n+export const a = 2;"),
        "{diff}"
    );
    assert!(diff.contains("new file mode 100644"), "{diff}");
    assert_eq!(room.collect().await, first);
    let shown = room.mirror.git().run("log").arguments([
        "-1",
        "--format=%an <%ae> %at %cn %ct %P %B",
        commit,
    ]);
    assert_eq!(
        shown.text().await.unwrap(),
        format!(
            "Sallyport <sallyport@localhost> 1700000000 Sallyport 1700000000 {} Fix it",
            room.base
        )
    );
}

#[tokio::test]
async fn no_change_is_told_from_a_change() {
    let room = Room::new().await;
    assert_eq!(room.collect().await, Collected::NoChanges);
    room.write("debug.log", "x");
    assert_eq!(room.collect().await, Collected::NoChanges);
}

#[tokio::test]
async fn a_file_that_is_not_listed_is_refused_whatever_happens_to_it() {
    let room = Room::new().await;
    room.write("src/a.js", "good\n");
    room.write("src/b.js", "changed\n");
    assert_eq!(room.refused().await, ["src/b.js"]);
    fs::remove_file(room.at("src/b.js")).unwrap();
    assert_eq!(room.refused().await, ["src/b.js"], "deleted");
    fs::rename(room.at("run.sh"), room.at("src/b.js")).unwrap();
    assert_eq!(room.refused().await, ["run.sh", "src/b.js"], "moved");
    room.write("deep/er/x", "added");
    assert_eq!(
        room.refused().await,
        ["deep/er/x", "run.sh", "src/b.js"],
        "added"
    );
}

#[tokio::test]
async fn modes_count_as_changes() {
    let room = Room::new().await;
    for file in ["src/b.js", "src/a.js"] {
        fs::set_permissions(room.at(file), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(room.at("run.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(room.refused().await, ["run.sh", "src/b.js"]);
    fs::set_permissions(room.at("src/b.js"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(room.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(room.committed().await, ["src/a.js"]);
}

#[tokio::test]
async fn an_agent_s_ignore_rules_hide_nothing() {
    let room = Room::new().await;
    room.write("hidden/.gitignore", "*\n");
    room.write("hidden/payload", "x");
    fs::create_dir_all(room.at(".git/info")).unwrap();
    room.write(".git/info/exclude", "*\n");
    assert_eq!(
        room.refused().await,
        ["hidden/.gitignore", "hidden/payload"]
    );
}

#[tokio::test]
async fn a_listed_file_is_committed_although_it_is_ignored() {
    let mut room = Room::new().await;
    room.scope = scope(&["out.log"]);
    room.write("out.log", "wanted\n");
    assert_eq!(room.committed().await, ["out.log"]);
}

#[tokio::test]
async fn links_are_refused_and_never_followed() {
    let room = Room::new().await;
    let secret = room.folder.path().join("secret");
    fs::write(&secret, "hush\n").unwrap();
    // A listed file becomes a link.
    fs::remove_file(room.at("src/a.js")).unwrap();
    symlink(&secret, room.at("src/a.js")).unwrap();
    assert_eq!(room.refused().await, ["src/a.js"]);
    // A new one is a link from the beginning.
    symlink(&secret, room.at("src/new.js")).unwrap();
    assert_eq!(room.refused().await, ["src/a.js", "src/new.js"]);
    // The base's own link points elsewhere.
    fs::remove_file(room.at("link")).unwrap();
    symlink(&secret, room.at("link")).unwrap();
    assert_eq!(room.refused().await, ["link", "src/a.js", "src/new.js"]);
    // The hidden content reached no object.
    let hash = room
        .mirror
        .git()
        .run("hash-object")
        .argument("--stdin")
        .input(b"hush\n".to_vec());
    let hash = hash.text().await.unwrap();
    let known = room
        .mirror
        .git()
        .run("cat-file")
        .arguments(["-e", &hash])
        .allow(&[1, 128]);
    assert_ne!(known.answer().await.unwrap().code, 0);
}

#[tokio::test]
async fn a_folder_swapped_for_a_link_is_seen_as_gone() {
    let room = Room::new().await;
    let elsewhere = room.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("a.js"), "stolen\n").unwrap();
    fs::write(elsewhere.join("b.js"), "export const b = 1;\n").unwrap();
    fs::remove_dir_all(room.at("src")).unwrap();
    symlink(&elsewhere, room.at("src")).unwrap();
    assert_eq!(room.refused().await, ["src", "src/b.js"]);
}

#[tokio::test]
async fn nested_repositories_are_refused() {
    let room = Room::new().await;
    let (evil, marker) = room.evil();
    fs::create_dir(room.at("sub")).unwrap();
    git(&room.at("sub"), &["init", "-q"]);
    room.write("sub/file", "x");
    git(&room.at("sub"), &["add", "-A"]);
    git(&room.at("sub"), &["commit", "-q", "-m", "x"]);
    git(
        &room.at("sub"),
        &["config", "core.fsmonitor", &evil.to_string_lossy()],
    );
    // A listed file becomes a repository, which git would commit as a link to it.
    fs::remove_file(room.at("src/a.js")).unwrap();
    fs::rename(room.at("sub"), room.at("src/a.js")).unwrap();
    assert_eq!(room.refused().await, ["evil.sh", "src/a.js/"]);
    // Without a commit it is one too.
    fs::create_dir(room.at("empty")).unwrap();
    git(&room.at("empty"), &["init", "-q"]);
    room.write("empty/file", "x");
    assert!(
        room.refused()
            .await
            .iter()
            .any(|path| path.starts_with("empty/"))
    );
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_submodule_is_refused() {
    let mut room = Room::new().await;
    fs::create_dir(room.at("other")).unwrap();
    git(&room.at("other"), &["init", "-q"]);
    git(
        &room.at("other"),
        &["commit", "-q", "--allow-empty", "-m", "x"],
    );
    let commit = room.mirror.git().commit(&room.base).await.unwrap().unwrap();
    room.write(
        ".gitmodules",
        &format!("[submodule \"m\"]\n path = other\n url = ext::{commit}\n"),
    );
    room.scope = scope(&["other", ".gitmodules"]);
    assert_eq!(room.refused().await, ["other/"]);
}

#[tokio::test]
async fn what_the_agent_s_own_git_directory_says_runs_nothing() {
    let room = Room::new().await;
    let (evil, marker) = room.evil();
    let evil = evil.to_string_lossy().into_owned();
    let tree = room.workspace.tree();
    git(&tree, &["init", "-q"]);
    for key in [
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "diff.x.textconv",
        "gpg.program",
        "core.sshCommand",
        "credential.helper",
        "core.editor",
        "alias.diff-tree",
        "remote.origin.receivepack",
        "uploadpack.packObjectsHook",
    ] {
        git(&tree, &["config", key, &evil]);
    }
    git(&tree, &["config", "core.worktree", "/"]);
    git(&tree, &["config", "commit.gpgSign", "true"]);
    fs::create_dir_all(room.at("hooks")).unwrap();
    git(&tree, &["config", "core.hooksPath", "hooks"]);
    for hook in [
        "pre-commit",
        "post-index-change",
        "reference-transaction",
        "pre-push",
    ] {
        for folder in [".git/hooks", "hooks"] {
            fs::create_dir_all(room.at(folder)).unwrap();
            fs::copy(&evil, room.at(folder).join(hook)).unwrap();
        }
    }
    fs::write(
        room.at(".git/include"),
        format!("[core]\n fsmonitor = {evil}\n"),
    )
    .unwrap();
    git(&tree, &["config", "include.path", "include"]);
    room.write(
        ".gitattributes",
        "* filter=x diff=x text=auto eol=crlf ident working-tree-encoding=UTF-16\n",
    );
    room.write("src/a.js", "a\r\nb\n$Id$\n");
    let refused = room.refused().await;
    assert!(
        refused.contains(&".gitattributes".to_owned()),
        "{refused:?}"
    );
    assert!(
        !refused.iter().any(|path| path.starts_with(".git/")),
        "{refused:?}"
    );

    for extra in ["evil.sh", ".gitattributes"] {
        fs::remove_file(room.at(extra)).unwrap();
    }
    fs::remove_dir_all(room.at("hooks")).unwrap();
    assert_eq!(room.committed().await, ["src/a.js"]);
    assert!(!marker.exists());
}

#[tokio::test]
async fn listed_attributes_change_no_byte_of_what_is_committed() {
    let mut room = Room::new().await;
    room.scope = scope(&["src/a.js", ".gitattributes"]);
    room.write(
        ".gitattributes",
        "* text=auto eol=crlf ident working-tree-encoding=UTF-16 filter=x\n",
    );
    room.write("src/a.js", "a\r\nb\n$Id$\n");
    let Collected::Committed { commit, .. } = room.collect().await else {
        panic!("not committed");
    };
    let content = room
        .mirror
        .read(&commit, "src/a.js", 100)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(content, b"a\r\nb\n$Id$\n");
}

#[tokio::test]
async fn a_git_file_leads_nowhere() {
    let room = Room::new().await;
    let (evil, marker) = room.evil();
    let elsewhere = room.at("g");
    fs::create_dir(&elsewhere).unwrap();
    git(&elsewhere, &["init", "-q", "--bare"]);
    git(
        &elsewhere,
        &["config", "core.fsmonitor", &evil.to_string_lossy()],
    );
    git(&elsewhere, &["config", "core.bare", "false"]);
    room.write(".git", "gitdir: g\n");
    let refused = room.refused().await;
    assert!(refused.contains(&"g/HEAD".to_owned()), "{refused:?}");
    fs::remove_dir_all(&elsewhere).unwrap();
    fs::remove_file(evil).unwrap();
    room.write("src/a.js", "good\n");
    assert_eq!(room.committed().await, ["src/a.js"]);
    assert!(!marker.exists());
}

#[tokio::test]
async fn names_are_taken_as_bytes() {
    let room = Room::new().await;
    for name in [
        &b"-rf"[..],
        b"--output=x",
        b"two\nlines",
        b"not \xff utf-8",
        b":(glob)**",
        b"*",
        b"\"quoted\"",
    ] {
        fs::write(room.workspace.tree().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let refused = room.refused().await;
    let expected = [
        "\"quoted\"",
        "*",
        "--output=x",
        "-rf",
        ":(glob)**",
        "not \u{fffd} utf-8",
        "two\\nlines",
    ];
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn special_files_neither_block_nor_pass() {
    let room = Room::new().await;
    fs::remove_file(room.at("src/a.js")).unwrap();
    for pipe in ["src/a.js", "pipe"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, room.at(pipe), rustix::fs::Mode::RWXU).unwrap();
    }
    let _socket = UnixListener::bind(room.at("src/new.js")).unwrap();
    assert_eq!(room.refused().await, ["src/a.js", "src/new.js"]);
}

#[tokio::test]
async fn unreadable_files_and_deep_folders_do_not_stop_us() {
    let room = Room::new().await;
    room.write("src/a.js", "good\n");
    fs::set_permissions(room.at("src/a.js"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::create_dir(room.at("closed")).unwrap();
    room.write("closed/file", "x");
    fs::set_permissions(room.at("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    make_deep(&room.at("deep"), 2500);
    assert_eq!(room.refused().await, ["closed/file"]);
    checkout::remove(&room.at("closed")).await.unwrap();
    assert_eq!(room.committed().await, ["src/a.js"]);
    checkout::remove(room.workspace.root()).await.unwrap();
    assert!(!room.workspace.root().exists());
}

#[tokio::test]
async fn a_listed_file_may_become_a_folder_only_as_a_whole() {
    let mut room = Room::new().await;
    fs::remove_file(room.at("src/a.js")).unwrap();
    room.write("src/a.js/inner", "x");
    assert_eq!(room.refused().await, ["src/a.js/inner"]);
    room.scope = scope(&["src/a.js", "src/a.js/inner"]);
    assert_eq!(room.committed().await, ["src/a.js", "src/a.js/inner"]);
}

#[tokio::test]
async fn git_s_own_names_in_another_case_are_refused() {
    let room = Room::new().await;
    room.write(".GIT/config", "x");
    room.write("git~1", "x");
    room.write("sub/.Git/hooks/x", "x");
    assert_eq!(
        room.refused().await,
        [".GIT/config", "git~1", "sub/.Git/hooks/x"]
    );
}

#[tokio::test]
async fn a_published_commit_is_judged_by_the_same_rule() {
    let room = Room::new().await;
    room.write("src/a.js", "good\n");
    let Collected::Committed { commit, .. } = room.collect().await else {
        panic!("not committed");
    };
    let judge = |scope: Scope| {
        let (git, base, commit) = (room.mirror.git().clone(), room.base.clone(), commit.clone());
        async move { paths(out_of_scope(&git, &base, &commit, &scope).await.unwrap()) }
    };
    assert!(judge(scope(&["src/a.js"])).await.is_empty());
    assert_eq!(judge(scope(&["src/b.js"])).await, ["src/a.js"]);
}
