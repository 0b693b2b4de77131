//! What is found in commits of a real repository.

use super::*;
use crate::testing::{OWN_SECRET, Origin};

/// What looks like a token of GitHub; in parts, so that no scanner finds one in this file.
fn token() -> String {
    format!("ghp_{}", "q7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5aXe1UoQ")
}

fn check() -> LeakCheck {
    LeakCheck::new([OWN_SECRET.into()], 1000)
}

async fn told(origin: &Origin, base: &str, commit: &str) -> Vec<String> {
    let leaks = check().examine(origin.git(), base, commit).await.unwrap();
    leaks.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_place_is_told_and_never_the_secret() {
    let origin = Origin::new(&[("a.txt", "a\n")]).await;
    let base = origin.head("main").await;
    let token = token();
    let long = "x".repeat(1001);
    let commit = origin
        .commit(&[
            ("a.txt", &format!("a\nb\nkey: {token}\n")),
            ("own.txt", OWN_SECRET),
            ("binary", &format!("\0\n\n{token}")),
            ("large.txt", &long),
            (&format!("notes/{token}.txt"), "harmless\n"),
            // Whatever exempts a file elsewhere has no say here.
            (".gitattributes", "* binary -diff linguist-generated\n"),
            (".secretsignore", "*\n"),
            (".gitleaks.toml", "[allowlist]\npaths = ['.*']\n"),
        ])
        .await;
    let told = told(&origin, &base, &commit).await;
    assert_eq!(
        told,
        [
            "a.txt, line 3: a GitHub token",
            "binary: a GitHub token",
            "large.txt: 1,001 bytes in one file, at most 1,000 bytes may be",
            "notes/....txt: a GitHub token",
            "own.txt, line 1: a secret of Sallyport's own installation",
        ]
    );
}

#[tokio::test]
async fn files_that_the_installation_names_may_look_as_if_but_never_hold_its_own() {
    let origin = Origin::new(&[("a.txt", "a\n")]).await;
    let base = origin.head("main").await;
    let text = format!("{}\n{OWN_SECRET}\n", token());
    let files = ["test/fixtures/keys/a.txt", "test/b.txt"].map(|path| (path, text.as_str()));
    let commit = origin.commit(&files).await;
    let check = check()
        .with_secret_like_files(&["test/fixtures/**".to_owned(), "*.pem".to_owned()])
        .unwrap();
    let leaks = check.examine(origin.git(), &base, &commit).await.unwrap();
    let told: Vec<String> = leaks.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "test/b.txt, line 1: a GitHub token",
            "test/b.txt, line 2: a secret of Sallyport's own installation",
            "test/fixtures/keys/a.txt, line 2: a secret of Sallyport's own installation",
        ]
    );
    let wrong = check
        .with_secret_like_files(&["a[".to_owned()])
        .unwrap_err();
    assert!(wrong.to_string().contains("a["), "{wrong}");
}

#[tokio::test]
async fn what_is_shown_has_dots_in_the_place_of_secrets() {
    let text = format!("+key = {}\n+own = {OWN_SECRET}\n+end\n", token());
    let shown = check().hide(text.into_bytes()).await;
    assert_eq!(shown, b"+key = ...\n+own = ...\n+end\n");
}

#[tokio::test]
async fn what_was_there_before_is_no_leak_of_the_change_unless_it_is_ours() {
    let (token, long) = (token(), "x".repeat(1001));
    let files = [
        ("old.txt", format!("{token}\n")),
        ("own.txt", OWN_SECRET.to_owned()),
        ("large.txt", long.clone()),
    ];
    let origin = Origin::new(&files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
    let base = origin.head("main").await;
    let commit = origin
        .commit(&[
            ("old.txt", &format!("more\n{token}\n")),
            ("own.txt", &format!("{OWN_SECRET}\n")),
            ("large.txt", &format!("{long}!")),
        ])
        .await;
    assert_eq!(
        told(&origin, &base, &commit).await,
        ["own.txt, line 1: a secret of Sallyport's own installation"]
    );
    // What cannot be looked into is not pushed.
    let blind = LeakCheck {
        looked_into: 1001,
        ..check()
    };
    let leaks = blind.examine(origin.git(), &base, &commit).await.unwrap();
    assert!(
        leaks.iter().any(|leak| leak.path == "large.txt"),
        "{leaks:?}"
    );
    // Another token beside the old one is a leak.
    let other = token.replace('q', "Q");
    let commit = origin
        .commit(&[("old.txt", &format!("{token}\n{other}\n")), ("own.txt", "")])
        .await;
    assert!(
        told(&origin, &base, &commit)
            .await
            .contains(&"old.txt, line 2: a GitHub token".to_owned())
    );
}

#[tokio::test]
async fn a_commit_in_between_is_pushed_too_and_is_left_behind_by_whoever_builds_on_the_last_clean_one()
 {
    let origin = Origin::new(&[("a.txt", "a\n")]).await;
    let git = origin.git();
    let base = origin.head("main").await;
    let clean = origin.commit(&[("a.txt", "b\n")]).await;
    let leaky = origin.commit(&[("a.txt", &token())]).await;
    let mended = origin.commit(&[("a.txt", "c\n")]).await;
    let check = check();
    assert_eq!(told(&origin, &base, &clean).await, Vec::<String>::new());
    for commit in [&leaky, &mended] {
        assert_eq!(
            told(&origin, &base, commit).await,
            ["a.txt, line 1: a GitHub token"]
        );
        assert_eq!(check.last_clean(git, &base, commit).await.unwrap(), clean);
    }
    assert_eq!(check.last_clean(git, &base, &clean).await.unwrap(), clean);
    assert_eq!(check.last_clean(git, &base, &base).await.unwrap(), base);
}

#[test]
fn own_secrets_are_hidden_in_what_is_logged() {
    let own = "own-secret-of-ours";
    let check = LeakCheck::new([own.into()], LARGEST_FILE);
    let hex = hex::encode(own);
    assert_eq!(
        check.hide_own(&format!("ü{own}ü {hex} end")),
        "ü[secret]ü [secret] end"
    );
    assert_eq!(check.hide_own("nothing of ours"), "nothing of ours");
    assert_eq!(check.hide_own(""), "");
}
