use super::super::scenario::{ToolCall, Usage};
use super::*;

const STREAM: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";

fn read(at: &str, request: &Value) -> Result<Conversation, Refusal> {
    let uri: Uri = at.parse().unwrap();
    Google.read(&uri, &HeaderMap::new(), request.to_string().as_bytes())
}

fn an_answer() -> Answer {
    Answer {
        seed: "s".into(),
        model: "m".into(),
        text: "I read the file, then I change it.".into(),
        tools: ["read", "bash"]
            .map(|name| ToolCall {
                name: name.into(),
                arguments: json!({ "path": "größer.js" }),
            })
            .into(),
        usage: Usage {
            input: 100,
            output: 20,
            cached: 40,
        },
        include_usage: true,
        end: End::Whole,
    }
}

fn said(role: &str, parts: Value) -> Value {
    json!({ "role": role, "parts": parts })
}

fn call(name: &str) -> Value {
    json!({ "functionCall": { "name": name, "args": {} }, "thoughtSignature": "c2ln" })
}

fn result(name: &str) -> Value {
    json!({ "functionResponse": { "name": name, "response": { "output": "x" } } })
}

#[test]
fn a_session_with_tool_results_is_read_content_by_content() {
    let session = json!({
        "systemInstruction": { "parts": [{ "text": "sys" }] },
        "tools": [{ "functionDeclarations": [{ "name": "bash" }] }],
        "contents": [
            said("user", json!([{ "text": "go" }])),
            said("model", json!([{ "text": "hm", "thought": true }, { "text": "Yes." }, call("a"), call("b")])),
            said("user", json!([result("b"), result("a")])),
            said("user", json!([{ "text": "You were interrupted." }])),
        ],
    });
    let read = read(STREAM, &session).unwrap();
    assert!(read.stream && read.offers_tools);
    assert_eq!(read.model, "m");
    assert_eq!(
        read.messages,
        [
            Message::System("sys".into()),
            Message::Prompt("go".into()),
            Message::Assistant("Yes.".into()),
            Message::ToolResults,
            Message::Prompt("You were interrupted.".into()),
        ]
    );
}

#[test]
fn requests_that_the_service_would_refuse_are_refused() {
    let go = said("user", json!([{ "text": "go" }]));
    let contents = |contents: Value| json!({ "contents": contents });
    let with = |key: &str, value: Value| json!({ "contents": [go], key: value });
    let unsigned = json!({ "functionCall": { "name": "a", "args": {} } });
    for (request, words) in [
        (json!({}), "contents is not specified"),
        (contents(json!([])), "contents is not specified"),
        (
            contents(json!([said("user", json!([]))])),
            "parts must not be empty",
        ),
        (
            contents(json!([said("robot", json!([{ "text": "x" }]))])),
            "valid role",
        ),
        (
            contents(json!([said("model", json!([{ "text": "x" }]))])),
            "after a user turn",
        ),
        (
            contents(json!([go, said("model", json!([call("a")]))])),
            "end with a user role",
        ),
        (
            contents(json!([go, said("model", json!([call("a")])), go])),
            "number of function response",
        ),
        (
            contents(json!([
                go,
                said("model", json!([call("a")])),
                said("user", json!([result("b")]))
            ])),
            "number of function response",
        ),
        (
            contents(json!([said("user", json!([result("a")]))])),
            "number of function response",
        ),
        (
            contents(json!([go, said("model", json!([unsigned])), go])),
            "missing a thought_signature",
        ),
        (
            with("model", json!("m")),
            "Unknown name \"model\": Cannot find",
        ),
        (
            with("generationConfig", json!({ "max": 1 })),
            "\"max\" at 'generation_config'",
        ),
        (
            with("generationConfig", json!({ "maxOutputTokens": 0 })),
            "must be positive",
        ),
        (
            with("generationConfig", json!({ "responseJsonSchema": {} })),
            "application/json",
        ),
        (
            with("tools", json!([{ "functionDeclarations": [{}] }])),
            "Invalid function name",
        ),
        (
            with("tools", json!([{ "browse": {} }])),
            "\"browse\" at 'tools[0]'",
        ),
    ] {
        let refusal = match read(STREAM, &request) {
            Err(refusal) => refusal,
            Ok(_) => panic!("{request} was taken"),
        };
        let (status, body) = Google.error(&refusal);
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!(
            (status, &body["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT"))
        );
        assert!(message.contains(words), "{message}");
    }
    assert!(
        read(
            "/v1beta/models/m:streamGenerateContent",
            &contents(json!([go]))
        )
        .is_err()
    );
    assert!(
        !read("/v1beta/models/m:generateContent", &contents(json!([go])))
            .unwrap()
            .stream
    );
    for other in [
        "/v1/models/m:generateContent",
        "/v1beta/models/m:countTokens",
        "/v1beta/models/a/m:generateContent",
    ] {
        assert!(!Google.serves(other), "{other}");
    }
}

#[test]
fn the_stream_adds_up_to_the_document() {
    let answer = an_answer();
    let document = Google.document(&answer);
    let events: Vec<Value> = Google
        .events(&answer)
        .iter()
        .map(|event| {
            serde_json::from_str(event.strip_prefix("data: ").unwrap().trim_end()).unwrap()
        })
        .collect();
    let parts: Vec<&Value> = events
        .iter()
        .map(|event| &event["candidates"][0]["content"]["parts"][0])
        .collect();
    let text: String = parts
        .iter()
        .filter_map(|part| part["text"].as_str())
        .collect();
    let whole = &document["candidates"][0]["content"]["parts"];
    assert_eq!(whole[0]["text"], text);
    let calls: Vec<&&Value> = parts
        .iter()
        .filter(|part| part.get("functionCall").is_some())
        .collect();
    assert_eq!((*calls[0], *calls[1]), (&whole[1], &whole[2]));
    assert!(whole[1]["thoughtSignature"].is_string() && whole[2]["thoughtSignature"].is_null());
    let (last, rest) = events.split_last().unwrap();
    assert_eq!(last["usageMetadata"], document["usageMetadata"]);
    assert_eq!(last["usageMetadata"]["cachedContentTokenCount"], 40);
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert!(
        rest.iter()
            .all(|event| event["usageMetadata"]["candidatesTokenCount"].is_null())
    );
}

#[test]
fn errors_have_the_service_s_statuses_and_hints() {
    let (status, body) = Google.error(&Refusal::WrongKey(Some("secret".into())));
    assert_eq!(
        (status, &body["error"]["details"][0]["reason"]),
        (400, &json!("API_KEY_INVALID"))
    );
    assert!(!body.to_string().contains("secret"));
    let (status, body) = Google.error(&Refusal::Scripted {
        status: 429,
        retry_after_seconds: Some(7),
    });
    assert_eq!(
        (status, &body["error"]["status"]),
        (429, &json!("RESOURCE_EXHAUSTED"))
    );
    assert_eq!(body["error"]["details"][0]["retryDelay"], "7s");
    let (status, body) = Google.error(&Refusal::UnknownModel("x".into()));
    assert_eq!(
        (status, &body["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
}
