//! The scripted model against genai, the client that the planner uses, unchanged.

use futures::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatResponseFormat, ChatStreamEvent, JsonSpec,
};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use sallyport_test_support::scripted_model::{
    Cue, FailureKind, PlanAnswer, Scenario, ScriptedModel, Usage,
};
use serde_json::{Value, json};

const KEY: &str = "model-key";
const VENDORS: [AdapterKind; 3] = [
    AdapterKind::Anthropic,
    AdapterKind::OpenAI,
    AdapterKind::Gemini,
];

fn target(model: &ScriptedModel, vendor: AdapterKind, key: &str, name: &str) -> ServiceTarget {
    let version = match vendor {
        AdapterKind::Gemini => "v1beta",
        _ => "v1",
    };
    ServiceTarget {
        endpoint: Endpoint::from_owned(format!("{}/{version}/", model.base_url())),
        auth: AuthData::from_single(key.to_owned()),
        model: ModelIden::new(vendor, name.to_owned()),
    }
}

fn options() -> ChatOptions {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["title", "confidence"],
        "properties": { "title": { "type": "string" }, "confidence": { "type": "number" } },
    });
    ChatOptions::default()
        .with_response_format(ChatResponseFormat::JsonSpec(JsonSpec::new("spec", schema)))
        .with_max_tokens(500)
        .with_capture_usage(true)
        .with_capture_content(true)
}

fn request(words: &str) -> ChatRequest {
    ChatRequest::new(vec![
        ChatMessage::system("You plan."),
        ChatMessage::user(words),
    ])
}

fn plan(title: &str) -> Value {
    json!({ "title": title, "confidence": 0.9 })
}

fn counted(title: &str) -> PlanAnswer {
    PlanAnswer::json(plan(title)).usage(Usage {
        input: 1_000,
        output: 50,
        cached: 200,
    })
}

#[tokio::test]
async fn a_plan_comes_whole_and_as_a_stream_from_each_vendor() {
    for vendor in VENDORS {
        let model = ScriptedModel::start(
            Scenario::new().plan([counted("first"), counted("second")]),
            KEY,
        )
        .unwrap();
        let client = Client::new().unwrap();
        let target = target(&model, vendor, KEY, "model-1");
        let options = options();

        let whole = client
            .exec_chat(target.clone(), request("FL-1"), Some(&options))
            .await
            .unwrap();
        let said: Value = serde_json::from_str(whole.first_text().unwrap()).unwrap();
        assert_eq!(said, plan("first"), "{vendor:?}");
        let usage = whole.usage;
        let cached = usage
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens);
        assert_eq!(
            (usage.prompt_tokens, usage.completion_tokens, cached),
            (Some(1_000), Some(50), Some(200))
        );

        let mut parts = client
            .exec_chat_stream(target, request("FL-1, but smaller"), Some(&options))
            .await
            .unwrap()
            .stream;
        let (mut text, mut pieces, mut usage) = (String::new(), 0, None);
        while let Some(event) = parts.next().await {
            match event.unwrap() {
                ChatStreamEvent::Chunk(chunk) => {
                    text.push_str(&chunk.content);
                    pieces += 1;
                }
                ChatStreamEvent::End(end) => usage = end.captured_usage,
                _ => {}
            }
        }
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            plan("second"),
            "{vendor:?}"
        );
        assert!(pieces > 1, "{vendor:?}: the text came in {pieces} piece");
        let usage = usage.expect("the stream tells the token counts");
        assert_eq!(
            (usage.prompt_tokens, usage.completion_tokens),
            (Some(1_000), Some(50)),
            "{vendor:?}"
        );

        let requests = model.requests();
        let cues: Vec<_> = requests
            .iter()
            .map(|request| request.cue.unwrap())
            .collect();
        assert_eq!(
            cues,
            [
                Cue::Plan {
                    script: 0,
                    answer: 0
                },
                Cue::Plan {
                    script: 0,
                    answer: 1
                }
            ]
        );
        let key = match vendor {
            AdapterKind::Anthropic => &requests[0].headers["x-api-key"],
            AdapterKind::Gemini => &requests[0].headers["x-goog-api-key"],
            _ => requests[0].headers["authorization"]
                .strip_prefix("Bearer ")
                .unwrap(),
        };
        assert_eq!(key, KEY);
    }
}

#[tokio::test]
async fn the_client_sees_status_retry_after_and_the_vendor_s_words() {
    let busy = FailureKind::Status {
        status: 429,
        retry_after_seconds: Some(7),
    };
    let scenario = Scenario {
        models: vec!["model-1".into()],
        ..Scenario::new().plan([PlanAnswer::json(plan("only")).fail(1, busy)])
    };
    for vendor in VENDORS {
        let model = ScriptedModel::start(scenario.clone(), KEY).unwrap();
        let ask = async |key: &str, name: &str| {
            let options = options();
            let answer = Client::new()
                .unwrap()
                .exec_chat(
                    target(&model, vendor, key, name),
                    request("FL-1"),
                    Some(&options),
                )
                .await;
            answer
                .map(|answer| answer.first_text().unwrap().to_owned())
                .map_err(|error| format!("{error:?}"))
        };
        // Google has no status for a wrong key, and no header for a hint.
        let (wrong_key, hint) = match vendor {
            AdapterKind::Gemini => (400, r#"retryDelay\":\"7s"#),
            _ => (401, r#""retry-after": "7""#),
        };
        let refused = ask("wrong-key-wrong-key", "model-1").await.unwrap_err();
        assert!(
            refused.contains(&wrong_key.to_string()) && refused.contains("key"),
            "{refused}"
        );
        let unknown = ask(KEY, "model-9").await.unwrap_err();
        assert!(
            unknown.contains("404") && unknown.contains("model-9"),
            "{unknown}"
        );
        let busy = ask(KEY, "model-1").await.unwrap_err();
        assert!(busy.contains("429") && busy.contains(hint), "{busy}");
        let answered = ask(KEY, "model-1").await.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&answered).unwrap(),
            plan("only")
        );

        let statuses: Vec<_> = model
            .requests()
            .iter()
            .map(|request| request.status)
            .collect();
        assert_eq!(statuses, [Some(wrong_key), Some(404), Some(429), Some(200)]);
    }
}
