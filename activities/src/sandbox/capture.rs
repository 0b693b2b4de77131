//! Output of which only the beginning and the end are kept, however much there is.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Collects output within a fixed amount of memory.
#[derive(Debug)]
pub struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    total: u64,
}

/// What a program wrote, or the beginning and the end of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The text; what is no UTF-8 is replaced. Where bytes were left out, a line says how many.
    pub text: String,
    /// How many bytes there were in all.
    pub total_bytes: u64,
    /// Whether bytes were left out.
    pub truncated: bool,
}

impl Capture {
    /// Keeps the first `head_limit` and the last `tail_limit` bytes.
    pub fn new(head_limit: usize, tail_limit: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit,
            tail_limit,
            total: 0,
        }
    }

    /// Takes more output.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Reads until the other side closes, so that it never has to wait for somebody to read.
    pub async fn drain(mut self, source: Option<impl AsyncRead + Unpin>) -> Self {
        let Some(mut source) = source else {
            return self;
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match source.read(&mut buffer).await {
                Ok(0) | Err(_) => return self,
                Ok(count) => self.push(&buffer[..count]),
            }
        }
    }

    /// What there is by now.
    pub fn finish(mut self) -> Captured {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let omitted = self.total - kept;
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if omitted > 0 {
            text.push_str(&format!("\n[... {omitted} bytes left out ...]\n"));
            text.push_str(&String::from_utf8_lossy(self.tail.make_contiguous()));
        } else {
            // The two halves may share a character.
            self.head.extend(self.tail);
            text = String::from_utf8_lossy(&self.head).into_owned();
        }
        Captured {
            text,
            total_bytes: self.total,
            truncated: omitted > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(chunks: &[&[u8]]) -> Captured {
        let mut capture = Capture::new(4, 4);
        for chunk in chunks {
            capture.push(chunk);
        }
        capture.finish()
    }

    #[test]
    fn short_output_is_kept_whole() {
        let whole = Captured {
            text: "12345678".to_owned(),
            total_bytes: 8,
            truncated: false,
        };
        assert_eq!(capture(&[b"12345678"]), whole);
        assert_eq!(capture(&[b"12", b"345", b"678"]), whole);
        assert_eq!(
            capture(&["123ü5".as_bytes()]).text,
            "123ü5",
            "a character across the two halves"
        );
    }

    #[test]
    fn of_long_output_both_ends_are_kept() {
        let expected = "1234\n[... 3 bytes left out ...]\n8901";
        assert_eq!(capture(&[b"12345678901"]).text, expected);
        assert_eq!(capture(&[b"1", b"23456", b"7890", b"1"]).text, expected);
        let flood = capture(&[&[b'x'; 100_000][..], b"abcd"]);
        assert_eq!(
            (
                flood.text.ends_with("]\nabcd"),
                flood.total_bytes,
                flood.truncated
            ),
            (true, 100_004, true)
        );
    }
}
