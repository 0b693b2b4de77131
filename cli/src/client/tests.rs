use super::*;

fn client() -> Client {
    Client::new(Instance {
        url: "http://127.0.0.1:1/base/".into(),
        token: "t".into(),
    })
    .unwrap()
}

#[test]
fn the_exit_code_says_what_kind_of_failure_it_was() {
    let base = Url::parse("http://127.0.0.1:1").unwrap();
    for (status, exit) in [
        (400, Exit::Usage),
        (401, Exit::Failed),
        (403, Exit::Failed),
        (404, Exit::NotFound),
        (409, Exit::Conflict),
        (422, Exit::Usage),
        (500, Exit::Failed),
        (503, Exit::Unreachable),
    ] {
        let body = br#"{"title":"x","code":"x","detail":"the reason"}"#;
        let problem = refusal(StatusCode::from_u16(status).unwrap(), body, &base);
        assert_eq!(
            (problem.exit, problem.message.as_str()),
            (exit, "the reason"),
            "{status}"
        );
    }
    for (code, hint) in [
        ("not_found", "sallyport list"),
        ("not_there_yet", "sallyport status"),
    ] {
        let body = format!(r#"{{"code":"{code}","detail":"the reason"}}"#);
        let problem = refusal(StatusCode::NOT_FOUND, body.as_bytes(), &base);
        assert!(problem.hint.unwrap().contains(hint), "{code}");
    }
    let odd = refusal(StatusCode::BAD_GATEWAY, b"<html>", &base);
    assert!(odd.message.contains("502"), "{odd}");
}

#[test]
fn an_id_stays_one_part_of_the_path() {
    let url = client().url(&["workflows", "a/../b?c#d", "spec"]);
    assert_eq!(
        url.as_str(),
        "http://127.0.0.1:1/base/workflows/a%2F..%2Fb%3Fc%23d/spec"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let client = Client::new(Instance {
        url: format!("http://{closed}"),
        token: "t".into(),
    })
    .unwrap();
    let problem = client.view("FL-1").await.unwrap_err();
    assert_eq!(problem.exit, Exit::Unreachable);
    assert!(
        problem.message.contains(&closed.port().to_string()),
        "{problem}"
    );
}

/// Reads one request and returns its body.
fn take_request(stream: &mut std::net::TcpStream) -> serde_json::Value {
    use std::io::Read as _;
    let mut received = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).unwrap();
        received.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&received);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return body;
        }
    }
}

#[tokio::test]
async fn a_decision_that_may_not_have_arrived_is_sent_again_under_the_same_id() {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        // The first connection is cut after the request, the second one answers.
        let first = take_request(&mut listener.accept().unwrap().0);
        let (mut stream, _) = listener.accept().unwrap();
        let second = take_request(&mut stream);
        let body = r#"{"pending":true}"#;
        write!(
            stream,
            "HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        (first, second)
    });
    let client = Client::new(Instance {
        url,
        token: "t".into(),
    })
    .unwrap();
    let decision = DecisionRequest {
        id: Uuid::from_u128(7),
        revision: "0123abcd".into(),
        decision: sallyport_workflows::decision::Verdict::Approve,
        comments: None,
    };
    let sent = client.decide(Uuid::from_u128(1), &decision).await.unwrap();
    assert_eq!(sent, Sent::Pending);
    let (first, second) = server.join().unwrap();
    assert_eq!(first, second);
    assert_eq!(first["id"], decision.id.to_string());
}

#[test]
fn what_is_no_address_is_refused() {
    let instance = Instance {
        url: "file:///etc".into(),
        token: "t".into(),
    };
    assert_eq!(Client::new(instance).unwrap_err().exit, Exit::Usage);
}
