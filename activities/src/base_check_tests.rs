//! What counts as a change of a SPEC's files, on real repositories.

use sallyport_workflows::scope::RepositoryPath;

use super::*;
use crate::{git::Git, mirror::Mirrors, testing::Origin};

fn scope(paths: &[&str]) -> Scope {
    paths
        .iter()
        .map(|path| RepositoryPath::try_from((*path).to_owned()).unwrap())
        .collect()
}

/// Removes `paths` from `main`, and then adds `entries`, in one commit on top or, `orphan`, with no history.
async fn rewrite(
    origin: &Origin,
    removed: &[&str],
    entries: &[(&str, &str, &[u8])],
    orphan: bool,
) -> String {
    let git = origin.git();
    let index = git.directory().join("test-index");
    let mut list = String::new();
    for path in removed {
        list.push_str(&format!("0 {}\t{path}\n", "0".repeat(40)));
    }
    git.run("update-index")
        .index(&index)
        .argument("--index-info")
        .input(list.into_bytes())
        .done()
        .await
        .unwrap();
    if orphan {
        git.run("update-ref")
            .arguments(["-d", "refs/heads/main"])
            .done()
            .await
            .unwrap();
    }
    origin.commit_entries(entries).await
}

struct Case {
    origin: Origin,
    base: String,
    _folder: tempfile::TempDir,
    mirrors: Mirrors,
}

impl Case {
    async fn new() -> Self {
        let origin = Origin::new(&[
            ("src/a.js", "a\n"),
            ("src/b.js", "b\n"),
            ("lib/c.js", "c\n"),
            ("src/a.js.md", "about a\n"),
        ])
        .await;
        let folder = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(folder.path().join("mirrors"));
        mirrors.fetch(origin.url()).await.unwrap();
        Self {
            base: origin.head("main").await,
            origin,
            _folder: folder,
            mirrors,
        }
    }

    /// What of `paths` changed until the present head.
    async fn changed(&self, paths: &[&str]) -> Option<(u32, String, String)> {
        let mirror = self.mirrors.fetch(self.origin.url()).await.unwrap();
        let head = mirror.head("main").await.unwrap();
        let found = changed(&mirror, &self.base, &head, &scope(paths))
            .await
            .unwrap()?;
        let diff = String::from_utf8(found.diff).unwrap();
        Some((found.files, found.first, diff))
    }
}

#[tokio::test]
async fn other_files_do_not_count() {
    let case = Case::new().await;
    assert_eq!(case.changed(&["src/a.js"]).await, None);
    case.origin
        .commit(&[
            ("src/b.js", "new\n"),
            ("src/a.js.md", "new\n"),
            ("a.js", "new\n"),
        ])
        .await;
    assert_eq!(case.changed(&["src/a.js", "src/new.js"]).await, None);
    assert_eq!(case.changed(&[]).await, None);
}

#[tokio::test]
async fn contents_modes_deletions_and_new_files_count() {
    for (removed, entries, first, in_diff) in [
        (
            &[][..],
            &[("100644", "src/a.js", &b"A\n"[..])][..],
            "src/a.js",
            "+A",
        ),
        (
            &[],
            &[("100755", "src/a.js", b"a\n")],
            "src/a.js",
            "new mode 100755",
        ),
        (
            &[],
            &[("120000", "src/a.js", b"b.js")],
            "src/a.js",
            "new file mode 120000",
        ),
        (&["src/a.js"], &[], "src/a.js", "deleted file"),
        (
            &[],
            &[("100644", "src/new.js", b"n\n")],
            "src/new.js",
            "new file",
        ),
        // A folder in the file's place, and something in its folder's place.
        (
            &["src/a.js"],
            &[("100644", "src/a.js/x", b"x\n")],
            "src/a.js",
            "src/a.js/x",
        ),
        (
            &["src/a.js", "src/b.js", "src/a.js.md"],
            &[("120000", "src", b"lib")],
            "src/a.js",
            "b/src\n",
        ),
        (
            &[],
            &[("100644", "deep", b"a file\n")],
            "deep/er/d.js",
            "b/deep",
        ),
    ] {
        let case = Case::new().await;
        rewrite(&case.origin, removed, entries, false).await;
        let paths = ["src/a.js", "src/new.js", "deep/er/d.js"];
        let (_, found, diff) = case.changed(&paths).await.expect(first);
        assert_eq!(found, first);
        assert!(diff.contains(in_diff), "{first}: {diff}");
    }
}

#[tokio::test]
async fn the_diff_shows_just_these_files() {
    let case = Case::new().await;
    case.origin
        .commit(&[
            ("src/a.js", "A\n"),
            ("src/b.js", "B\n"),
            ("lib/c.js", "C\n"),
        ])
        .await;
    let (files, first, diff) = case.changed(&["src/a.js", "lib/c.js"]).await.unwrap();
    assert_eq!((files, first.as_str()), (2, "lib/c.js"));
    assert!(diff.contains("+A") && diff.contains("+C"), "{diff}");
    assert!(!diff.contains("b.js"), "{diff}");
}

#[tokio::test]
async fn a_path_is_no_pattern() {
    let case = Case::new().await;
    case.origin
        .commit(&[("src/[ab].js", "p\n"), ("src/a.js", "A\n")])
        .await;
    let (files, first, diff) = case.changed(&["src/[ab].js"]).await.unwrap();
    assert_eq!((files, first.as_str()), (1, "src/[ab].js"));
    assert!(!diff.contains("+A"), "{diff}");
}

#[tokio::test]
async fn a_rewritten_branch_counts_by_its_files() {
    let case = Case::new().await;
    rewrite(&case.origin, &[], &[("100644", "src/b.js", b"B\n")], true).await;
    let git: &Git = case.origin.git();
    let head = case.origin.head("main").await;
    assert!(!git.is_ancestor(&case.base, &head).await.unwrap());
    assert_eq!(case.changed(&["src/a.js"]).await, None);
    let (files, ..) = case.changed(&["src/a.js", "src/b.js"]).await.unwrap();
    assert_eq!(files, 1);
}

#[tokio::test]
async fn a_base_that_is_gone_is_final() {
    let case = Case::new().await;
    let elsewhere = tempfile::tempdir().unwrap();
    rewrite(&case.origin, &[], &[("100644", "src/b.js", b"B\n")], true).await;
    // A host that never saw the old branch.
    let mirror = Mirrors::new(elsewhere.path().join("mirrors"))
        .fetch(case.origin.url())
        .await
        .unwrap();
    let head = mirror.head("main").await.unwrap();
    let error = changed(&mirror, &case.base, &head, &scope(&["src/a.js"]))
        .await
        .unwrap_err();
    let error = StepError::from(error);
    assert!(error.is_final());
    assert_eq!(error.kind(), kind::REPOSITORY_UNAVAILABLE);
    assert!(error.message().contains("plan the ticket again"), "{error}");
}
