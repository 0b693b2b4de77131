//! The record of what happened, as those check it who run an installation, and those who only get one ticket's evidence.

use std::path::PathBuf;

use sallyport_test_support::{
    child::until, demo_scenario::demo_scenario, installation::Installation,
    scripted_model::Scenario,
};

use crate::fixture::{PATIENCE, sealed, start_in_private_folder, temporal, ticket, verify};

fn scenario() -> Scenario {
    demo_scenario(0)
}

#[tokio::test]
async fn a_record_that_was_touched_by_hand_is_red_until_it_is_as_it_was() {
    let sallyport = start_in_private_folder("audit", "anthropic", scenario())
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    for gate in ["SPEC", "PR"] {
        let open = sallyport.api.until_gate(&id, gate).await.unwrap();
        sallyport
            .api
            .decide(&open, "APPROVE", Some("Go ahead"))
            .await
            .unwrap();
    }
    sallyport.api.until_state(&id, "COMPLETED").await.unwrap();
    let said = sealed(&sallyport).await;
    assert!(said.contains("1 history compared with Temporal"), "{said}");

    // One byte of a row, there and back.
    let change = |from: &str, to: &str| {
        format!(
            "UPDATE decisions SET decided_by = replace(decided_by, '{from}', '{to}') WHERE gate = 'PR'"
        )
    };
    assert_eq!(sallyport.change_ledger(&change("@", "%")).await.unwrap(), 1);
    let (code, said) = verify(&sallyport, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("the column decided_by is not what the log says"),
        "{said}"
    );
    sallyport.change_ledger(&change("%", "@")).await.unwrap();
    assert_eq!(verify(&sallyport, &[]).0, 0);

    // A row is removed, and put back.
    sallyport
        .change_ledger("CREATE TABLE kept AS SELECT * FROM audit_log WHERE position = 5; DELETE FROM audit_log WHERE position = 5")
        .await
        .unwrap();
    let (code, said) = verify(&sallyport, &[&id]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("entry 5 is missing"), "{said}");
    sallyport
        .change_ledger(
            "INSERT INTO audit_log OVERRIDING SYSTEM VALUE SELECT * FROM kept; DROP TABLE kept",
        )
        .await
        .unwrap();
    assert_eq!(verify(&sallyport, &[]).0, 0);

    // The evidence, in the hands of somebody who has nothing else.
    let bundle = sallyport.folder().join("evidence.json");
    let file = bundle.display().to_string();
    sallyport
        .run_sallyport(&["audit", "export", &id, "--output", &file])
        .unwrap();
    let key = sallyport.run_sallyport(&["audit", "key"]).unwrap();
    let (code, said) = verify(&sallyport, &["--bundle", &file, "--key", key.trim()]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = verify(&sallyport, &["--bundle", &file, "--key", &"11".repeat(32)]);
    assert!(code == 1 && said.contains("another key"), "{said}");
    let text = std::fs::read_to_string(&bundle).unwrap();
    std::fs::write(&bundle, text.replace("Go ahead", "Go Ahead")).unwrap();
    let (code, said) = verify(&sallyport, &["--bundle", &file]);
    assert!(
        code == 1 && said.contains("is not what its name says"),
        "{said}"
    );

    // A decision that nobody made, with chain and table in order: only the history knows better.
    sallyport.change_ledger(INVENTED).await.unwrap();
    let (code, said) = verify(&sallyport, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it was invented"), "{said}");
}

/// How many histories are exported, and the file of the last one.
async fn exported(sallyport: &Installation) -> (usize, Option<PathBuf>) {
    let mut ledger = sallyport.ledger().await.expect("the ledger");
    let keys: Vec<String> = sqlx::query_scalar("SELECT content_url FROM history_exports")
        .fetch_all(&mut ledger)
        .await
        .expect("they are listed");
    let objects = sallyport.data_dir().join("objects");
    (keys.len(), keys.last().map(|key| objects.join(key)))
}

#[tokio::test]
async fn what_temporal_has_forgotten_is_compared_with_its_exported_history() {
    let sallyport = start_in_private_folder("exports", "anthropic", scenario())
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    let open = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    sallyport.api.decide(&open, "REJECT", None).await.unwrap();
    sallyport
        .api
        .until_state(&id, "SPEC_REJECTED")
        .await
        .unwrap();
    sealed(&sallyport).await;

    let export = async || {
        let trigger = [
            "schedule",
            "trigger",
            "--schedule-id",
            "sallyport-export_histories",
        ];
        temporal(&sallyport, &trigger);
        let (runs, file) = exported(&sallyport).await;
        (runs > 0).then_some(file).flatten()
    };
    let file = until(PATIENCE, "the history is exported", export)
        .await
        .unwrap();
    let workflow = format!("ticket:flux-lens:{id}");
    temporal(
        &sallyport,
        &["workflow", "delete", "--yes", "--workflow-id", &workflow],
    );
    let forgotten = async || {
        let (code, said) = verify(&sallyport, &[]);
        assert_eq!(code, 0, "{said}");
        said.contains("0 histories compared with Temporal, 1 with exports")
            .then_some(())
    };
    until(PATIENCE, "Temporal has forgotten it", forgotten)
        .await
        .unwrap();
    assert_eq!(exported(&sallyport).await.0, 1);

    let bundle = sallyport
        .folder()
        .join("evidence.json")
        .display()
        .to_string();
    sallyport
        .run_sallyport(&["audit", "export", &id, "--output", &bundle])
        .unwrap();
    let (code, said) = verify(&sallyport, &["--bundle", &bundle]);
    assert_eq!(code, 0, "{said}");

    let content = std::fs::read(&file).unwrap();
    for changed in [None, Some("{\"events\":[]}")] {
        std::fs::remove_file(&file).unwrap();
        if let Some(changed) = changed {
            std::fs::write(&file, changed).unwrap();
        }
        let (code, said) = verify(&sallyport, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("cannot read the exported history"), "{said}");
        std::fs::write(&file, &content).unwrap();
    }
    assert_eq!(verify(&sallyport, &[]).0, 0);

    sallyport.change_ledger(INVENTED).await.unwrap();
    let (code, said) = verify(&sallyport, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it was invented"), "{said}");
}

/// Somebody with the database in hand records one more approval, and computes its hash as Sallyport does.
const INVENTED: &str = r#"
DO $$
DECLARE
    head audit_heads%ROWTYPE;
    old audit_log%ROWTYPE;
    new_id uuid := gen_random_uuid();
    new_content text;
    at timestamptz := date_trunc('microseconds', clock_timestamp());
    new_hash bytea;
BEGIN
    SELECT * INTO head FROM audit_heads;
    SELECT * INTO old FROM audit_log WHERE kind = 'decision' ORDER BY position LIMIT 1;
    new_content := replace(old.content, old.entry_key, new_id::text);
    new_hash := sha256(
        int8send(23) || 'sallyport/audit-entry/1'::bytea || int8send(16) || uuid_send(old.workflow_id)
        || int8send(8) || int8send(head.position + 1) || int8send(8) || 'decision'::bytea
        || int8send(36) || new_id::text::bytea
        || int8send(octet_length(new_content)) || convert_to(new_content, 'UTF8')
        || int8send(8) || int8send((extract(epoch FROM at) * 1000000)::bigint) || int8send(32) || head.hash);
    INSERT INTO audit_log (workflow_id, position, kind, entry_key, content, recorded_at, previous_hash, hash)
    VALUES (old.workflow_id, head.position + 1, 'decision', new_id::text, new_content, at, head.hash, new_hash);
    UPDATE audit_heads SET position = head.position + 1, hash = new_hash, changed_at = at;
    INSERT INTO decisions SELECT workflow_id, new_id, approval_id, gate, revision, decision, decided_by, comments,
                                 comments_bytes, proven, refused, origin, decided_at, at
                          FROM decisions WHERE id::text = old.entry_key;
END $$;
"#;
