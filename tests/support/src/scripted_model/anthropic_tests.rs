use super::super::scenario::{ToolCall, Usage};
use super::*;

fn headers() -> HeaderMap {
    HeaderMap::from_iter([(
        "anthropic-version".parse().unwrap(),
        "2023-06-01".parse().unwrap(),
    )])
}

fn read(request: &Value) -> Result<Conversation, Refusal> {
    Anthropic.read(&Uri::default(), &headers(), request.to_string().as_bytes())
}

fn request(messages: Value) -> Value {
    json!({ "model": "m", "max_tokens": 10, "messages": messages })
}

fn complaint(request: &Value) -> String {
    let (status, body) = Anthropic.error(&read(request).unwrap_err());
    assert_eq!(
        (status, &body["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    body["error"]["message"].as_str().unwrap().to_owned()
}

fn an_answer() -> Answer {
    Answer {
        seed: "s".into(),
        model: "m".into(),
        text: "I read the file, then I change it.".into(),
        tools: vec![ToolCall {
            name: "edit".into(),
            arguments: json!({ "path": "a.js", "edits": [{ "oldText": "größer", "newText": "kleiner" }] }),
        }],
        usage: Usage {
            input: 100,
            output: 20,
            cached: 40,
        },
        include_usage: true,
        end: End::Whole,
    }
}

#[test]
fn a_session_with_tool_results_is_read_message_by_message() {
    let mut session = request(json!([
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": [
            { "type": "text", "text": "Look." },
            { "type": "tool_use", "id": "t1", "name": "bash", "input": {} },
        ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "t1", "content": "go home" },
            { "type": "text", "text": "You were interrupted." },
        ] },
    ]));
    session["system"] = json!([{ "type": "text", "text": "sys" }]);
    session["tools"] = json!([{ "name": "bash", "input_schema": { "type": "object" } }]);
    session["stream"] = json!(true);
    let read = read(&session).unwrap();
    assert!(read.stream && read.offers_tools && read.output_schema.is_none());
    assert_eq!(
        read.messages,
        [
            Message::System("sys".into()),
            Message::Prompt("go".into()),
            Message::Assistant("Look.".into()),
            Message::ToolResults,
            Message::Prompt("You were interrupted.".into()),
        ]
    );
}

#[test]
fn requests_that_the_service_would_refuse_are_refused() {
    let call = json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "x", "input": {} }] });
    let go = json!({ "role": "user", "content": "go" });
    let mut no_limit = request(json!([go]));
    no_limit.as_object_mut().unwrap().remove("max_tokens");
    let mut open_schema = request(json!([go]));
    open_schema["output_config"] =
        json!({ "format": { "type": "json_schema", "schema": { "type": "object" } } });
    for (request, words) in [
        (json!({ "max_tokens": 1 }), "model: Field required"),
        (no_limit, "max_tokens: Field required"),
        (request(json!([])), "messages: at least one"),
        (request(json!([call])), "first message must use"),
        (
            request(json!([{ "role": "system", "content": "x" }])),
            "messages.0.role",
        ),
        (
            request(json!([go, call])),
            "without `tool_result` blocks immediately after: t1",
        ),
        (
            request(json!([go, call, go])),
            "without `tool_result` blocks immediately after: t1",
        ),
        (
            request(
                json!([{ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t9" }] }]),
            ),
            "unexpected `tool_use_id`",
        ),
        (
            request(json!([{ "role": "user", "content": "" }])),
            "must have non-empty content",
        ),
        (
            request(json!([{ "role": "user", "content": [{ "type": "text", "text": "" }] }])),
            "text content blocks must be non-empty",
        ),
        (
            open_schema,
            "output_config.format.schema: For 'object' type",
        ),
    ] {
        let message = complaint(&request);
        assert!(message.contains(words), "{message}");
    }
    assert!(matches!(
        Anthropic.read(&Uri::default(), &HeaderMap::new(), b"{}"),
        Err(Refusal::BadRequest { parameter: Some(name), .. }) if name == "anthropic-version"
    ));
}

#[test]
fn the_stream_adds_up_to_the_document() {
    let answer = an_answer();
    let document = Anthropic.document(&answer);
    let events: Vec<Value> = Anthropic
        .events(&answer)
        .iter()
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
            assert!(event.ends_with("\n\n"));
            data
        })
        .collect();
    let joined = |index: i32, key: &str| -> String {
        events
            .iter()
            .filter(|event| event["type"] == "content_block_delta" && event["index"] == index)
            .filter_map(|event| event["delta"][key].as_str())
            .collect()
    };
    assert_eq!(document["content"][0]["text"], joined(0, "text"));
    let arguments: Value = serde_json::from_str(&joined(1, "partial_json")).unwrap();
    assert_eq!(document["content"][1]["input"], arguments);
    let start = events.iter().find(|event| event["index"] == 1).unwrap();
    assert_eq!(start["content_block"]["id"], document["content"][1]["id"]);

    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 60);
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 40);
    let end = &events[events.len() - 2];
    assert_eq!(
        (&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]),
        (&json!("tool_use"), &json!(20))
    );
    assert_eq!(document["stop_reason"], "tool_use");
}

#[test]
fn errors_have_the_service_s_types() {
    for (refusal, status, kind) in [
        (Refusal::WrongKey(None), 401, "authentication_error"),
        (Refusal::UnknownModel("x".into()), 404, "not_found_error"),
        (
            Refusal::Scripted {
                status: 429,
                retry_after_seconds: None,
            },
            429,
            "rate_limit_error",
        ),
        (
            Refusal::Scripted {
                status: 529,
                retry_after_seconds: None,
            },
            529,
            "overloaded_error",
        ),
        (
            Refusal::Scripted {
                status: 500,
                retry_after_seconds: None,
            },
            500,
            "api_error",
        ),
    ] {
        let (code, body) = Anthropic.error(&refusal);
        assert_eq!(
            (code, &body["type"], &body["error"]["type"]),
            (status, &json!("error"), &json!(kind))
        );
        let request_id = body["request_id"].as_str().unwrap();
        assert!(
            !request_id.contains(|letter: char| letter.is_ascii_digit()),
            "{request_id}"
        );
    }
}
