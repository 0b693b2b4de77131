use sallyport_test_support::scripted_model::{
    FailureKind, PlanAnswer, Scenario, ScriptedModel, Usage as ScriptedUsage,
};

use super::*;
use crate::planning::answer::{
    schema,
    tests::{good, policy},
};

const VENDORS: [Vendor; 3] = [Vendor::Anthropic, Vendor::OpenAi, Vendor::Google];

fn planner(model: &ScriptedModel, vendor: Vendor, key: &str) -> GenaiPlanner {
    let mut config = ModelConfig::new(vendor, "claude-sonnet-4-5", key.into());
    config.base_url = model.base_url().to_owned();
    GenaiPlanner::new(config).unwrap()
}

fn conversation() -> Vec<Turn> {
    vec![
        Turn::System("You plan.".into()),
        Turn::User("Plan it.".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vendor_answers_with_what_was_asked_for_and_what_it_cost() {
    let mut answer = PlanAnswer::json(good());
    answer.usage = Some(ScriptedUsage {
        input: 1000,
        output: 200,
        cached: 400,
    });
    let model = ScriptedModel::start(Scenario::new().plan([answer]), "key").unwrap();
    for vendor in VENDORS {
        let planner = planner(&model, vendor, "key");
        let answer = planner
            .ask(&conversation(), &schema(&policy().gates))
            .await
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(&answer.text).unwrap(), good());
        assert!(!answer.cut);
        let usage = answer.usage;
        assert_eq!(
            (
                usage.requests,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens
            ),
            (1, 600, 200, 400),
            "{vendor:?}"
        );
        // 3, 15 and 0.3 dollars a million.
        assert_eq!(usage.cost_micro_usd, 1800 + 3000 + 120);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_or_declined_is_told_apart_from_a_bad_one() {
    for vendor in VENDORS {
        let ask = async |answer| {
            let model = ScriptedModel::start(Scenario::new().plan([answer]), "key").unwrap();
            let planner = planner(&model, vendor, "key");
            planner.ask(&conversation(), &schema(&policy().gates)).await
        };
        let cut = ask(PlanAnswer::cut("{\"title\": \"Rea")).await.unwrap();
        assert!(cut.cut && cut.usage.requests == 1, "{vendor:?}: {cut:?}");
        let declined = ask(PlanAnswer::declined()).await.unwrap_err();
        let ModelError::Declined { usage, .. } = &declined else {
            panic!("{vendor:?}: {declined:?}");
        };
        assert_eq!(usage.requests, 1);
        assert!(usage.cost_micro_usd > 0, "{vendor:?}: what it read is paid");
        let said = declined.to_string();
        assert!(
            said.contains("declined to plan") && said.contains("say in the ticket"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temperature_reaches_each_vendor_where_it_keeps_it() {
    for (vendor, place) in [
        (Vendor::Anthropic, "/temperature"),
        (Vendor::OpenAi, "/temperature"),
        (Vendor::Google, "/generationConfig/temperature"),
    ] {
        let scenario = Scenario::new().plan([PlanAnswer::json(good())]);
        let model = ScriptedModel::start(scenario, "key").unwrap();
        let mut config = ModelConfig::new(vendor, "claude-sonnet-4-5", "key".into());
        config.base_url = model.base_url().to_owned();
        config.temperature = Some(f64::NAN);
        let error = GenaiPlanner::new(config.clone()).unwrap_err().to_string();
        assert!(error.contains("from 0 to 2"), "{error}");
        config.temperature = Some(0.25);
        let planner = GenaiPlanner::new(config).unwrap();
        planner
            .ask(&conversation(), &schema(&policy().gates))
            .await
            .unwrap();
        let asked = &model.requests()[0].body;
        assert_eq!(
            asked.pointer(place),
            Some(&serde_json::json!(0.25)),
            "{asked}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_final_and_shown_nowhere() {
    let model =
        ScriptedModel::start(Scenario::new().plan([PlanAnswer::json(good())]), "key").unwrap();
    for vendor in VENDORS {
        let error = planner(&model, vendor, "hush-hush")
            .ask(&conversation(), &schema(&policy().gates))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                ModelError::Refused {
                    status: 401 | 400,
                    ..
                }
            ),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hush-hush"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_vendor_says_when_to_ask_again() {
    for vendor in VENDORS {
        let busy = FailureKind::Status {
            status: 429,
            retry_after_seconds: Some(7),
        };
        let plan = PlanAnswer::json(good()).fail(1, busy);
        let model = ScriptedModel::start(Scenario::new().plan([plan]), "key").unwrap();
        let error = planner(&model, vendor, "key")
            .ask(&conversation(), &schema(&policy().gates))
            .await
            .unwrap_err();
        let ModelError::Busy { retry_after, .. } = error else {
            panic!("{vendor:?}: {error}")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)), "{vendor:?}");
    }
}

#[test]
fn what_google_thought_before_it_was_cut_is_counted() {
    let model = ModelIden::new(AdapterKind::Gemini, "gemini-2.5-flash");
    let mut response = ChatResponse {
        content: Default::default(),
        reasoning_content: None,
        model_iden: model.clone(),
        provider_model_iden: model,
        stop_reason: None,
        usage: Default::default(),
        captured_raw_body: None,
        response_id: None,
    };
    response.usage.prompt_tokens = Some(10);
    response.usage.completion_tokens_details = Some(genai::chat::CompletionTokensDetails {
        reasoning_tokens: Some(90),
        ..Default::default()
    });
    let price = price_of("gemini-2.5-flash").unwrap();
    assert_eq!(usage(&response, &price).output_tokens, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_may_be_mended_by_waiting() {
    let model = ScriptedModel::start(Scenario::new(), "key").unwrap();
    let planner = planner(&model, Vendor::OpenAi, "key");
    drop(model);
    let error = planner
        .ask(&conversation(), &schema(&policy().gates))
        .await
        .unwrap_err();
    assert!(matches!(error, ModelError::Unreachable { .. }), "{error}");
}

#[test]
fn addresses_get_their_version() {
    let address = |vendor, base: &str| {
        let mut config = ModelConfig::new(vendor, "gpt-5", "key".into());
        config.base_url = base.to_owned();
        base_url(&config)
    };
    assert_eq!(
        address(Vendor::Anthropic, "http://h").unwrap(),
        "http://h/v1/"
    );
    assert_eq!(
        address(Vendor::OpenAi, "http://h/v1").unwrap(),
        "http://h/v1/"
    );
    assert_eq!(
        address(Vendor::OpenAi, "http://h/openai/").unwrap(),
        "http://h/openai/"
    );
    assert_eq!(
        address(Vendor::Google, "http://h").unwrap(),
        "http://h/v1beta/"
    );
    assert!(address(Vendor::OpenAi, "h").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planner_keeps_to_a_pace_that_it_shares() {
    use crate::gateway::RateLimits;
    let plan = PlanAnswer::json(good());
    let model = ScriptedModel::start(Scenario::new().plan([plan]), "key").unwrap();
    let pace = Arc::new(Pace::new(RateLimits {
        requests_per_minute: std::num::NonZeroU32::new(1),
        ..RateLimits::default()
    }));
    pace.wait(1).await;
    let planner = planner(&model, Vendor::Anthropic, "key").at_pace(pace);
    let (conversation, schema) = (conversation(), schema(&policy().gates));
    let ask = planner.ask(&conversation, &schema);
    let held = tokio::time::timeout(Duration::from_millis(300), ask).await;
    assert!(held.is_err() && model.requests().is_empty());
}
