//! A starter for tests: it gives the answers that it was told, one after the other, and keeps what it was asked.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
};

use serde_json::Value;

/// What was asked: method and path, and the body if it was JSON.
pub type Asked = (String, Value);

/// The server. It stops after its last answer.
pub struct TestServer {
    pub url: String,
    server: JoinHandle<Vec<Asked>>,
}

impl TestServer {
    /// Starts one that gives these answers: a status and a body each.
    pub fn start(answers: Vec<(u16, Value)>) -> Self {
        Self::start_with_revision("", answers)
    }

    /// The same, with what a gate asks about in each answer's header.
    pub fn start_with_revision(revision: &str, answers: Vec<(u16, Value)>) -> Self {
        let revision = revision.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let stream = listener.accept().unwrap().0;
                match answer(&stream, status, &revision, &body) {
                    Some(question) => asked.push(question),
                    None => break,
                }
            }
            asked
        });
        Self { url, server }
    }

    /// What was asked until now. A server that still waits for more stops.
    pub fn asked(self) -> Vec<Asked> {
        // A connection without a question; where nobody waits any more it is refused.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        self.server.join().unwrap()
    }
}

fn answer(stream: &TcpStream, status: u16, revision: &str, body: &Value) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap() == 0 {
        return None;
    }
    let what: Vec<&str> = line.split(' ').take(2).collect();
    let what = what.join(" ");
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut sent = vec![0; length];
    reader.read_exact(&mut sent).unwrap();
    let body = body.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nX-Sallyport-Revision: {revision}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    Some((what, serde_json::from_slice(&sent).unwrap_or_default()))
}
