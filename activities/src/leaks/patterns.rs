//! How well-known secrets look, by what their makers document, and what stands where a secret is expected.
//!
//! Two kinds of patterns. What is told by its form alone counts wherever it stands. What is only told by the name
//! before it, as in `password = "..."`, counts if it looks random: see [`looks_random`].

use std::sync::LazyLock;

use regex::bytes::Regex;

/// Secrets that are told by their form: what it is, in words that finish "holds ...", and the form.
const FORMS: [(&str, &str); 18] = [
    (
        "an AWS access key id",
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    ),
    (
        "a GitHub token",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    ),
    (
        "a GitLab token",
        r"\bgl(?:pat|ptt|dt|rt|cbt|agent|soat)-[A-Za-z0-9_-]{20,}",
    ),
    (
        "a Slack token",
        r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}|\bxapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}",
    ),
    (
        "a Slack webhook",
        r"\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/[A-Za-z0-9_-]{16,}",
    ),
    ("an Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    (
        "an OpenAI key",
        r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}\b",
    ),
    ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("a Google client secret", r"\bGOCSPX-[A-Za-z0-9_-]{28}"),
    ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    ("a crates.io token", r"\bcio[A-Za-z0-9]{32}\b"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{34}\b"),
    (
        "a SendGrid key",
        r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    ),
    (
        "a signed JSON Web Token",
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    ),
    ("a token of Sallyport", r"\bsp_[0-9a-f]{64}\b"),
    // With a first line of its content, as it is or inside a string: the header alone stands in much code that reads keys.
    (
        "a private key",
        r#"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[\s"'+,])*(?:[A-Za-z-]+: [^\r\n]*(?:\\[nr]|[\s"'+,])*)*[A-Za-z0-9+/]{16}"#,
    ),
];

/// Names of what is secret.
const NAMES: &str = "(?:secret|token|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?key|credential)";

/// The shortest value after such a name that is looked at, in bytes.
const SHORTEST_VALUE: usize = 20;

static BY_FORM: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    FORMS
        .iter()
        .map(|(what, form)| (*what, compiled(form)))
        .collect()
});

/// `name = "value"`, `"name": 'value'`, `name => value` and the like; and, without quotes, a line of its own as in `.env`
/// and YAML. Code that only calls something has brackets or dots there, which no value may hold.
static BY_NAME: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    let value = format!("[A-Za-z0-9+/=_~!@#$%^&*-]{{{SHORTEST_VALUE},}}");
    [
        format!(
            r#"(?i){NAMES}[a-z0-9_.-]*["'`]?\]?\s*(?::=|=>|=|:)\s*["'`]({value})["'`]"#
        ),
        format!(
            r"(?im)^[ \t]*(?:-[ \t]+)?(?:export[ \t]+)?[a-z0-9_.-]*{NAMES}[a-z0-9_.-]*[ \t]*[=:][ \t]*({value})[ \t]*\r?$"
        ),
    ]
    .map(|form| compiled(&form))
});

/// Bytes and not letters: what is looked at may be anything.
fn compiled(form: &str) -> Regex {
    Regex::new(&format!("(?-u){form}"))
        .expect("the forms are written here, and a test compiles them")
}

/// Where in `content` something looks like a secret, and what it is; in no order, and the same place may come twice.
pub(super) fn find(content: &[u8]) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let by_form = BY_FORM.iter().flat_map(|(what, form)| {
        form.find_iter(content)
            .map(|found| (*what, found.range()))
            .collect::<Vec<_>>()
    });
    let by_name = BY_NAME.iter().flat_map(|form| {
        form.captures_iter(content)
            .filter_map(|found| found.get(1))
            .filter(|value| looks_random(value.as_bytes()))
            .map(|value| ("what looks like a secret", value.range()))
            .collect::<Vec<_>>()
    });
    by_form.chain(by_name).collect()
}

/// Whether `value` looks drawn and not written: by its entropy in bits per byte, as its own letters' frequencies give it.
/// Hexadecimal digits can have 4 at most. Words have hardly any digits among their letters.
fn looks_random(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    if digits < 2 || letters < 2 {
        return false;
    }
    let is_hexadecimal = value.iter().all(u8::is_ascii_hexdigit);
    entropy(value) >= if is_hexadecimal { 3.0 } else { 3.7 }
}

/// Shannon's entropy, in bits per byte.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&'static str> {
        let mut found: Vec<_> = find(text.as_bytes())
            .into_iter()
            .map(|(what, _)| what)
            .collect();
        found.dedup();
        found
    }

    /// Random letters and digits, always the same. No whole secret stands in this file: scanners would find it.
    fn random(length: usize) -> String {
        "q7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5aXe1UoQiWkM0uTzVyrSbCnEdFgHjIlOPA"
            .chars()
            .cycle()
            .take(length)
            .collect()
    }

    #[test]
    fn each_known_form_is_found() {
        let r = random;
        let upper = r(62).to_uppercase().replace(['0', '1', '8', '9'], "A");
        let key = "PRIVATE KEY";
        let secrets = [
            ("an AWS access key id", format!("AKIA{}", &upper[..16])),
            ("a GitHub token", format!("ghp_{}", r(36))),
            ("a GitHub token", format!("github_pat_{}_{}", r(22), r(59))),
            ("a GitLab token", format!("glpat-{}", r(20))),
            ("a Slack token", format!("xoxb-12345678901-{}", r(24))),
            (
                "a Slack webhook",
                format!("https://hooks.slack.com/services/T0001/B0001/{}", r(24)),
            ),
            ("an Anthropic key", format!("sk-ant-api03-{}", r(60))),
            ("an OpenAI key", format!("sk-proj-{}", r(48))),
            ("an OpenAI key", format!("sk-{}T3BlbkFJ{}", r(20), r(20))),
            ("a Google API key", format!("AIza{}", r(35))),
            ("a Google client secret", format!("GOCSPX-{}", r(28))),
            ("a Stripe key", format!("sk_live_{}", r(24))),
            ("an npm token", format!("npm_{}", r(36))),
            ("a PyPI token", format!("pypi-AgE{}", r(60))),
            ("a crates.io token", format!("cio{}", r(32))),
            ("a Hugging Face token", format!("hf_{}", r(34))),
            ("a SendGrid key", format!("SG.{}.{}", r(22), r(43))),
            (
                "a signed JSON Web Token",
                format!("eyJ{}.eyJ{}.{}", r(20), r(30), r(43)),
            ),
            (
                "a token of Sallyport",
                format!("sp_{}", "0123456789abcdef".repeat(4)),
            ),
            (
                "a private key",
                format!("-----BEGIN RSA {key}-----\nMIIEow{}\n", r(40)),
            ),
            (
                "a private key",
                format!("\"-----BEGIN {key}-----\\nMIIEow{}\\n\"", r(40)),
            ),
            (
                "a private key",
                format!(
                    "-----BEGIN RSA {key}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0\n\n{}",
                    r(64)
                ),
            ),
        ];
        for (what, secret) in secrets {
            assert_eq!(
                found(&format!("let x = f('{secret}');")),
                [what],
                "{secret}"
            );
        }
    }

    #[test]
    fn what_stands_after_a_name_counts_if_it_looks_random() {
        let value = random(24);
        for line in [
            format!("password = \"{value}\""),
            format!("  \"apiKey\": \"{value}\","),
            format!("const SECRET_TOKEN = '{value}';"),
            format!("config['api_key'] = `{value}`"),
            format!("DB_PASSWORD={value}"),
            format!("export AUTH_TOKEN={value}\r"),
            format!("  client_secret: {value}"),
            format!(":token => \"{value}\""),
            "secret = \"9f86d081884c7d659a2feaa0c55ad015\"".to_owned(),
        ] {
            let text = format!("first\n{line}\nlast");
            assert_eq!(found(&text), ["what looks like a secret"], "{line}");
        }
        for harmless in [
            "password = \"correct horse battery staple\"",
            "password = \"aaaaaaaaaaaaaaaaaaaaaaaaaa11\"",
            "token = \"replace-this-with-your-token\"",
            "const token = readTokenFromRequestHeader2(request);",
            "tokenName: 'authorizationTokenOfTheRequest'",
            "let secret = process.env.APPLICATION_SECRET_2;",
            "PASSWORD=$DATABASE_PASSWORD_OF_STAGE_2",
            "integrity: sha512-q7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5aXe1UoQiWkM0uTz",
            "tokens: 123456789012345678901234",
            "if text.starts_with(\"-----BEGIN CERTIFICATE-----\")",
            "sk-learn-and-many-other-words-follow-here",
            "",
        ] {
            assert_eq!(found(harmless), Vec::<&str>::new(), "{harmless}");
        }
    }

    #[test]
    fn entropy_is_shannons() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert!((entropy(b"abab") - 1.0).abs() < 1e-9);
        assert!((entropy(b"0123456789abcdef") - 4.0).abs() < 1e-9);
    }
}
