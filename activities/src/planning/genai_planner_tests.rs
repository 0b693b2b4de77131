use chrono::Utc;
use sallyport_test_support::scripted_model::{
    FailureKind, PlanAnswer, Scenario, ScriptedModel, Usage as ScriptedUsage,
};

use serde_json::Value;

use super::*;
use crate::planning::{
    answer::{
        schema,
        tests::{good, policy},
    },
    call::{Call, Calls},
};

const VENDORS: [Vendor; 3] = [Vendor::Anthropic, Vendor::OpenAi, Vendor::Google];

/// Each vendor, in one piece and as a stream.
fn ways() -> impl Iterator<Item = (Vendor, bool)> {
    { VENDORS.into_iter() }.flat_map(|vendor| [(vendor, false), (vendor, true)])
}

fn planner(model: &ScriptedModel, (vendor, stream): (Vendor, bool), key: &str) -> GenaiPlanner {
    let mut config = ModelConfig::new(vendor, "claude-sonnet-4-5", key.into());
    config.base_url = model.base_url().to_owned();
    config.stream = stream;
    GenaiPlanner::new(config).unwrap()
}

/// What comes of asking, and what is on record of it.
async fn ask(planner: &GenaiPlanner) -> (Result<Answer, ModelError>, Call) {
    let progress = Progress::default();
    ask_and_tell(planner, &progress).await
}

async fn ask_and_tell(
    planner: &GenaiPlanner,
    progress: &Progress,
) -> (Result<Answer, ModelError>, Call) {
    let (conversation, schema, calls) = (conversation(), schema(&policy().gates), Calls::default());
    let answer = planner.ask(Question {
        conversation: &conversation,
        schema: &schema,
        progress,
        calls: &calls,
    });
    let answer = answer.await;
    let mut calls = calls.into_list();
    assert_eq!(calls.len(), 1);
    (answer, calls.remove(0))
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
    for way in ways() {
        let before = Utc::now();
        let (answer, call) = ask(&planner(&model, way, "key")).await;
        let answer = answer.unwrap();
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
            "{way:?}"
        );
        // 3, 15 and 0.3 dollars a million.
        assert_eq!(usage.cost_micro_usd, 1800 + 3000 + 120);
        assert_eq!((call.vendor, call.usage), (way.0, usage));
        assert_eq!(call.outcome, CallOutcome::Answered);
        assert!(call.asked_at >= before && !call.latency.is_zero());
        let requests = model.requests();
        let asked = requests.last().unwrap();
        let streamed = match way.0 {
            Vendor::Google => asked.path.contains(":streamGenerateContent"),
            _ => asked.body["stream"] == true,
        };
        assert_eq!(streamed, way.1, "{asked:?}");
        let kept = asked.body.to_string().contains("cache_control");
        assert_eq!(kept, way.0 == Vendor::Anthropic, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_or_declined_is_told_apart_from_a_bad_one() {
    for way in ways() {
        let ask = async |answer| {
            let model = ScriptedModel::start(Scenario::new().plan([answer]), "key").unwrap();
            ask(&planner(&model, way, "key")).await
        };
        let (cut, call) = ask(PlanAnswer::cut("{\"title\": \"Rea")).await;
        let cut = cut.unwrap();
        assert!(cut.cut && cut.usage.requests == 1, "{way:?}: {cut:?}");
        assert_eq!(call.outcome, CallOutcome::Cut);
        let (declined, call) = ask(PlanAnswer::declined()).await;
        let declined = declined.unwrap_err();
        assert!(
            matches!(declined, ModelError::Declined { .. }),
            "{way:?}: {declined:?}"
        );
        assert_eq!(
            (call.outcome, call.usage.requests),
            (CallOutcome::Declined, 1)
        );
        assert!(
            call.usage.cost_micro_usd > 0,
            "{way:?}: what it read is paid"
        );
        let said = declined.to_string();
        assert!(
            said.contains("declined to plan") && said.contains("say in the ticket"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_how_far_it_is_and_what_breaks_off_is_no_answer() {
    for vendor in VENDORS {
        let scenario = |how| Scenario::new().plan([PlanAnswer::json(good()).fail(9, how)]);
        let whole = Scenario::new().plan([PlanAnswer::json(good())]);
        let model = ScriptedModel::start(whole, "key").unwrap();
        let progress = Progress::default();
        progress.say("asking");
        let (answer, _) = ask_and_tell(&planner(&model, (vendor, true), "key"), &progress).await;
        answer.unwrap();
        let said = progress.now();
        assert!(
            said.starts_with("asking; about ") && said.ends_with(" tokens of an answer"),
            "{said}"
        );
        for (how, said) in [
            (FailureKind::Cut, ""),
            (FailureKind::StreamError, "the answer broke off: "),
        ] {
            let model = ScriptedModel::start(scenario(how), "key").unwrap();
            let (answer, call) = ask(&planner(&model, (vendor, true), "key")).await;
            let error = answer.unwrap_err();
            let ModelError::Unreachable { reason } = &error else {
                panic!("{vendor:?}: {error:?}");
            };
            assert!(reason.contains(said), "{vendor:?}: {reason}");
            assert_eq!(call.outcome, CallOutcome::Unreachable);
        }
    }
}

/// The address of a server that answers one request with `events`, and closes as if all were said.
fn ends_early(events: &'static str) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1 << 16];
        let _ = stream.read(&mut request).unwrap();
        let length = events.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream
            .write_all(format!("{head}{events}").as_bytes())
            .unwrap();
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_without_a_reason_broke_off() {
    for (vendor, events) in [
        (
            Vendor::Anthropic,
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"{}\"}}\n\n",
        ),
        (
            Vendor::OpenAi,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"{}\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n",
        ),
        (
            Vendor::Google,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"{}\"}]}}]}\n\n",
        ),
    ] {
        let mut config = ModelConfig::new(vendor, "claude-sonnet-4-5", "key".into());
        config.base_url = ends_early(events);
        let (answer, call) = ask(&GenaiPlanner::new(config).unwrap()).await;
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, ModelError::Unreachable { reason } if reason.contains("before its end")),
            "{vendor:?}: {error:?}"
        );
        assert_eq!(call.outcome, CallOutcome::Unreachable);
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
        ask(&planner).await.0.unwrap();
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
    for way in ways() {
        let (answer, call) = ask(&planner(&model, way, "hush-hush")).await;
        let error = answer.unwrap_err();
        assert_eq!(call.outcome, CallOutcome::Refused);
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
    for (way, status) in ways().flat_map(|way| [(way, 429), (way, 529), (way, 503)]) {
        let busy = FailureKind::Status {
            status,
            retry_after_seconds: Some(7),
        };
        let plan = PlanAnswer::json(good()).fail(1, busy);
        let model = ScriptedModel::start(Scenario::new().plan([plan]), "key").unwrap();
        let (answer, call) = ask(&planner(&model, way, "key")).await;
        let error = answer.unwrap_err();
        assert_eq!(call.outcome, CallOutcome::Busy);
        let ModelError::Busy { retry_after, .. } = error else {
            panic!("{way:?}: {error}")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)), "{way:?}");
    }
}

#[test]
fn what_google_thought_before_it_was_cut_is_counted() {
    let mut counted = genai::chat::Usage {
        prompt_tokens: Some(10),
        ..Default::default()
    };
    counted.completion_tokens_details = Some(genai::chat::CompletionTokensDetails {
        reasoning_tokens: Some(90),
        ..Default::default()
    });
    let price = price_of("gemini-2.5-flash").unwrap();
    assert_eq!(usage(&counted, &price).output_tokens, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_may_be_mended_by_waiting() {
    let model = ScriptedModel::start(Scenario::new(), "key").unwrap();
    let planners = ways()
        .map(|way| planner(&model, way, "key"))
        .collect::<Vec<_>>();
    drop(model);
    for planner in planners {
        let (answer, _) = ask(&planner).await;
        let error = answer.unwrap_err();
        assert!(matches!(error, ModelError::Unreachable { .. }), "{error}");
        assert!(
            error.to_string().to_lowercase().contains("connect"),
            "{error}"
        );
    }
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
    let planner = planner(&model, (Vendor::Anthropic, true), "key").at_pace(pace);
    let held = tokio::time::timeout(Duration::from_millis(300), ask(&planner)).await;
    assert!(held.is_err() && model.requests().is_empty());
}
