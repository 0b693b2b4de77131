//! What a policy may be, and what is said of one that cannot be kept.

use sallyport_workflows::policy::Calendar;

use super::*;

fn wrong(change: impl FnOnce(&mut InstallationPolicy)) -> (String, Problem) {
    let mut policy = InstallationPolicy::default();
    change(&mut policy);
    let error = check(&policy).unwrap_err();
    (error.key, error.problem)
}

fn people(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_default_and_a_full_policy_are_in_order() {
    let mut policy = InstallationPolicy::default();
    assert_eq!(check(&policy), Ok(()));
    let calendar: Calendar = serde_json::from_value(
        serde_json::json!({"time_zone": "Europe/Berlin", "holidays": ["2026-12-25", "2027-01-01"]}),
    )
    .unwrap();
    for gate in [
        &mut policy.spec_gate,
        &mut policy.scope_gate,
        &mut policy.pr_gate,
    ] {
        gate.approvers = people(&["a.b+c@example.com", "B@localhost", "o'c@sub.example.com"]);
        gate.approvals = 3;
        gate.calendar = Some(calendar.clone());
        gate.reminders_percent = vec![1, 50, 99];
        gate.timeout_seconds = MAXIMUM_WAIT_SECONDS;
        gate.reporter_may_approve = false;
    }
    assert_eq!(check(&policy), Ok(()));
    policy.pr_gate.reminders_percent = Vec::new();
    assert_eq!(check(&policy), Ok(()));
}

#[test]
fn times_are_bounded() {
    for seconds in [0, MAXIMUM_WAIT_SECONDS + 1, u64::MAX] {
        let found = wrong(|policy| policy.scope_gate.timeout_seconds = seconds);
        assert_eq!(
            found,
            (
                "scope_gate.timeout_seconds".into(),
                Problem::Seconds(seconds)
            )
        );
        let found = wrong(|policy| policy.parked_seconds = seconds);
        assert_eq!(found, ("parked_seconds".into(), Problem::Seconds(seconds)));
        let found = wrong(|policy| policy.reopen_seconds = seconds);
        assert_eq!(found.0, "reopen_seconds");
        let found = wrong(|policy| policy.questions_seconds = seconds);
        assert_eq!(found.0, "questions_seconds");
        let found = wrong(|policy| policy.answer_pause_seconds = seconds);
        assert_eq!(found.0, "answer_pause_seconds");
    }
}

#[test]
fn a_gate_can_be_opened_by_the_people_whom_it_names() {
    let found = wrong(|policy| policy.pr_gate.approvals = 0);
    assert_eq!(found, ("pr_gate.approvals".into(), Problem::NoApprovals));
    let (key, problem) = wrong(|policy| {
        policy.spec_gate.approvers = people(&["a@example.com"]);
        policy.spec_gate.approvals = 2;
    });
    assert_eq!(key, "spec_gate.approvals");
    assert_eq!(
        problem.to_string(),
        "2 people must approve, and 1 of those named in `approvers` may"
    );
    // Everybody may, and there may be many.
    let mut anybody = InstallationPolicy::default();
    anybody.spec_gate.approvals = 7;
    assert_eq!(check(&anybody), Ok(()));
}

#[test]
fn approvers_are_addresses_and_few() {
    for name in [
        "",
        "a",
        "@",
        "a@",
        "@example.com",
        "a b@example.com",
        "a@b@example.com",
        "*",
        "a@exa mple.com",
        "Alice <a@example.com>",
        "a@example.com,b@example.com",
        ".a@example.com",
        "a@example..com",
        "a@example.com\n",
        "ä@example.com",
    ] {
        let (key, problem) =
            wrong(|policy| policy.spec_gate.approvers = people(&["x@example.com", name]));
        assert_eq!(
            (key.as_str(), problem),
            ("spec_gate.approvers[1]", Problem::NoAddress(name.into()))
        );
    }
    let long = format!("{}@example.com", "x".repeat(250));
    let (_, problem) = wrong(|policy| policy.spec_gate.approvers = vec![long]);
    assert!(matches!(problem, Problem::NoAddress(_)));
    let (key, problem) = wrong(|policy| {
        policy.spec_gate.approvers = people(&["a@example.com", "A@Example.com"]);
    });
    assert_eq!(key, "spec_gate.approvers[1]");
    assert_eq!(problem, Problem::NamedTwice("A@Example.com".into()));
    let many: Vec<String> = (0..11).map(|n| format!("p{n}@example.com")).collect();
    let found = wrong(|policy| policy.spec_gate.approvers = many.clone());
    assert_eq!(
        found,
        ("spec_gate.approvers".into(), Problem::TooManyApprovers(11))
    );
    let mut ten = InstallationPolicy::default();
    ten.spec_gate.approvers = many[..10].to_vec();
    assert_eq!(check(&ten), Ok(()));
}

#[test]
fn reminders_ascend_within_the_time() {
    for (percents, index, problem) in [
        (vec![0], 0, Problem::Percent(0)),
        (vec![50, 100], 1, Problem::Percent(100)),
        (
            vec![50, 50],
            1,
            Problem::Descending {
                earlier: 50,
                later: 50,
            },
        ),
        (
            vec![90, 50],
            1,
            Problem::Descending {
                earlier: 90,
                later: 50,
            },
        ),
    ] {
        let found = wrong(|policy| policy.pr_gate.reminders_percent = percents);
        assert_eq!(
            found,
            (format!("pr_gate.reminders_percent[{index}]"), problem)
        );
    }
    let found = wrong(|policy| policy.pr_gate.reminders_percent = vec![1, 2, 3, 4, 5, 6]);
    assert_eq!(found.1, Problem::TooManyReminders(6));
}

#[test]
fn a_calendar_is_checked_with_its_gate() {
    let found = wrong(|policy| {
        policy.scope_gate.calendar =
            serde_json::from_value(serde_json::json!({"time_zone": "Mars"})).unwrap();
    });
    assert_eq!(found.0, "scope_gate.calendar.time_zone");
    let error = Problem::from(CalendarProblem::UnknownZone("Mars".into())).at(found.0);
    assert_eq!(
        error.to_string(),
        "`policy.scope_gate.calendar.time_zone`: `Mars` is no time zone; use an IANA name such as Europe/Berlin"
    );
    let (key, problem) = wrong(|policy| {
        policy.scope_gate.calendar = serde_json::from_value(
            serde_json::json!({"time_zone": "UTC", "days": ["Sun"], "from": "09:00", "to": "09:01"}),
        )
        .unwrap();
    });
    assert_eq!(key, "scope_gate.calendar");
    assert!(
        matches!(problem, Problem::Calendar(CalendarProblem::TooRare { .. })),
        "{problem}"
    );
}

#[test]
fn a_policy_stays_small() {
    let (key, problem) = wrong(|policy| {
        let name = |number| format!("{}{number}@example.com", "x".repeat(200));
        policy.spec_gate.approvers = (0..10).map(name).collect();
    });
    assert!(matches!(problem, Problem::TooLarge(2049..)), "{problem}");
    assert_eq!(key, "");
    let error = problem.at(key);
    assert!(
        error.to_string().starts_with("`policy`: it has "),
        "{error}"
    );
}

#[test]
fn a_reporter_who_may_not_approve_does_not_count() {
    let rules = GatePolicy {
        approvers: people(&["a@example.com", "B@example.com"]),
        approvals: 2,
        reporter_may_approve: false,
        ..GatePolicy::seconds(60)
    };
    for other in ["c@example.com", ""] {
        assert_eq!(check_reporter(Gate::Pr, &rules, other), Ok(()));
    }
    let error = check_reporter(Gate::Pr, &rules, "b@example.com").unwrap_err();
    assert_eq!(error.key, "pr_gate.approvals");
    assert!(
        error.to_string().contains("1 of those named")
            && error.to_string().contains("b@example.com filed the ticket"),
        "{error}"
    );
    for better in [
        GatePolicy {
            approvals: 1,
            ..rules.clone()
        },
        GatePolicy {
            reporter_may_approve: true,
            ..rules.clone()
        },
        GatePolicy {
            approvers: Vec::new(),
            ..rules
        },
    ] {
        assert_eq!(check_reporter(Gate::Pr, &better, "b@example.com"), Ok(()));
    }
}
