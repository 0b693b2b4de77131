//! The ports of a local installation.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use crate::exit::{Exit, Problem};

/// How long a port may still be held by a `sallyport dev` that was killed.
const RELEASE: Duration = Duration::from_secs(3);

/// A port on 127.0.0.1 that is ours. It is held until the program that uses it starts, so that nobody takes it in
/// between.
#[derive(Debug)]
pub struct Port {
    number: u16,
    holder: Option<TcpListener>,
}

impl Port {
    /// Takes the port `asked`, or any free one for 0. `what` is who needs it, and `flag` chooses another.
    pub async fn take(
        asked: u16,
        what: &str,
        flag: &str,
        after_a_crash: bool,
    ) -> Result<Self, Problem> {
        let deadline = Instant::now()
            + if after_a_crash {
                RELEASE
            } else {
                Duration::ZERO
            };
        loop {
            match bind(asked) {
                Ok(holder) => {
                    let number = holder
                        .local_addr()
                        .map_err(|error| {
                            Problem::new(
                                Exit::Failed,
                                format!("cannot read the port of {what}: {error}"),
                            )
                        })?
                        .port();
                    return Ok(Self {
                        number,
                        holder: Some(holder),
                    });
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => {
                    return Err(Problem::new(
                        Exit::Failed,
                        format!("cannot use port {asked} on 127.0.0.1 for {what}: {error}"),
                    )
                    .hint(format!(
                        "choose another with `{flag} PORT`, or any free one with `{flag} 0`"
                    )));
                }
            }
        }
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Lets the program that needs it have it.
    pub fn release(&mut self) -> u16 {
        self.holder = None;
        self.number
    }
}

/// Binds the port `asked`, or for 0 any free one below those that the kernel hands out: Temporal's server asks the kernel
/// for some of its own, and must not be given ours between our letting go and the start of who needs it.
fn bind(asked: u16) -> std::io::Result<TcpListener> {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    if asked != 0 {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, asked));
    }
    let start = RandomState::new().build_hasher().finish() % u64::from(COUNT);
    let ports = (0..COUNT).map(|step| FIRST + (start as u16 + step) % COUNT);
    let mut last = std::io::Error::from(ErrorKind::AddrInUse);
    for port in ports {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told_with_the_flag_that_chooses_another() {
        let mut mine = Port::take(0, "the test", "--test-port", false)
            .await
            .unwrap();
        let number = mine.number();
        assert_ne!(number, 0);
        let problem = Port::take(number, "Temporal", "--temporal-port", false)
            .await
            .unwrap_err();
        assert!(problem.message.contains(&number.to_string()), "{problem}");
        assert!(problem.hint.unwrap().contains("--temporal-port"));
        mine.release();
        assert_eq!(
            Port::take(number, "Temporal", "--temporal-port", false)
                .await
                .unwrap()
                .number(),
            number
        );
    }
}
