//! git, hardened, on real repositories.

use super::*;

#[tokio::test]
async fn a_command_answers_and_fails_with_git_s_words() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::create_bare(&folder.path().join("x.git"))
        .await
        .unwrap();
    assert_eq!(
        git.run("rev-parse")
            .argument("--git-dir")
            .text()
            .await
            .unwrap(),
        git.directory().to_string_lossy()
    );
    assert_eq!(git.commit("refs/heads/main").await.unwrap(), None);
    let error = git.run("cat-file").arguments(["-p", "HEAD"]).done().await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("`git cat-file` failed (128)")
    );
}

#[tokio::test]
async fn too_much_is_refused_and_large_input_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::create_bare(&folder.path().join("x.git"))
        .await
        .unwrap();
    let large = vec![b'x'; 3 << 20];
    let object = git
        .run("hash-object")
        .arguments(["-w", "--stdin"])
        .input(large.clone())
        .text()
        .await
        .unwrap();
    let read = || git.run("cat-file").arguments(["blob", &object]);
    assert_eq!(read().output().await.unwrap(), large);
    let error = read().limit(1000).output().await.unwrap_err();
    assert!(
        matches!(error, GitError::TooMuch { limit: 1000, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn only_the_network_s_commands_reach_other_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let other = Git::create_bare(&folder.path().join("other.git"))
        .await
        .unwrap();
    let git = Git::create_bare(&folder.path().join("x.git"))
        .await
        .unwrap();
    let url = format!("file://{}", other.directory().display());
    let list = || git.run("ls-remote").arguments(["--", &url]);
    assert!(
        list()
            .done()
            .await
            .unwrap_err()
            .to_string()
            .contains("not allowed")
    );
    list().network().done().await.unwrap();
    let shell = format!("ext::touch {}", folder.path().join("ran").display());
    let evil = git.run("ls-remote").arguments(["--", &shell]).network();
    assert!(evil.done().await.is_err());
    assert!(!folder.path().join("ran").exists());
}
