//! A ticket that goes from host to host, on one ledger and one object storage.

use sallyport_test_support::scripted_model::Scenario;

use super::*;
use crate::testing::House;

struct Scene {
    house: House,
    base: String,
    mirror: Mirror,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new(&[("a", "a\n")], Scenario::new()).await;
        let url = house.origin.url();
        Self {
            base: house.origin.head("main").await,
            mirror: house.context.mirrors.fetch(url).await.unwrap(),
            house,
        }
    }

    fn workspace(&self, context: &Context) -> Workspace {
        Workspace::of(&context.data_dir, &self.house.ticket)
    }

    async fn arrive(&self, context: &Context) -> Arrival {
        let ticket = &self.house.ticket;
        let claim = held(context, ticket).await.unwrap();
        let start = (self.base.as_str(), self.base.as_str());
        let mirror = context
            .mirrors
            .with_commit(self.house.origin.url(), &self.base);
        let arrival = arrive(context, &claim, ticket, &mirror.await.unwrap(), start)
            .await
            .unwrap();
        settle(&self.workspace(context), &claim).unwrap();
        arrival
    }

    async fn take(&self, context: &Context, head: &str) -> Result<(), StepError> {
        let source = Source {
            mirror: &self.mirror,
            workspace: &self.workspace(context),
            leaks: &context.leaks,
            base: &self.base,
            head,
        };
        let moment = Moment {
            step: 4,
            ended: true,
        };
        let nothing = Scope::from_iter([]);
        take(context, &self.house.ticket, moment, source, &nothing).await
    }

    /// Takes the ticket away from the host that has it.
    async fn lose(&self, context: &Context) {
        let database = &context.database;
        hosts::end_lease(database, &context.host_id).await.unwrap();
        let claim = hosts::claim(database, &self.house.ticket).await.unwrap();
        assert_ne!(claim.unwrap().host_id, context.host_id);
        crate::testing::take_lease(context).await;
    }

    fn read(&self, context: &Context) -> String {
        fs::read_to_string(self.workspace(context).tree().join("a")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_begins_with_the_latest_copy_whenever_another_worked_in_between() {
    let scene = Scene::new().await;
    let one = &scene.house.context;
    let two = &scene.house.other_host().await;
    assert_eq!(scene.arrive(one).await, Arrival::LaidOut);
    assert_eq!(scene.arrive(one).await, Arrival::Here);
    fs::write(scene.workspace(one).tree().join("a"), "by one\n").unwrap();
    scene.take(one, &scene.base).await.unwrap();
    fs::write(scene.workspace(one).tree().join("a"), "lost\n").unwrap();

    scene.lose(one).await;
    let refused = held(one, &scene.house.ticket).await.unwrap_err();
    assert!(
        refused.message().contains("the host host-2 went on"),
        "{refused}"
    );
    assert!(scene.take(one, &scene.base).await.is_err());
    let arrival = scene.arrive(two).await;
    assert!(
        matches!(&arrival, Arrival::Restored(checkpoint) if checkpoint.step == 4 && checkpoint.ended),
        "{arrival:?}"
    );
    assert_eq!(scene.read(two), "by one\n");
    fs::write(scene.workspace(two).tree().join("a"), "by two\n").unwrap();
    scene.take(two, &scene.base).await.unwrap();

    scene.lose(two).await;
    assert_eq!(scene.read(one), "lost\n");
    assert!(matches!(scene.arrive(one).await, Arrival::Restored(_)));
    assert_eq!(scene.read(one), "by two\n");
    assert_eq!(scene.arrive(one).await, Arrival::Here);
    // Killed in the middle of laying it out: all again.
    fs::remove_dir_all(scene.workspace(one).tree()).unwrap();
    assert!(matches!(scene.arrive(one).await, Arrival::Restored(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_a_lost_host_is_found_in_the_latest_copy() {
    let scene = Scene::new().await;
    let one = &scene.house.context;
    let two = &scene.house.other_host().await;
    let (url, ticket) = (scene.house.origin.url(), &scene.house.ticket);
    scene.arrive(one).await;
    // The agent's commit: in the mirror of one host, and in no branch.
    let commit = scene.house.origin.commit(&[("a", "b\n")]).await;
    one.mirrors.fetch(url).await.unwrap();
    scene.house.origin.set("main", &scene.base).await;
    let git = scene.house.origin.git();
    git.run("reflog")
        .arguments(["expire", "--expire=now", "--all"])
        .done()
        .await
        .unwrap();

    let find = || mirror_with(two, ticket, url, &scene.base, &commit);
    let lost = find().await.unwrap_err();
    assert_eq!(lost.kind(), kind::WORKSPACE_LOST);
    assert!(lost.is_final(), "{lost}");
    scene.take(one, &commit).await.unwrap();
    assert!(find().await.unwrap().has(&commit).await.unwrap());

    // A copy that cannot be read for good is said to be lost, not a fault of the storage.
    let three = Workspace::of(&two.data_dir, ticket);
    two.mirrors.let_go(three.name()).await.unwrap();
    let latest = checkpoints::latest(&two.database, ticket).await.unwrap();
    let nowhere = Checkpoint {
        bundle: sallyport_workflows::ObjectRef::of(b"never stored"),
        ..latest.unwrap()
    };
    let recorded = checkpoints::record(&two.database, ticket, &one.host_id, &nowhere);
    assert!(recorded.await.unwrap());
    fs::remove_dir_all(two.data_dir.join("mirrors")).unwrap();
    let lost = find().await.unwrap_err();
    assert_eq!(lost.kind(), kind::WORKSPACE_LOST, "{lost}");
}
