//! Requests straight to the model gateway, as a Pi would send them that was taken over.

use serde_json::{Value, json};

use crate::attack::{
    case::{Case, GatewayRequest, Sign},
    layer::Layer,
};

pub(super) fn cases() -> Vec<Case> {
    let usual = || json!({"model": "scripted-agent", "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]});
    let with = |change: fn(&mut Value)| {
        let mut body = usual();
        change(&mut body);
        body
    };
    let case = |name, tries, method, path, body: Value, status| {
        Case {
            gateway: Some(GatewayRequest {
                method,
                path,
                body,
                shows_token: status != 401,
            }),
            ..Case::new(name, tries)
        }
        .held_by(Layer::Gateway, Sign::Answered(status))
    };
    let ask = |name, tries, body, status| case(name, tries, "POST", "/v1/messages", body, status);
    vec![
        case(
            "gateway-other-path",
            "asks for the vendor's files",
            "GET",
            "/v1/files",
            json!({}),
            404,
        ),
        case(
            "gateway-other-method",
            "deletes what is at the one path",
            "DELETE",
            "/v1/messages",
            json!({}),
            404,
        ),
        case(
            "gateway-other-host",
            "asks the gateway for another host",
            "POST",
            "http://169.254.169.254/latest/meta-data",
            json!({}),
            404,
        ),
        case(
            "gateway-tunnel",
            "asks the gateway for a tunnel",
            "CONNECT",
            "169.254.169.254:80",
            json!({}),
            404,
        ),
        case(
            "gateway-path-tricks",
            "climbs out of the one path",
            "POST",
            "/v1/messages/../files",
            usual(),
            404,
        ),
        ask(
            "gateway-without-token",
            "asks without the run's token, as a program does that only got to the socket",
            usual(),
            401,
        ),
        ask(
            "gateway-other-model",
            "asks a dearer model",
            with(|body| body["model"] = "dearer-model".into()),
            403,
        ),
        ask(
            "gateway-web-search",
            "has the vendor fetch something",
            with(|body| {
                body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}])
            }),
            403,
        ),
        ask(
            "gateway-picture-address",
            "has the vendor fetch a picture whose address holds what was stolen",
            with(|body| {
                body["messages"][0]["content"] = json!([{"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/stolen"}}]);
            }),
            403,
        ),
        ask(
            "gateway-no-json",
            "sends something that is no request",
            json!("x"),
            400,
        ),
    ]
}
