//! The seals of the audit log's chains, their copies, and who contradicts them.

use std::time::Duration;

use sallyport_ledger::audit::{
    entry::Hash,
    key::SealKey,
    read::{check_seals, check_workflow, unsealed},
    seal::{Seal, SealDocument, copy_name},
    sealer::{SealError, seal},
    verify::{Fault, SealChain},
};

use sallyport_test_support::child::until;
use sqlx::Executor as _;

use super::{by_hand, chain, key, life, objects};
use crate::{at, ledger, owner, second_process};

/// How long a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_chain_that_was_computed_anew_contradicts_its_seal() {
    let database = ledger().await;
    let (_folder, objects) = objects();
    let ticket = life(&database, "FL-1").await;
    seal(&database, &objects, &key()).await.unwrap();
    // Somebody who knows how it is made: all hashes fit again.
    let mut forged = chain(&database, &ticket).await;
    forged[6].content = forged[6].content.replace("approver@", "attacker@");
    let mut hash = forged[5].hash;
    for entry in &mut forged[6..] {
        entry.previous_hash = hash;
        entry.hash = entry.computed_hash();
        hash = entry.hash;
        by_hand(
            &database,
            &format!(
                "UPDATE audit_log SET content = '{}', previous_hash = '\\x{}', hash = '\\x{}' WHERE position = {}",
                entry.content, entry.previous_hash, entry.hash, entry.position
            ),
        )
        .await;
    }
    let seals = check_seals(&database, &objects, Some(key().public()))
        .await
        .unwrap();
    assert_eq!(seals.chain.found, []);
    let sealed = &seals.chain.heads[&ticket.ledger_id()];
    let checked = check_workflow(&database, ticket.ledger_id(), sealed)
        .await
        .unwrap();
    assert!(
        checked.found.contains(&Fault::SealedEntryChanged {
            position: 10,
            seal: 1
        }),
        "{:?}",
        checked.found
    );
    // Cut off instead.
    by_hand(&database, "DELETE FROM audit_log WHERE position = 10").await;
    let checked = check_workflow(&database, ticket.ledger_id(), sealed)
        .await
        .unwrap();
    assert!(
        checked.found.contains(&Fault::SealedEntryMissing {
            position: 10,
            seal: 1
        }),
        "{:?}",
        checked.found
    );
}

#[tokio::test]
async fn sealers_at_once_make_one_chain_of_seals() {
    let database = ledger().await;
    let other = second_process(&database).await;
    let (_folder, objects) = objects();
    for number in 1..=20 {
        let id = format!("FL-{number}");
        crate::begun(&database, &id).await;
        let tasks: Vec<_> = [&database, &other, &database, &other]
            .map(|database| {
                let (database, objects) = (database.clone(), objects.clone());
                tokio::spawn(async move { seal(&database, &objects, &key()).await.unwrap() })
            })
            .into_iter()
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    seal(&database, &objects, &key()).await.unwrap();
    assert_eq!(unsealed(&database).await.unwrap(), (0, None));
    let seals = check_seals(&database, &objects, Some(key().public()))
        .await
        .unwrap();
    assert_eq!(seals.chain.found, []);
    assert_eq!((seals.chain.heads.len(), seals.not_copied), (20, 0));
}

#[tokio::test]
async fn a_copy_that_is_made_during_a_check_is_not_missed() {
    let database = ledger().await;
    let (folder, objects) = objects();
    crate::begun(&database, "FL-1").await;
    seal(&database, &objects, &key()).await.unwrap();
    let name = copy_name(1);
    let copy = objects.get_named(&name).await.unwrap().unwrap();
    std::fs::remove_file(folder.path().join("objects/named").join(&name)).unwrap();
    by_hand(&database, "DELETE FROM audit_seal_copies").await;

    // Whoever wants to know which seals are copied waits until this one is.
    let mut sealer = owner(&database).await;
    sealer
        .execute("BEGIN; LOCK TABLE audit_seal_copies")
        .await
        .unwrap();
    let sealing = async {
        let asks = async || {
            let sql = "SELECT count(*) FROM pg_locks WHERE relation = 'audit_seal_copies'::regclass AND NOT granted";
            let waiting: i64 = sqlx::query_scalar(sql)
                .fetch_one(database.pool())
                .await
                .unwrap();
            (waiting > 0).then_some(())
        };
        until(PATIENCE, "the check asks for the copies", asks)
            .await
            .unwrap();
        objects.put_named(&name, copy).await.unwrap();
        sealer
            .execute("INSERT INTO audit_seal_copies (number) VALUES (1); COMMIT")
            .await
            .unwrap();
    };
    let (checked, ()) = tokio::join!(check_seals(&database, &objects, None), sealing);
    let checked = checked.unwrap();
    assert_eq!((checked.chain.found, checked.not_copied), (Vec::new(), 0));
}

#[tokio::test]
async fn seals_that_were_changed_cut_off_or_made_by_others_show() {
    let changes = [
        (
            "UPDATE audit_seals SET content = replace(content, '\"position\":1', '\"position\":2') WHERE number = 2",
            "seal 2 was changed",
        ),
        (
            "DELETE FROM audit_seals WHERE number = 2",
            "seal 2 is missing",
        ),
        (
            "DELETE FROM audit_seals WHERE number = 3",
            "seal 3 is in object storage and not in the ledger",
        ),
        (
            "UPDATE audit_seals SET signature = decode(repeat('00', 64), 'hex') WHERE number = 1",
            "seal 1 is not signed",
        ),
    ];
    for (sql, expected) in changes {
        let database = ledger().await;
        let (folder, objects) = objects();
        for id in ["FL-1", "FL-2", "FL-3"] {
            crate::begun(&database, id).await;
            seal(&database, &objects, &key()).await.unwrap();
        }
        by_hand(&database, sql).await;
        let checked = check_seals(&database, &objects, Some(key().public()))
            .await
            .unwrap();
        let found: Vec<String> = checked.chain.found.iter().map(Fault::to_string).collect();
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{sql}: {found:#?}"
        );
        drop(folder);
    }
}

#[tokio::test]
async fn a_ledger_that_forgot_its_seals_stops_at_the_copy() {
    let database = ledger().await;
    let (_folder, objects) = objects();
    crate::begun(&database, "FL-1").await;
    seal(&database, &objects, &key()).await.unwrap();
    by_hand(&database, "DELETE FROM audit_seals; DELETE FROM audit_seal_copies; UPDATE audit_heads SET sealed_position = 0").await;
    crate::begun(&database, "FL-2").await;
    assert!(matches!(
        seal(&database, &objects, &key()).await,
        Err(SealError::Fork { number: 1 })
    ));
    let other_key = SealKey::new(&"22".repeat(32).into()).unwrap();
    let checked = check_seals(&database, &objects, Some(other_key.public()))
        .await
        .unwrap();
    let found: Vec<String> = checked.chain.found.iter().map(Fault::to_string).collect();
    assert!(
        found.iter().any(|fault| fault.contains("another key")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("another one in object storage")),
        "{found:?}"
    );
}

#[test]
fn a_seal_of_a_seal_chain_cannot_be_left_out() {
    let document = |number, previous| SealDocument {
        number,
        previous,
        sealed_at: at(0),
        heads: Vec::new(),
    };
    let first = Seal::sign(&document(1, Hash([0; 32])), &key()).unwrap();
    let second = Seal::sign(&document(2, first.hash), &key()).unwrap();
    let third = Seal::sign(&document(3, second.hash), &key()).unwrap();
    let check = |seals: &[&Seal]| {
        let mut chain = SealChain::default();
        for seal in seals {
            chain.next(seal, None);
        }
        chain.found
    };
    assert_eq!(check(&[&first, &second, &third]), []);
    assert_eq!(check(&[&first, &third]), [Fault::SealMissing(2)]);
    let instead = Seal::sign(
        &document(2, first.hash),
        &SealKey::new(&"22".repeat(32).into()).unwrap(),
    )
    .unwrap();
    let renumbered = Seal::sign(&document(2, third.hash), &key()).unwrap();
    assert_eq!(check(&[&first, &renumbered]), [Fault::SealUnlinked(2)]);
    // Another document under the same number breaks the link after it.
    let other = Seal {
        signature: instead.signature.clone(),
        ..instead
    };
    assert_ne!(other.public_key, second.public_key);
}
