//! The local forge on a real repository and a real database.

use chrono::DateTime;
use sallyport_ledger::config::DatabaseConfig;
use sallyport_test_support::postgres::Postgres;
use sallyport_workflows::scope::RepositoryPath;

use super::*;
use crate::{
    mirror::Mirrors,
    testing::{Origin, put_on_record},
    workspace::{
        Workspace, checkout,
        diff::{self, Collected, CommitPlan},
    },
};

struct World {
    folder: tempfile::TempDir,
    origin: Origin,
    mirror: Mirror,
    forge: LocalForge,
    ticket: TicketKey,
    base: String,
}

impl World {
    async fn new() -> Self {
        let origin = Origin::new(&[("a.txt", "1\n2\n3\n4\n5\n"), ("b.txt", "b\n")]).await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        let url = Postgres::shared().database().await.unwrap();
        let database = Database::connect(&DatabaseConfig::with_url(url))
            .await
            .unwrap();
        let ticket = TicketKey::first("flux-lens", "FL-1");
        put_on_record(&database, &ticket, origin.url()).await;
        let path = path_of(origin.url()).unwrap();
        let forge = LocalForge::new(origin.url(), path, database, Signature::default());
        let base = origin.head("main").await;
        Self {
            folder,
            origin,
            mirror,
            forge,
            ticket,
            base,
        }
    }

    /// A commit of ours on `parent` that writes `content` to a.txt.
    async fn commit(&self, parent: &str, content: &str) -> String {
        let workspace = Workspace::of(self.folder.path(), &self.ticket);
        checkout::prepare(self.mirror.git(), &workspace, parent)
            .await
            .unwrap();
        std::fs::write(workspace.tree().join("a.txt"), content).unwrap();
        let scope = [RepositoryPath::try_from("a.txt".to_owned()).unwrap()]
            .into_iter()
            .collect();
        let plan = CommitPlan {
            base: &self.base,
            parent,
            scope: &scope,
            message: "x\n",
            author: &Signature::default(),
            at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        };
        match diff::collect(&self.mirror, &workspace, &plan)
            .await
            .unwrap()
        {
            Collected::Committed { commit, .. } => commit,
            other => panic!("{other:?}"),
        }
    }

    async fn publish(&self, commit: &str) -> Result<(), ForgeError> {
        self.forge
            .publish(&self.mirror, &self.ticket.branch(), commit)
            .await
    }

    async fn open(&self, head_commit: &str) -> PullRequest {
        let proposal = Proposal {
            ticket: &self.ticket,
            title: "FL-1: x".into(),
            body: "body".into(),
            base_branch: "main",
            head_commit,
        };
        self.forge.open(&proposal).await.unwrap()
    }

    fn change<'a>(&'a self, pull_request: &'a PullRequest) -> Change<'a> {
        Change {
            ticket: &self.ticket,
            pull_request,
            by: "approver@example.com",
            at: DateTime::from_timestamp(1_700_000_100, 0).unwrap(),
        }
    }

    async fn file(&self, path: &str) -> String {
        self.origin
            .git()
            .run("cat-file")
            .arguments(["blob", &format!("main:{path}")])
            .text()
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_goes_from_branch_to_merge_and_again_changes_nothing() {
    let world = World::new().await;
    let commit = world.commit(&world.base, "one\n2\n3\n4\n5\n").await;
    for _ in 0..2 {
        world.publish(&commit).await.unwrap();
    }
    assert_eq!(world.origin.head("sallyport/FL-1").await, commit);
    let pull_request = world.open(&commit).await;
    assert_eq!(world.open(&commit).await, pull_request);
    assert_eq!(pull_request.number, 1);
    assert_eq!(pull_request.url, format!("{}#pull/1", world.origin.url()));

    let merged = world
        .forge
        .merge(world.change(&pull_request))
        .await
        .unwrap();
    let head = world.origin.head("main").await;
    assert_eq!(
        merged,
        MergeResult::Merged {
            commit: head.clone()
        }
    );
    assert_eq!(
        world
            .forge
            .merge(world.change(&pull_request))
            .await
            .unwrap(),
        merged
    );
    assert_eq!(world.origin.head("main").await, head);
    assert_eq!(world.file("a.txt").await, "one\n2\n3\n4\n5");
    let parents = world
        .origin
        .git()
        .run("log")
        .arguments(["-1", "--format=%P %an %at", &head])
        .text()
        .await
        .unwrap();
    assert_eq!(
        parents,
        format!("{} {commit} Sallyport 1700000100", world.base)
    );
    let closed = world
        .forge
        .close(world.change(&pull_request))
        .await
        .unwrap();
    assert_eq!(closed, CloseResult::Merged { commit: head });
    assert!(
        world
            .forge
            .reopen(world.change(&pull_request))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_was_cut_off_before_its_record_is_found() {
    let world = World::new().await;
    let commit = world.commit(&world.base, "one\n2\n3\n4\n5\n").await;
    world.publish(&commit).await.unwrap();
    let pull_request = world.open(&commit).await;
    // The same merge as the forge's, by hand: the ledger does not know of it.
    let tree = world
        .forge
        .merged_tree(&world.base, &commit)
        .await
        .unwrap()
        .unwrap();
    let git = world.origin.git();
    let merge = signed(
        git.run("commit-tree"),
        &Signature::default(),
        DateTime::UNIX_EPOCH,
    )
    .arguments(["-p", &world.base, "-p", &commit, "-m", "m", &tree])
    .text()
    .await
    .unwrap();
    git.run("update-ref")
        .arguments(["refs/heads/main", &merge])
        .done()
        .await
        .unwrap();
    let after = world.origin.commit(&[("c.txt", "c\n")]).await;
    let merged = world
        .forge
        .merge(world.change(&pull_request))
        .await
        .unwrap();
    assert_eq!(merged, MergeResult::Merged { commit: merge });
    assert_eq!(
        world.origin.head("main").await,
        after,
        "nothing was merged twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_moved_is_merged_and_a_conflict_is_refused() {
    let world = World::new().await;
    let commit = world.commit(&world.base, "one\n2\n3\n4\n5\n").await;
    world.publish(&commit).await.unwrap();
    let pull_request = world.open(&commit).await;
    // Attributes that would keep one side whatever the other says.
    world
        .origin
        .commit(&[
            ("a.txt", "uno\n2\n3\n4\n5\n"),
            (".gitattributes", "* merge=ours\n"),
        ])
        .await;
    let refused = world
        .forge
        .merge(world.change(&pull_request))
        .await
        .unwrap();
    assert!(
        matches!(&refused, MergeResult::Refused { reason } if reason.contains("a.txt")),
        "{refused:?}"
    );
    let moved = world
        .origin
        .commit(&[("a.txt", "1\n2\n3\n4\nfive\n")])
        .await;
    let merged = world
        .forge
        .merge(world.change(&pull_request))
        .await
        .unwrap();
    assert!(matches!(merged, MergeResult::Merged { .. }), "{merged:?}");
    assert_eq!(world.file("a.txt").await, "one\n2\n3\n4\nfive");
    assert!(
        world
            .origin
            .git()
            .is_ancestor(&moved, "main")
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_others_are_never_overwritten_or_merged() {
    let world = World::new().await;
    let commit = world.commit(&world.base, "one\n2\n3\n4\n5\n").await;
    world.publish(&commit).await.unwrap();
    let pull_request = world.open(&commit).await;
    // Somebody pushes to our branch.
    let foreign = world.origin.commit(&[("evil.txt", "x")]).await;
    let git = world.origin.git();
    let branch = "refs/heads/sallyport/FL-1";
    git.run("update-ref")
        .arguments([branch, &foreign])
        .done()
        .await
        .unwrap();
    let refused = world
        .forge
        .merge(world.change(&pull_request))
        .await
        .unwrap();
    assert!(
        matches!(&refused, MergeResult::Refused { reason } if reason.contains(&foreign)),
        "{refused:?}"
    );
    let next = world.commit(&commit, "1\n2\n3\n4\n5\nnext\n").await;
    let diverged = world.publish(&next).await.unwrap_err();
    assert!(
        matches!(&diverged, ForgeError::Diverged { head, .. } if *head == foreign),
        "{diverged}"
    );
    assert_eq!(world.origin.head("sallyport/FL-1").await, foreign);

    // Back to ours, the next one is a fast-forward.
    git.run("update-ref")
        .arguments([branch, &commit])
        .done()
        .await
        .unwrap();
    world.publish(&next).await.unwrap();
    assert_eq!(world.open(&next).await.head_commit, next);
    let stale = world
        .forge
        .merge(world.change(&pull_request))
        .await
        .unwrap();
    assert!(
        matches!(stale, MergeResult::Refused { .. }),
        "an older head was decided about"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_and_reopening_may_be_repeated() {
    let world = World::new().await;
    let commit = world.commit(&world.base, "one\n2\n3\n4\n5\n").await;
    world.publish(&commit).await.unwrap();
    let pull_request = world.open(&commit).await;
    let change = world.change(&pull_request);
    for _ in 0..2 {
        assert_eq!(
            world.forge.close(change).await.unwrap(),
            CloseResult::Closed
        );
    }
    let refused = world.forge.merge(change).await.unwrap();
    assert!(matches!(&refused, MergeResult::Refused { reason } if reason.contains("closed")));
    for _ in 0..2 {
        world.forge.reopen(change).await.unwrap();
    }
    assert!(matches!(
        world.forge.merge(change).await.unwrap(),
        MergeResult::Merged { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_a_work_tree_is_refused() {
    let world = World::new().await;
    let commit = world.commit(&world.base, "one\n2\n3\n4\n5\n").await;
    world
        .origin
        .git()
        .run("config")
        .arguments(["core.bare", "false"])
        .done()
        .await
        .unwrap();
    let refused = world.publish(&commit).await.unwrap_err();
    assert!(
        refused.to_string().contains("git clone --bare"),
        "{refused}"
    );
}

#[test]
fn only_paths_on_this_machine_are_local() {
    assert_eq!(path_of("/srv/x.git"), Some("/srv/x.git".into()));
    assert_eq!(
        path_of("file:///srv/a%20b.git"),
        Some("/srv/a b.git".into())
    );
    for other in [
        "https://example.com/x.git",
        "git@example.com:x.git",
        "x.git",
        "",
        "ext::sh",
    ] {
        assert_eq!(path_of(other), None, "{other}");
    }
}
