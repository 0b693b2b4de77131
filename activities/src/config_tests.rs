use super::*;

#[test]
fn the_section_is_read_and_a_key_may_come_from_the_environment() {
    let text = "vendor = 'openai'\nplanner_model = 'gpt-5'\nagent_model = 'gpt-5-mini'\nbase_url = 'http://127.0.0.1:9'\n";
    let config: ModelConfig = toml::from_str(text).unwrap();
    assert!(
        config
            .agent()
            .unwrap_err()
            .to_string()
            .contains("model.api_key")
    );
    let config = config.with_key_from(|name| (name == "OPENAI_API_KEY").then(|| "hush".to_owned()));
    let (planner, agent) = (config.planner().unwrap(), config.agent().unwrap());
    assert_eq!(
        (planner.model.as_str(), agent.model.as_str()),
        ("gpt-5", "gpt-5-mini")
    );
    assert_eq!(agent.base_url, "http://127.0.0.1:9");
    assert!(!format!("{config:?}").contains("hush"));
    let kept = config.with_key_from(|_| Some("other".to_owned()));
    assert_eq!(
        secret::ExposeSecret::expose_secret(&kept.agent().unwrap().api_key),
        "hush"
    );
}

#[test]
fn fallbacks_have_keys_of_their_own_or_the_same_vendors() {
    let text = "vendor = 'openai'\nplanner_model = 'a'\nagent_model = 'b'\napi_key = 'k'\nbase_url = \
                'http://127.0.0.1:9'\nplanner_temperature = 0.2\n[[planner_fallbacks]]\nvendor = 'openai'\nmodel \
                = 'c'\n[[planner_fallbacks]]\nvendor = 'anthropic'\nmodel = 'd'\napi_key = 'own'\n";
    let config: ModelConfig = toml::from_str(text).unwrap();
    let fallbacks = config.fallbacks().unwrap();
    assert_eq!(fallbacks[0].base_url, "http://127.0.0.1:9");
    assert_eq!(fallbacks[1].base_url, "https://api.anthropic.com");
    let key = |place: usize| secret::ExposeSecret::expose_secret(&fallbacks[place].api_key);
    assert_eq!((key(0), key(1)), ("k", "own"));
    assert_eq!(fallbacks[1].temperature, Some(0.2));
    assert_eq!(config.planner().unwrap().temperature, Some(0.2));
    assert_eq!(config.agent().unwrap().temperature, None);
    let elsewhere = text.replace("= 'c'\n", "= 'c'\nbase_url = 'http://127.0.0.1:8'\n");
    let elsewhere: ModelConfig = toml::from_str(&elsewhere).unwrap();
    let error = elsewhere.fallbacks().unwrap_err().to_string();
    assert!(
        error.contains("model.planner_fallbacks[0].api_key"),
        "{error}"
    );
    let keyless: ModelConfig = toml::from_str(&text.replace("api_key = 'own'\n", "")).unwrap();
    let error = keyless.fallbacks().unwrap_err().to_string();
    assert!(
        error.contains("model.planner_fallbacks[1].api_key"),
        "{error}"
    );
}

#[test]
fn limits_a_minute_are_read_and_none_is_no_limit() {
    let read = |more: &str| {
        let text = format!(
            "vendor = 'openai'\nplanner_model = 'a'\nagent_model = 'b'\napi_key = 'k'\n{more}"
        );
        toml::from_str::<ModelConfig>(&text).map(|config| config.agent().unwrap().rate)
    };
    assert_eq!(read("").unwrap(), RateLimits::default());
    let limits = read("requests_per_minute = 50\ninput_tokens_per_minute = 30000").unwrap();
    assert_eq!(limits.requests_per_minute, NonZeroU32::new(50));
    assert_eq!(limits.input_tokens_per_minute, NonZeroU32::new(30_000));
    let error = read("requests_per_minute = 0").unwrap_err().to_string();
    assert!(error.contains("nonzero"), "{error}");
}

#[test]
fn googles_key_has_two_names() {
    let text =
        "vendor = 'google'\nplanner_model = 'gemini-2.5-flash'\nagent_model = 'gemini-2.5-flash'\n";
    let key = |environment: &[(&str, &str)]| {
        let config: ModelConfig = toml::from_str(text).unwrap();
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name);
        let config = config.with_key_from(|name| find(name).map(|(_, key)| (*key).to_owned()));
        let key = config.agent().ok()?.api_key;
        Some(secret::ExposeSecret::expose_secret(&key).to_owned())
    };
    let both = [("GOOGLE_API_KEY", "second"), ("GEMINI_API_KEY", "first")];
    assert_eq!(key(&both).unwrap(), "first");
    assert_eq!(key(&both[..1]).unwrap(), "second");
    assert_eq!(key(&[("OPENAI_API_KEY", "other")]), None);
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let text = "vendor = 'anthropic'\nplanner_model = 'a'\nagent_model = 'b'\nmodel = 'c'\n";
    assert!(
        toml::from_str::<ModelConfig>(text)
            .unwrap_err()
            .to_string()
            .contains("`model`")
    );
}
