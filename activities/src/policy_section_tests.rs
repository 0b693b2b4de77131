//! What a repository can make of the installation's policy, and what it is told where it cannot.

use sallyport_workflows::policy::MAXIMUM_WAIT_SECONDS;

use super::*;
use crate::{policy_check::check, policy_file::FILE};

const GATES: &str = "[[gates]]\nname = 'Unit tests'\ncommand = 'node --test'\n";

fn installation() -> InstallationPolicy {
    InstallationPolicy::default()
}

fn merged(installation: &InstallationPolicy, text: &str) -> InstallationPolicy {
    let merged = effective(installation, Some(format!("{GATES}{text}").as_bytes())).unwrap();
    assert_eq!(check(&merged), Ok(()));
    merged
}

fn problem(installation: &InstallationPolicy, text: &str) -> String {
    let text = format!("{GATES}{text}");
    let error = effective(installation, Some(text.as_bytes())).unwrap_err();
    error.to_string()
}

fn people(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_silent_repository_changes_nothing() {
    let mut installation = installation();
    installation.spec_gate.approvals = 3;
    installation.accept_unproven_decisions = true;
    assert_eq!(effective(&installation, None), Ok(installation.clone()));
    for text in ["", "[policy]\n", "[policy.pr_gate]\n[policy.budget]\n"] {
        assert_eq!(merged(&installation, text), installation);
    }
}

#[test]
fn everything_can_be_set() {
    let text = "[policy.spec_gate]\ntimeout_seconds = 28800\napprovals = 2\n\
                approvers = ['a@example.com', 'b@example.com']\nreporter_may_approve = false\n\
                reminders_percent = [25]\n\
                [policy.spec_gate.calendar]\ntime_zone = 'Asia/Kolkata'\nfrom = '10:00'\nholidays = ['2026-12-25']\n\
                [policy.scope_gate]\ntimeout_seconds = 60\n\
                [policy.pr_gate]\napprovals = 4\n\
                [policy.budget]\ncost_micro_usd = 1\ntokens = 2\nplanning_cost_micro_usd = 3\nagent_seconds = 4\n\
                total_agent_seconds = 5\nrepairs = 0\nrevisions = 1\nchange_rounds = 2\nscope_requests = 3\n";
    let policy = merged(&installation(), text);
    let expected = GatePolicy {
        approvals: 2,
        approvers: people(&["a@example.com", "b@example.com"]),
        reporter_may_approve: false,
        reminders_percent: vec![25],
        calendar: serde_json::from_value(serde_json::json!(
            {"time_zone": "Asia/Kolkata", "from": "10:00", "holidays": ["2026-12-25"]}
        ))
        .unwrap(),
        ..GatePolicy::seconds(28800)
    };
    assert_eq!(policy.spec_gate, expected);
    assert_eq!(policy.scope_gate, GatePolicy::seconds(60));
    assert_eq!(policy.pr_gate.approvals, 4);
    let budget = Budget {
        cost_micro_usd: 1,
        tokens: 2,
        planning_cost_micro_usd: 3,
        agent_seconds: 4,
        total_agent_seconds: 5,
        repairs: 0,
        revisions: 1,
        change_rounds: 2,
        scope_requests: 3,
    };
    assert_eq!(policy.budget, budget);
}

#[test]
fn nothing_gets_laxer() {
    let mut strict = installation();
    strict.pr_gate = GatePolicy {
        approvals: 2,
        approvers: people(&["a@example.com", "b@example.com", "c@example.com"]),
        reporter_may_approve: false,
        ..GatePolicy::seconds(600)
    };
    let text = "[policy.pr_gate]\napprovals = 1\nreporter_may_approve = true\n\
                approvers = ['C@example.com', 'a@example.com', 'x@example.com']\n\
                [policy.budget]\ncost_micro_usd = 6000000\ntokens = 9000000\nplanning_cost_micro_usd = 9000000\n\
                agent_seconds = 9000000\ntotal_agent_seconds = 9000000\nrepairs = 100\nrevisions = 100\n\
                change_rounds = 100\nscope_requests = 100\n";
    let policy = merged(&strict, text);
    assert_eq!(policy.budget, strict.budget);
    assert_eq!(policy.pr_gate.approvals, 2);
    assert!(!policy.pr_gate.reporter_may_approve);
    // As the installation writes them.
    assert_eq!(
        policy.pr_gate.approvers,
        people(&["a@example.com", "c@example.com"])
    );
    // Times it sets freely, also a longer one.
    let text = "[policy.pr_gate]\ntimeout_seconds = 6000\nreminders_percent = []\n";
    let policy = merged(&strict, text).pr_gate;
    assert_eq!(policy.timeout_seconds, 6000);
    assert!(policy.reminders_percent.is_empty());
    assert_eq!(policy.approvers.len(), 3);
}

#[test]
fn the_repositorys_calendar_takes_the_installations_place() {
    let mut installation = installation();
    let berlin = serde_json::json!({"time_zone": "Europe/Berlin"});
    installation.spec_gate.calendar = serde_json::from_value(berlin).unwrap();
    let text = "[policy.spec_gate.calendar]\ntime_zone = 'America/New_York'\n";
    let calendar = merged(&installation, text).spec_gate.calendar.unwrap();
    assert_eq!(calendar.time_zone, "America/New_York");
    let text = "[policy.spec_gate]\napprovals = 2\n";
    assert_eq!(
        merged(&installation, text).spec_gate.calendar,
        installation.spec_gate.calendar
    );
}

#[test]
fn what_is_wrong_is_named_with_key_and_line() {
    let mut named = installation();
    named.spec_gate.approvers = people(&["a@example.com", "b@example.com"]);
    let too_long = format!(
        "[policy.spec_gate]\ntimeout_seconds = {}\n",
        MAXIMUM_WAIT_SECONDS + 1
    );
    // GATES has three lines.
    for (text, line, words) in [
        (
            "[policy.spec_gate]\napprovals = 0\n",
            5,
            "`policy.spec_gate.approvals`: at least 1",
        ),
        (
            "[policy.spec_gate]\napprovals = 3\n",
            5,
            "2 of those named in `approvers`",
        ),
        (
            "[policy.spec_gate]\napprovers = ['c@example.com']\n",
            5,
            "names a@example.com, b@example.com",
        ),
        ("[policy.spec_gate]\napprovers = []\n", 5, "names nobody"),
        (
            "[policy.spec_gate]\napprovers = [\n  'a@example.com',\n  'nobody',\n]\n",
            7,
            "`policy.spec_gate.approvers[1]`: `nobody` is no email address",
        ),
        (
            "[policy.spec_gate]\n\napprovers = ['a@example.com']\napprovals = 2\n",
            7,
            "1 of those named",
        ),
        (
            "[policy.pr_gate]\ntimeout_seconds = 0\n",
            5,
            "`policy.pr_gate.timeout_seconds`: 0 is no time",
        ),
        (&too_long, 5, "at most 7776000"),
        (
            "[policy.pr_gate]\nreminders_percent = [\n50,\n100]\n",
            7,
            "`policy.pr_gate.reminders_percent[1]`",
        ),
        ("[policy.pr_gate]\nreminders_percent = [300]\n", 5, "300"),
        (
            "[policy.scope_gate.calendar]\ntime_zone = 'Europe/Bonn'\n",
            5,
            "`policy.scope_gate.calendar.time_zone`: `Europe/Bonn` is no time zone",
        ),
        (
            "[policy.scope_gate.calendar]\ntime_zone = 'UTC'\nfrom = '17:00'\n",
            4,
            "begin at 17:00",
        ),
        (
            "[policy.scope_gate.calendar]\ntime_zone = 'UTC'\nto = '25:00'\n",
            6,
            "`25:00` is no time of day",
        ),
        (
            "[policy.scope_gate.calendar]\ntime_zone = 'UTC'\ndays = ['Someday']\n",
            6,
            "day",
        ),
        (
            "[policy.scope_gate.calendar]\ntime_zone = 'UTC'\ndays = []\n",
            6,
            "names no day",
        ),
        (
            "[policy.scope_gate.calendar]\nfrom = '10:00'\n",
            4,
            "time_zone",
        ),
        ("[policy.spec_gate]\ncolour = 'red'\n", 5, "colour"),
        ("[policy.budget]\nrepairs = -1\n", 5, "repairs = -1"),
        ("[policy.budget]\ncost = 1\n", 5, "`cost`"),
        ("[policy]\nparked_seconds = 1\n", 5, "parked_seconds"),
        (
            "[policy]\naccept_unproven_decisions = true\n",
            5,
            "accept_unproven_decisions",
        ),
    ] {
        let problem = problem(&named, text);
        assert!(
            problem.starts_with(&format!("{FILE}, line {line}: ")),
            "{text}: {problem}"
        );
        assert!(problem.contains(words), "{text}: {problem}");
    }
}

#[test]
fn what_only_both_together_get_wrong_is_found() {
    let mut two = installation();
    two.pr_gate.approvals = 2;
    let problem = problem(&two, "[policy.pr_gate]\napprovers = ['a@example.com']\n");
    assert!(
        problem.starts_with(&format!(
            "{FILE}, line 4: `policy.pr_gate.approvals`: 2 people"
        )),
        "{problem}"
    );
}

#[test]
fn a_wrong_installation_is_not_the_repositorys_fault() {
    let mut installation = installation();
    installation.parked_seconds = 0;
    let error = effective(&installation, None).unwrap_err();
    assert!(matches!(error, SectionProblem::Installation(_)));
    let said = error.to_string();
    assert!(
        said.contains("`policy.parked_seconds`") && !said.contains(FILE),
        "{said}"
    );
}

#[test]
fn the_readmes_example_is_one() {
    let readme = include_str!("../../README.md");
    let start = readme.find("[policy.pr_gate]\n").unwrap();
    let example = readme[start..].split("```").next().unwrap();
    let gate = merged(&installation(), example).pr_gate;
    assert_eq!((gate.approvals, gate.timeout_seconds), (2, 57600));
    assert_eq!(gate.calendar.unwrap().holidays.len(), 1);
}
