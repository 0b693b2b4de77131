//! Mirrors of real repositories.

use super::*;
use crate::testing::Origin;

#[tokio::test]
async fn a_mirror_follows_its_repository() {
    let origin = Origin::new(&[("README.md", "hello\n"), ("src/a.js", "1\n")]).await;
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(folder.path().join("mirrors"));
    let mirror = mirrors.fetch(origin.url()).await.unwrap();
    assert_eq!(mirror.default_branch().await.unwrap(), "main");
    let first = mirror.head("main").await.unwrap();
    assert_eq!(first, origin.head("main").await);
    let names: Vec<_> = mirror
        .files(&first)
        .await
        .unwrap()
        .into_iter()
        .map(|file| file.path)
        .collect();
    assert_eq!(names, ["README.md", "src/a.js"]);
    assert_eq!(
        mirror.read(&first, "src/a.js", 10).await.unwrap().unwrap(),
        b"1\n"
    );
    assert_eq!(mirror.read(&first, "src", 10).await.unwrap(), None);
    assert_eq!(mirror.read(&first, "none", 10).await.unwrap(), None);
    let large = mirror.read(&first, "README.md", 5).await.unwrap_err();
    assert!(large.to_string().contains("6 bytes"), "{large}");

    let second = origin.commit(&[("src/a.js", "2\n")]).await;
    mirrors.fetch(origin.url()).await.unwrap();
    assert_eq!(mirror.head("main").await.unwrap(), second);
    let error = mirror.head("other").await.unwrap_err().to_string();
    assert!(error.contains("has no branch other"), "{error}");
}

#[tokio::test]
async fn many_at_once_share_one_mirror() {
    let origin = Origin::new(&[("a", "1\n")]).await;
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(folder.path());
    let all = (0..6).map(|_| mirrors.fetch(origin.url()));
    for mirror in futures::future::join_all(all).await {
        assert_eq!(
            mirror.unwrap().head("main").await.unwrap(),
            origin.head("main").await
        );
    }
}

#[tokio::test]
async fn a_damaged_mirror_is_made_anew_and_keeps_our_commits() {
    let origin = Origin::new(&[("a", "1\n")]).await;
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(folder.path());
    let mirror = mirrors.fetch(origin.url()).await.unwrap();
    let ours = mirror.head("main").await.unwrap();
    mirror.keep("FL-1", 3, &ours).await.unwrap();
    // What a kill in the middle of writing refs leaves: nobody can write them any more.
    let next = origin.commit(&[("a", "2\n")]).await;
    let stale = mirror.git().directory().join("refs/heads/main.lock");
    fs::create_dir_all(stale.parent().unwrap()).unwrap();
    fs::write(&stale, "").unwrap();

    let mirror = mirrors.fetch(origin.url()).await.unwrap();
    assert!(!stale.exists());
    assert_eq!(mirror.head("main").await.unwrap(), next);
    assert_eq!(
        mirror.git().commit("refs/sallyport/FL-1/3").await.unwrap(),
        Some(ours)
    );
    for _ in 0..2 {
        mirrors.let_go("FL-1").await.unwrap();
    }
    assert_eq!(
        mirror.git().commit("refs/sallyport/FL-1/3").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn what_is_no_repository_is_said_without_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(folder.path());
    let url = format!("file://user:hush@{}/none", folder.path().display());
    let error = mirrors.fetch(&url).await.unwrap_err();
    assert!(matches!(error, MirrorError::Unreachable { .. }));
    assert!(!error.to_string().contains("hush"), "{error}");
    // Nothing half done is left over.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the lock");
}
