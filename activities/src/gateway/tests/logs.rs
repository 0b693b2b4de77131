//! What the log says of a request: its sizes and its cost, and nothing of what was said.

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn sizes_and_cost_are_logged_once_for_each_request_and_content_never() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    // The test has one thread, so what the gateway's tasks say is heard too.
    let _heard = tracing::subscriber::set_default(subscriber);
    let said = STREAM.replace("hi", "the-answer");
    let answer = Reply::Status(200, None, said.clone());
    let refusal = Reply::Status(400, None, "no".to_owned());
    let cut = Reply::Stream("data: {}\n\n");
    let scene = scene(Vendor::Anthropic, plenty(), [answer, refusal, cut]).await;
    let mut asked = question();
    asked["messages"][0]["content"] = "the-question".into();
    for _ in 0..3 {
        let answer = scene.post("/v1/messages", asked.clone()).await;
        answer.text().await.unwrap();
    }
    scene.gateway.finish().await;

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let counted: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone())
        .filter(|fields| fields["message"] == "a request to the model is counted")
        .collect();
    let numbers = |key: &str| -> Vec<u64> {
        let numbers = counted.iter().map(|fields| fields[key].as_u64().unwrap());
        numbers.collect()
    };
    let size = asked.to_string().len() as u64;
    assert_eq!(numbers("request_bytes"), [size; 3]);
    assert_eq!(numbers("answer_bytes"), [said.len() as u64, 0, 10]);
    assert_eq!(numbers("output_tokens"), [50, 0, 100]);
    assert_eq!(numbers("cost_micro_usd")[..2], [2400 + 750 + 60, 0]);
    assert!(counted.iter().all(|fields| fields["run"].is_string()));
    for secret in ["the-question", "the-answer", KEY] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
