use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use sallyport_workflows::{scope::RepositoryPath, ticket::TicketKey};

use super::*;
use crate::{
    leaks::LARGEST_FILE,
    mirror::Mirrors,
    testing::{OWN_SECRET, Origin, reachable_folder},
};

/// A host with a mirror and a workspace.
struct Host {
    _folder: tempfile::TempDir,
    mirror: Mirror,
    workspace: Workspace,
}

impl Host {
    async fn new(origin: &Origin) -> Self {
        let folder = reachable_folder();
        let mirrors = Mirrors::new(folder.path().join("mirrors"));
        Self {
            mirror: mirrors.fetch(origin.url()).await.unwrap(),
            workspace: Workspace::of(folder.path(), &TicketKey::first("flux-lens", "FL-1")),
            _folder: folder,
        }
    }

    fn source<'a>(&'a self, leaks: &'a LeakCheck, base: &'a str, head: &'a str) -> Source<'a> {
        Source {
            mirror: &self.mirror,
            workspace: &self.workspace,
            leaks,
            base,
            head,
        }
    }

    fn tree(&self, path: &str) -> PathBuf {
        self.workspace.tree().join(path)
    }
}

fn leaks() -> LeakCheck {
    LeakCheck::new([OWN_SECRET.into()], LARGEST_FILE)
}

fn scope(paths: &[&str]) -> Scope {
    paths
        .iter()
        .map(|path| RepositoryPath::try_from((*path).to_owned()).unwrap())
        .collect()
}

/// All files and links below `folder`, with what is in them.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let content = if kind.is_dir() {
                folders.push(path.clone());
                continue;
            } else if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                let executable = if kind.permissions().mode() & 0o100 != 0 {
                    "x "
                } else {
                    ""
                };
                format!("{executable}{}", fs::read_to_string(&path).unwrap())
            };
            found.insert(name.to_owned(), content);
        }
    }
    found
}

#[tokio::test]
async fn a_workspace_is_the_same_on_another_host() {
    let origin = Origin::new(&[
        (".gitignore", "build/\n*.log\n"),
        ("same", "same\n"),
        ("changed", "old\n"),
        ("gone", "gone\n"),
        ("run.sh", "echo\n"),
        ("folder/file", "1\n"),
        ("file", "2\n"),
    ])
    .await;
    let base = origin.head("main").await;
    let (one, two) = (Host::new(&origin).await, Host::new(&origin).await);
    checkout::prepare(one.mirror.git(), &one.workspace, &base)
        .await
        .unwrap();
    let write = |path: &str, content: &str| {
        fs::create_dir_all(one.tree(path).parent().unwrap()).unwrap();
        fs::write(one.tree(path), content).unwrap();
    };
    write("changed", "new\n");
    fs::remove_file(one.tree("gone")).unwrap();
    fs::set_permissions(one.tree("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(one.tree("folder")).unwrap();
    write("folder", "a file now\n");
    fs::remove_file(one.tree("file")).unwrap();
    write("file/below", "a folder now\n");
    write("new/a \"b\"\n\\c", "odd\n");
    symlink("/etc/passwd", one.tree("link")).unwrap();
    write("build/wanted", "ignored, but in scope\n");
    write(".gitignore", "*\n");
    let session = "{\"a\":1}\n{\"b\":2}\n";
    fs::write(
        one.workspace.session().join("s.jsonl"),
        format!("{session}{{\"half"),
    )
    .unwrap();
    let mut expected = files(&one.workspace.tree());
    // What nobody can or should take along.
    write("build/other", "ignored\n");
    write("nested/file", "of another repository\n");
    Git::create_bare(&one.tree("nested/.git")).await.unwrap();
    write("git~1/x", "refused by git\n");
    write("d/.GIT./x", "refused by git\n");
    symlink("x", one.tree(".gitmodules")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, one.tree("pipe"), rustix::fs::Mode::RWXU).unwrap();

    let leaks = leaks();
    let source = one.source(&leaks, &base, &base);
    let taken = take(source, &scope(&["build/wanted", "none"]))
        .await
        .unwrap();
    let again = take(source, &scope(&["build/wanted", "none"]))
        .await
        .unwrap();
    assert_eq!(taken, again, "equal workspaces make equal bundles");
    assert_eq!(taken.left_out, 3, "git~1, .GIT., .gitmodules");

    fs::create_dir_all(two.workspace.tree()).unwrap();
    fs::write(two.tree("left over"), "").unwrap();
    bring(&two.mirror, &two.workspace, &base, &taken.bundle)
        .await
        .unwrap();
    lay_out(&two.mirror, &two.workspace).await.unwrap();
    assert_eq!(files(&two.workspace.tree()), expected);
    let sessions = files(&two.workspace.session());
    assert_eq!(
        sessions,
        BTreeMap::from([("s.jsonl".into(), session.into())])
    );

    // The next copy takes the first one's place.
    write("changed", "newer\n");
    expected.insert("changed".into(), "newer\n".into());
    let taken = take(source, &scope(&["build/wanted"])).await.unwrap();
    bring(&two.mirror, &two.workspace, &base, &taken.bundle)
        .await
        .unwrap();
    lay_out(&two.mirror, &two.workspace).await.unwrap();
    assert_eq!(files(&two.workspace.tree()), expected);
}

#[tokio::test]
async fn no_secret_of_ours_is_in_a_copy() {
    let origin = Origin::new(&[("a", "a\n")]).await;
    let base = origin.head("main").await;
    let (one, two) = (Host::new(&origin).await, Host::new(&origin).await);
    checkout::prepare(one.mirror.git(), &one.workspace, &base)
        .await
        .unwrap();
    fs::write(one.tree("a"), format!("b {OWN_SECRET} c\n")).unwrap();
    fs::write(one.tree(OWN_SECRET), "").unwrap();
    symlink(OWN_SECRET, one.tree("link")).unwrap();
    let session = one.workspace.session().join("s.jsonl");
    fs::write(session, format!("{OWN_SECRET}\n")).unwrap();
    // A commit with the secret, which QA would complain of.
    let leaky = origin.commit(&[("a", OWN_SECRET)]).await;
    let one_fetched = Mirrors::new(one.mirror.git().directory().parent().unwrap());
    one_fetched.fetch(origin.url()).await.unwrap();

    let leaks = leaks();
    let taken = take(one.source(&leaks, &base, &leaky), &scope(&[]))
        .await
        .unwrap();
    assert_eq!(taken.left_out, 1, "the file with the secret in its name");
    origin.set("main", &base).await;
    bring(&two.mirror, &two.workspace, &base, &taken.bundle)
        .await
        .unwrap();
    lay_out(&two.mirror, &two.workspace).await.unwrap();
    let found = files(&two.workspace.tree());
    let expected = [("a", "b ... c\n"), ("link", "-> ...")];
    assert_eq!(
        found,
        expected
            .map(|(path, text)| (path.into(), text.into()))
            .into()
    );
    let sessions = files(&two.workspace.session());
    assert_eq!(sessions["s.jsonl"], "...\n");
    assert!(!two.mirror.has(&leaky).await.unwrap());
}

#[tokio::test]
async fn the_agent_s_commit_comes_along() {
    let origin = Origin::new(&[("a", "a\n")]).await;
    let base = origin.head("main").await;
    let two = Host::new(&origin).await;
    let head = origin.commit(&[("a", "b\n")]).await;
    let one = Host::new(&origin).await;
    checkout::prepare(one.mirror.git(), &one.workspace, &head)
        .await
        .unwrap();
    let leaks = leaks();
    let taken = of_commit(one.source(&leaks, &base, &head)).await.unwrap();
    assert!(!two.mirror.has(&head).await.unwrap());
    bring(&two.mirror, &two.workspace, &base, &taken.bundle)
        .await
        .unwrap();
    assert!(two.mirror.has(&head).await.unwrap());
    lay_out(&two.mirror, &two.workspace).await.unwrap();
    let found = files(&two.workspace.tree());
    assert_eq!(found, BTreeMap::from([("a".into(), "b\n".into())]));
    assert!(files(&two.workspace.session()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_becomes_a_link_while_it_is_copied_shows_nothing_of_the_host() {
    let origin = Origin::new(&[("d/a", "a\n")]).await;
    let base = origin.head("main").await;
    let one = Host::new(&origin).await;
    checkout::prepare(one.mirror.git(), &one.workspace, &base)
        .await
        .unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a"), "of the host\n").unwrap();
    let leaks = leaks();
    let (folder, other) = (one.tree("d"), one.tree("other"));
    let target = outside.path().to_owned();
    // Ends when this test drops its end, also in a panic.
    let (_racing, is_over) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let _ = fs::rename(&folder, &other);
            let _ = symlink(&target, &folder);
            let _ = fs::remove_file(&folder);
            let _ = fs::rename(&other, &folder);
        }
    });
    for _ in 0..20 {
        let two = Host::new(&origin).await;
        let taken = take(one.source(&leaks, &base, &base), &scope(&["d/a"])).await;
        bring(&two.mirror, &two.workspace, &base, &taken.unwrap().bundle)
            .await
            .unwrap();
        lay_out(&two.mirror, &two.workspace).await.unwrap();
        let found = files(&two.workspace.tree());
        let shown = found
            .values()
            .any(|content| content.contains("of the host"));
        assert!(!shown, "{found:?}");
    }
}
