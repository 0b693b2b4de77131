use std::collections::BTreeSet;

use super::*;

fn read(more: &str) -> ModelConfig {
    let text = format!(
        "vendor = 'anthropic'\nplanner_model = 'claude-sonnet-4-5'\nagent_model = 'claude-sonnet-4-5'\napi_key = 'k'\n\
         planner_temperature = 0.5\n{more}"
    );
    toml::from_str(&text).unwrap()
}

fn repository(url: &str, planner: Option<&str>) -> RepositoryConfig {
    RepositoryConfig {
        project: url.to_owned(),
        url: url.to_owned(),
        base_branch: None,
        planner: planner.map(str::to_owned),
    }
}

fn planners(more: &str, repositories: &[RepositoryConfig]) -> Result<Planners, PlannersError> {
    Planners::configured(&read(more), repositories, None)
}

const OPUS: &str = "[[planners]]\nname = 'opus'\nshare = 30\nmodel = 'claude-opus-4-1'\ntemperature = 0.1\ncontext_tokens = 9000\n\
                    answer_tokens = 5000\n";
const GPT: &str = "[[planners]]\nname = 'gpt'\nvendor = 'openai'\nmodel = 'gpt-5'\napi_key = 'o'\n";

#[test]
fn tickets_fall_to_planners_by_their_shares_and_stay_there() {
    let planners = planners(OPUS, &[]).unwrap();
    let key = |number: u32| TicketKey::first("flux-lens", format!("FL-{number}"));
    let chosen = |number| planners.choose(&key(number), "url", None);
    let opus = (0..2_000)
        .filter(|number| chosen(*number) == "opus")
        .count();
    assert!((540..=660).contains(&opus), "{opus} of 2,000");
    let second = TicketKey {
        attempt: 2,
        ..key(7)
    };
    assert_eq!(planners.choose(&second, "url", None), chosen(7));
    // Whoever planned it before goes on, unless it is gone.
    for before in ["opus", DEFAULT] {
        let all: BTreeSet<_> = (0..50)
            .map(|number| planners.choose(&key(number), "url", Some(before)))
            .collect();
        assert_eq!(all, BTreeSet::from([before]));
    }
    assert_eq!(planners.choose(&key(7), "url", Some("gone")), chosen(7));
}

#[test]
fn without_shares_all_is_the_default_s_and_a_hundred_leave_it_nothing() {
    let all = |planners: &Planners| -> BTreeSet<String> {
        (0..300)
            .map(|number| TicketKey::first("flux-lens", format!("FL-{number}")))
            .map(|key| planners.choose(&key, "url", None).to_owned())
            .collect()
    };
    assert_eq!(
        all(&planners(GPT, &[]).unwrap()),
        BTreeSet::from([DEFAULT.to_owned()])
    );
    let whole = OPUS.replace("30", "100");
    assert_eq!(
        all(&planners(&whole, &[]).unwrap()),
        BTreeSet::from(["opus".to_owned()])
    );
    let halves = format!("{}{GPT}share = 50\n", OPUS.replace("30", "50"));
    let both = ["gpt".to_owned(), "opus".to_owned()];
    assert_eq!(all(&planners(&halves, &[]).unwrap()), BTreeSet::from(both));
}

#[test]
fn a_repository_has_the_planner_that_it_names() {
    let repositories = [
        repository("one", Some("gpt")),
        repository("two", Some(DEFAULT)),
        repository("three", None),
    ];
    let planners = planners(
        &format!("{}{GPT}", OPUS.replace("30", "100")),
        &repositories,
    )
    .unwrap();
    let key = TicketKey::first("flux-lens", "FL-1");
    let chosen = |url| planners.choose(&key, url, Some("opus"));
    assert_eq!(
        (chosen("one"), chosen("two"), chosen("three")),
        ("gpt", DEFAULT, "opus")
    );
}

#[test]
fn a_planner_has_its_own_model_and_limits() {
    let planners = planners(&format!("{OPUS}{GPT}"), &[]).unwrap();
    let opus = planners.get("opus").unwrap();
    assert_eq!(opus.context_tokens, 9_000);
    assert_eq!(opus.model.answer_tokens(), 5_000);
    assert_eq!(
        opus.model.name(),
        "Anthropic claude-opus-4-1 (https://api.anthropic.com) at 0.1"
    );
    let gpt = planners.get("gpt").unwrap();
    assert_eq!(
        (gpt.context_tokens, gpt.model.answer_tokens()),
        (40_000, 16_384)
    );
    assert_eq!(
        gpt.model.name(),
        "OpenAi gpt-5 (https://api.openai.com/v1) at 0.5"
    );
    assert!(planners.get("none").is_none());
}

#[test]
fn what_cannot_be_is_said_in_words() {
    let wrong = |more: &str, repositories: &[RepositoryConfig]| {
        planners(more, repositories).unwrap_err().to_string()
    };
    for (from, to, said) in [
        ("'opus'", "'Opus 4'", "`model.planners[0].name` must be"),
        ("'opus'", "''", "`model.planners[0].name` must be"),
        ("'opus'", "'default'", "the name of another planner"),
        ("30", "101", "are 101 of 100 tickets"),
        ("0.1", "3.0", "must be from 0 to 2"),
        (
            "claude-opus-4-1",
            "unheard-of",
            "no price is known for `unheard-of`",
        ),
        (
            "model =",
            "base_url = 'http://127.0.0.1:9'\nmodel =",
            "model.planners[0].api_key",
        ),
    ] {
        let error = wrong(&OPUS.replace(from, to), &[]);
        assert!(error.contains(said), "{to}: {error}");
    }
    let error = wrong(&format!("{OPUS}{OPUS}"), &[]);
    assert!(
        error.contains("`model.planners[1].name` is `opus`"),
        "{error}"
    );
    let error = wrong(OPUS, &[repository("one", Some("opsu"))]);
    assert!(
        error.contains("`opsu`") && error.contains("default, opus"),
        "{error}"
    );
}
