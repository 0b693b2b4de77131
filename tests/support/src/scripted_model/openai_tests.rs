use super::super::scenario::{ToolCall, Usage};
use super::*;

fn read(request: &Value) -> Result<Conversation, Refusal> {
    OpenAi.read(
        &Uri::default(),
        &HeaderMap::new(),
        request.to_string().as_bytes(),
    )
}

fn request(messages: Value) -> Value {
    json!({ "model": "m", "messages": messages })
}

fn an_answer() -> Answer {
    Answer {
        seed: "s".into(),
        model: "m".into(),
        text: "I read the file, then I change it.".into(),
        tools: vec![
            ToolCall {
                name: "read".into(),
                arguments: json!({ "path": "größer.js" }),
            },
            ToolCall {
                name: "bash".into(),
                arguments: json!({ "command": "node --test" }),
            },
        ],
        usage: Usage {
            input: 100,
            output: 20,
            cached: 40,
        },
        include_usage: true,
        end: End::Whole,
    }
}

fn chunks(answer: &Answer) -> Vec<Value> {
    let mut events = OpenAi.events(answer);
    assert_eq!(events.pop().unwrap(), "data: [DONE]\n\n");
    events
        .iter()
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[test]
fn a_session_with_tool_results_is_read_message_by_message() {
    let mut session = request(json!([
        { "role": "developer", "content": "sys" },
        { "role": "user", "content": [{ "type": "text", "text": "go" }] },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "bash", "arguments": "{}" } },
            { "id": "c2", "type": "function", "function": { "name": "bash", "arguments": "{}" } },
        ] },
        { "role": "tool", "tool_call_id": "c2", "content": "two" },
        { "role": "tool", "tool_call_id": "c1", "content": "one" },
        { "role": "user", "content": "You were interrupted." },
    ]));
    session["stream"] = json!(true);
    session["stream_options"] = json!({ "include_usage": true });
    let read = read(&session).unwrap();
    assert!(read.stream && read.include_usage && !read.offers_tools);
    assert_eq!(
        read.messages,
        [
            Message::System("sys".into()),
            Message::Prompt("go".into()),
            Message::Assistant(String::new()),
            Message::ToolResults,
            Message::ToolResults,
            Message::Prompt("You were interrupted.".into()),
        ]
    );
}

#[test]
fn requests_that_the_service_would_refuse_are_refused() {
    let call = json!({ "role": "assistant", "tool_calls": [{ "id": "c1" }] });
    let go = json!({ "role": "user", "content": "go" });
    let with = |key: &str, value: Value| {
        let mut request = request(json!([go]));
        request[key] = value;
        request
    };
    let schema = |name: &str, schema: Value| {
        let described = json!({ "name": name, "strict": true, "schema": schema });
        with(
            "response_format",
            json!({ "type": "json_schema", "json_schema": described }),
        )
    };
    for (request, words) in [
        (
            json!({ "messages": [] }),
            "Missing required parameter: 'model'.",
        ),
        (
            json!({ "model": "m" }),
            "Missing required parameter: 'messages'.",
        ),
        (request(json!([])), "empty array"),
        (
            request(json!([{ "role": "robot" }])),
            "Invalid value: 'robot'",
        ),
        (
            request(json!([go, call])),
            "did not have response messages: c1",
        ),
        (
            request(json!([go, call, go])),
            "did not have response messages: c1",
        ),
        (
            request(json!([{ "role": "tool", "tool_call_id": "c9" }])),
            "must be a response",
        ),
        (
            with("stream_options", json!({})),
            "only allowed when 'stream' is enabled",
        ),
        (schema("no good", json!({})), "does not match pattern"),
        (
            schema("spec", json!({ "type": "object" })),
            "Invalid schema for response_format 'spec'",
        ),
    ] {
        let (status, body) = OpenAi.error(&read(&request).unwrap_err());
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!(status, 400);
        assert!(message.contains(words), "{message}");
    }
    let (_, body) = OpenAi.error(
        &OpenAi
            .read(&Uri::default(), &HeaderMap::new(), b"{")
            .unwrap_err(),
    );
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("We could not parse the JSON body")
    );
}

#[test]
fn the_stream_adds_up_to_the_document() {
    let answer = an_answer();
    let document = OpenAi.document(&answer);
    let chunks = chunks(&answer);
    let deltas: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta"))
        .collect();
    let text: String = deltas
        .iter()
        .filter_map(|delta| delta["content"].as_str())
        .collect();
    let message = &document["choices"][0]["message"];
    assert_eq!(message["content"], text);
    for place in 0..2 {
        let calls: Vec<&Value> = deltas
            .iter()
            .filter_map(|delta| delta.pointer("/tool_calls/0"))
            .filter(|call| call["index"] == place)
            .collect();
        let arguments: String = calls
            .iter()
            .filter_map(|call| call["function"]["arguments"].as_str())
            .collect();
        assert_eq!(
            message["tool_calls"][place]["function"]["arguments"],
            arguments
        );
        assert_eq!(message["tool_calls"][place]["id"], calls[0]["id"]);
    }
    let (last, rest) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], document["usage"]);
    assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 40);
    assert!(rest.iter().all(|chunk| chunk["usage"].is_null()));
    assert_eq!(
        rest.last().unwrap()["choices"][0]["finish_reason"],
        "tool_calls"
    );
}

#[test]
fn token_counts_come_in_a_stream_only_when_asked_for() {
    let answer = Answer {
        include_usage: false,
        ..an_answer()
    };
    let chunks = chunks(&answer);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.get("usage").is_none() && chunk["choices"][0].is_object())
    );
}

#[test]
fn errors_have_the_service_s_types_and_hide_the_key() {
    for (refusal, status, kind, code) in [
        (
            Refusal::WrongKey(Some("sk-secret-secret-1234".into())),
            401,
            "invalid_request_error",
            "invalid_api_key",
        ),
        (
            Refusal::UnknownModel("x".into()),
            404,
            "invalid_request_error",
            "model_not_found",
        ),
        (
            Refusal::Scripted {
                status: 429,
                retry_after_seconds: None,
            },
            429,
            "requests",
            "rate_limit_exceeded",
        ),
    ] {
        let (answered, body) = OpenAi.error(&refusal);
        let error = &body["error"];
        assert_eq!(
            (answered, &error["type"], &error["code"]),
            (status, &json!(kind), &json!(code))
        );
        assert!(!error["message"].as_str().unwrap().contains("secret"));
    }
    let (_, body) = OpenAi.error(&Refusal::Scripted {
        status: 500,
        retry_after_seconds: None,
    });
    assert_eq!(body["error"]["type"], "server_error");
}
