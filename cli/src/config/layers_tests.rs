use std::net::SocketAddr;

use serde::Deserialize;

use super::layers::*;
use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    data_dir: Option<PathBuf>,
    starter: Starter,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Starter {
    listen: SocketAddr,
    #[serde(default)]
    tokens: Vec<Token>,
    #[serde(default)]
    retries: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: Option<String>,
    token_file: Option<PathBuf>,
}

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Whole, String> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut layers =
        Layers::parse(Path::new("/etc/sallyport/sallyport.toml"), text).map_err(text_of)?;
    layers.overlay(environment).map_err(text_of)?;
    layers.into_type().map_err(text_of)
}

fn text_of(error: ConfigError) -> String {
    error.to_string()
}

const GOOD: &str = "data_dir = 'data'\n[starter]\nlisten = '127.0.0.1:1'\n[[starter.tokens]]\ntoken_file = 'secret/token'\n";

#[test]
fn relative_paths_are_meant_from_the_files_folder() {
    let config = read(GOOD, &[]).unwrap();
    assert_eq!(config.data_dir.unwrap(), Path::new("/etc/sallyport/data"));
    assert_eq!(
        config.starter.tokens[0].token_file.as_deref(),
        Some(Path::new("/etc/sallyport/secret/token"))
    );
    let config = read(GOOD, &[("SALLYPORT__DATA_DIR", "/srv/x")]).unwrap();
    assert_eq!(config.data_dir.unwrap(), Path::new("/srv/x"));
}

#[test]
fn each_error_names_file_line_key_and_reason() {
    let file = "/etc/sallyport/sallyport.toml";
    for (text, expected) in [
        (
            "[starter]\nlisten = '127.0.0.1:1'\nlisen = 3\n",
            "line 3, key `starter.lisen`: unknown field `lisen`",
        ),
        (
            "[starter]\nlisten = 'here'\n",
            "line 2, key `starter.listen`: invalid socket address",
        ),
        (
            "\n[starter]\n",
            "line 2, key `starter.listen`: it is required and missing",
        ),
        ("", ", key `starter`: it is required and missing"),
        ("[starter]\n\nlisten 3\n", "line 3: "),
        (
            "[starter]\nlisten = '127.0.0.1:1'\n[[starter.tokens]]\ntoken = 'a'\ntoken_file = 'b'\n",
            "line 4, key `starter.tokens[0].token`: it is set, and so is `token_file`",
        ),
    ] {
        let error = read(text, &[]).unwrap_err();
        assert!(error.starts_with(file), "{error}");
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    }
}

#[test]
fn an_error_in_a_variable_names_the_variable() {
    let error = read(GOOD, &[("SALLYPORT__STARTER__RETRIES", "many")]).unwrap_err();
    assert!(
        error.contains("environment variable SALLYPORT__STARTER__RETRIES, key `starter.retries`"),
        "{error}"
    );
    let error = read(GOOD, &[("SALLYPORT__STARTER__LISTEN__X", "1")]).unwrap_err();
    assert!(
        error.contains("key `starter.listen`: it is no section"),
        "{error}"
    );
}

#[test]
fn the_environment_wins_and_supplies_what_is_missing() {
    let environment = [
        ("SALLYPORT__STARTER__LISTEN", "127.0.0.1:2"),
        ("SALLYPORT__STARTER__RETRIES", "4"),
        // A token that looks like a number is a token.
        ("SALLYPORT__STARTER__TOKENS", "[{token = '7'}]"),
    ];
    let config = read("", &environment).unwrap();
    assert_eq!(config.starter.listen.port(), 2);
    assert_eq!(config.starter.retries, 4);
    assert_eq!(config.starter.tokens[0].token.as_deref(), Some("7"));
}

#[test]
fn a_string_that_looks_like_a_number_is_taken_as_the_string() {
    let config = read(GOOD, &[("SALLYPORT__DATA_DIR", "12345")]).unwrap();
    assert_eq!(config.data_dir.unwrap(), Path::new("/etc/sallyport/12345"));
}

#[test]
fn a_secret_never_stands_in_an_error() {
    let text = "[starter]\nlisten = '127.0.0.1:1'\n[[starter.tokens]]\ntoken = 987654\n";
    let error = read(text, &[]).unwrap_err();
    assert!(error.contains("starter.tokens[0].token"), "{error}");
    assert!(!error.contains("987654"), "{error}");
}

#[test]
fn a_default_gives_way_to_the_value_and_to_its_file() {
    let mut layers = Layers::parse(Path::new("/x.toml"), "[a]\nkey_file = 'k'\n").unwrap();
    layers.put_default(&["a", "key"], "mine".into()).unwrap();
    layers
        .put_default(&["b", "key_file"], "mine".into())
        .unwrap();
    assert_eq!(layers.get(&["a", "key"]), None);
    assert_eq!(layers.get(&["b", "key_file"]), Some(&"/mine".into()));
}
