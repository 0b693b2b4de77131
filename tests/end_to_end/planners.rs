//! Two planners: tickets fall to one of them by share, what became of them is reported, and the next ticket is planned in the
//! light of what people said about the last.

use sallyport_test_support::demo_scenario::demo_scenario;
use serde_json::{Value, json};

use crate::fixture::{scratch, start_configured, ticket};

const WISH: &str = "Name the people who read it first.";

#[tokio::test]
async fn planners_are_compared_and_learn_from_what_people_said() {
    let mut scenario = demo_scenario(0);
    let mut answers = scenario.plans[0].answers.clone();
    scenario.plans[0].answers.append(&mut answers);
    let config = "\n[[model.planners]]\nname = \"second\"\nshare = 100\nmodel = \"claude-opus-4-1\"\ntemperature = 0.25\n\
                  context_tokens = 9000\nanswer_tokens = 5000\n";
    let sallyport = start_configured(scratch("planners"), "anthropic", scenario, config)
        .await
        .expect("it works");
    let (api, tickets) = (&sallyport.api, &sallyport.flux_lens);
    let run = |arguments: &[&str]| sallyport.run_sallyport(arguments).expect("it works");

    let first = tickets.create_ticket(ticket("demo")).expect("it works");
    let gate = api.until_gate(&first, "SPEC").await.expect("it works");
    run(&["revise", &first, "--yes", "-m", WISH]);
    let asked = gate["approval_id"].as_str().expect("it has an id");
    api.until_other_gate(&first, "SPEC", asked)
        .await
        .expect("it works");
    run(&["approve", &first, "--yes"]);
    api.until_gate(&first, "PR").await.expect("it works");
    run(&["approve", &first, "--yes"]);
    let view = api
        .until_state(&first, "COMPLETED")
        .await
        .expect("it works");
    assert_eq!(view["workflow"]["planner"], "second", "{view:#}");

    let second = tickets.create_ticket(ticket("demo")).expect("it works");
    api.until_gate(&second, "SPEC").await.expect("it works");
    run(&["approve", &second, "--yes"]);
    let shown = run(&["context", &second]);
    let learned = format!("- Ticket {first}, merged; ended COMPLETED on ");
    assert!(
        shown.contains("at most 9,000 tokens") && shown.contains(&learned),
        "{shown}"
    );
    let before = run(&["context", &first]);
    assert!(!before.contains(&learned), "{before}");

    // The planner's requests, and not the agent's.
    let model = sallyport.model.as_ref().expect("it is scripted");
    let asked: Vec<Value> = { model.requests().into_iter() }
        .filter(|request| request.body.get("output_config").is_some())
        .map(|request| request.body)
        .collect();
    assert_eq!(
        asked.len(),
        3,
        "two SPECs of the first ticket, one of the second"
    );
    for body in &asked {
        assert_eq!(body["model"], "claude-opus-4-1");
        assert_eq!(
            (&body["temperature"], &body["max_tokens"], &body["stream"]),
            (&json!(0.25), &json!(5000), &json!(true))
        );
    }
    assert!(!asked[0].to_string().contains(WISH));
    assert!(
        asked[2]
            .to_string()
            .contains(&format!("REVISE at gate SPEC: {WISH}"))
    );

    let table = run(&["report", "models"]);
    let row = |name: &str| -> Vec<&str> {
        let rows = table.lines().filter(|line| line.starts_with(name));
        rows.flat_map(str::split_whitespace).collect()
    };
    let planner = row("second").join(" ");
    assert!(planner.starts_with("second 2 1 of 2 ("), "{table}");
    assert!(planner.contains("1 of 1 ended"), "{table}");
    assert!(
        planner.contains("second anthropic claude-opus-4-1 3 3 0 0 "),
        "{table}"
    );
    assert!(row("default").is_empty(), "{table}");
    let json: Value = serde_json::from_str(&run(&["report", "models", "--days", "1", "--json"]))
        .expect("it is JSON");
    let planner = &json["planners"][0];
    for (name, expected) in [
        ("tickets", 2),
        ("read", 2),
        ("approved_at_first_reading", 1),
        ("revisions", 1),
        ("merged", 1),
    ] {
        assert_eq!(planner[name], expected, "{name}: {json:#}");
    }
    let spent = planner["planning_cost_micro_usd"]
        .as_u64()
        .expect("a number");
    assert!(spent > 0 && spent < planner["cost_micro_usd"].as_u64().expect("a number"));
    let latency = json["models"][0]["latency_median_ms"].as_u64();
    assert!(latency.is_some(), "{json:#}");
    // QA's report is where it was.
    assert!(run(&["report", &first]).contains("# QA report"));
}
