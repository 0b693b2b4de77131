//! `[policy]` of `.sallyport.toml`: how a repository makes the installation's policy stricter. It can ask for more
//! approvals, fewer people, smaller budgets, and never for the opposite; times and business hours it sets as it likes,
//! within bounds.

use sallyport_workflows::{
    gate::Gate,
    policy::{Budget, Calendar, GatePolicy, InstallationPolicy},
};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::{
    policy_check::{self, PolicyError, Problem, check_approvers, is_same, section},
    policy_file::{PolicyProblem, wrong},
};

/// There is no policy that a ticket could run under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionProblem {
    /// The repository's file is wrong.
    #[error(transparent)]
    Repository(#[from] PolicyProblem),
    /// The policy that the ticket was started with is wrong.
    #[error(
        "the installation's policy, which is fixed for this ticket, is wrong: {0}; correct sallyport.toml and file the \
         ticket again"
    )]
    Installation(#[from] PolicyError),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    policy: Section,
}

/// What a repository says of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    spec_gate: GateSection,
    scope_gate: GateSection,
    pr_gate: GateSection,
    budget: BudgetSection,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GateSection {
    timeout_seconds: Option<u64>,
    approvals: Option<u32>,
    approvers: Option<Vec<String>>,
    reporter_may_approve: Option<bool>,
    reminders_percent: Option<Vec<u8>>,
    calendar: Option<Calendar>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BudgetSection {
    cost_micro_usd: Option<u64>,
    tokens: Option<u64>,
    planning_cost_micro_usd: Option<u64>,
    agent_seconds: Option<u64>,
    total_agent_seconds: Option<u64>,
    repairs: Option<u32>,
    revisions: Option<u32>,
    change_rounds: Option<u32>,
    scope_requests: Option<u32>,
}

/// The policy that a ticket runs under: the installation's, as the file with this `content` makes it stricter. Nothing if
/// there is no such file.
pub fn effective(
    installation: &InstallationPolicy,
    content: Option<&[u8]>,
) -> Result<InstallationPolicy, SectionProblem> {
    policy_check::check(installation)?;
    let Some(content) = content else {
        return Ok(installation.clone());
    };
    let text = str::from_utf8(content).map_err(|_| PolicyProblem::NotText)?;
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        wrong(text, start, error.message())
    })?;
    merge(installation, file.policy).map_err(|error| {
        let start = place(text, &format!("policy.{}", error.key));
        wrong(text, start, &error.to_string()).into()
    })
}

fn merge(
    installation: &InstallationPolicy,
    repository: Section,
) -> Result<InstallationPolicy, PolicyError> {
    let merged = InstallationPolicy {
        spec_gate: merge_gate(Gate::Spec, &installation.spec_gate, repository.spec_gate)?,
        scope_gate: merge_gate(Gate::Scope, &installation.scope_gate, repository.scope_gate)?,
        pr_gate: merge_gate(Gate::Pr, &installation.pr_gate, repository.pr_gate)?,
        budget: merge_budget(&installation.budget, &repository.budget),
        ..installation.clone()
    };
    policy_check::check(&merged)?;
    Ok(merged)
}

fn merge_gate(
    gate: Gate,
    installation: &GatePolicy,
    repository: GateSection,
) -> Result<GatePolicy, PolicyError> {
    let key = |name: &str| format!("{}.{name}", section(gate));
    if repository.approvals == Some(0) {
        return Err(Problem::NoApprovals.at(key("approvals")));
    }
    let approvers = match repository.approvers {
        None => installation.approvers.clone(),
        Some(named) => merge_approvers(&installation.approvers, named, &key("approvers"))?,
    };
    Ok(GatePolicy {
        timeout_seconds: repository
            .timeout_seconds
            .unwrap_or(installation.timeout_seconds),
        approvals: repository
            .approvals
            .unwrap_or_default()
            .max(installation.approvals),
        approvers,
        reporter_may_approve: installation.reporter_may_approve
            && repository.reporter_may_approve.unwrap_or(true),
        reminders_percent: repository
            .reminders_percent
            .unwrap_or_else(|| installation.reminders_percent.clone()),
        calendar: repository
            .calendar
            .or_else(|| installation.calendar.clone()),
    })
}

fn merge_approvers(
    installation: &[String],
    repository: Vec<String>,
    key: &str,
) -> Result<Vec<String>, PolicyError> {
    // Also whom the installation does not name: a mistake must not pass because it has no effect.
    check_approvers(&repository, key)?;
    if repository.is_empty() {
        return Err(Problem::NobodyNamed.at(key));
    }
    if installation.is_empty() {
        return Ok(repository);
    }
    let in_both: Vec<String> = installation
        .iter()
        .filter(|person| repository.iter().any(|named| is_same(named, person)))
        .cloned()
        .collect();
    if in_both.is_empty() {
        return Err(Problem::NobodyInBoth(installation.join(", ")).at(key));
    }
    Ok(in_both)
}

fn merge_budget(installation: &Budget, repository: &BudgetSection) -> Budget {
    fn smaller<T: Ord + Copy>(installation: T, repository: Option<T>) -> T {
        repository.map_or(installation, |value| value.min(installation))
    }
    // Named one by one, so that a new limit cannot be forgotten here.
    let Budget {
        cost_micro_usd,
        tokens,
        planning_cost_micro_usd,
        agent_seconds,
        total_agent_seconds,
        repairs,
        revisions,
        change_rounds,
        scope_requests,
    } = *installation;
    Budget {
        cost_micro_usd: smaller(cost_micro_usd, repository.cost_micro_usd),
        tokens: smaller(tokens, repository.tokens),
        planning_cost_micro_usd: smaller(
            planning_cost_micro_usd,
            repository.planning_cost_micro_usd,
        ),
        agent_seconds: smaller(agent_seconds, repository.agent_seconds),
        total_agent_seconds: smaller(total_agent_seconds, repository.total_agent_seconds),
        repairs: smaller(repairs, repository.repairs),
        revisions: smaller(revisions, repository.revisions),
        change_rounds: smaller(change_rounds, repository.change_rounds),
        scope_requests: smaller(scope_requests, repository.scope_requests),
    }
}

/// Where `key`, such as `policy.spec_gate.approvers[1]`, is in `text`; where it is not, the nearest key around it.
fn place(text: &str, key: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else {
        return 0;
    };
    let root = DeValue::Table(document.into_inner());
    let (mut start, mut value) = (0, &root);
    for part in key.split(['.', '[']) {
        let found = match value {
            DeValue::Table(table) => table
                .iter()
                .find(|(key, _)| key.get_ref() == part)
                .map(|(key, value)| (key.span().start, value.get_ref())),
            DeValue::Array(items) => part
                .trim_end_matches(']')
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| (item.span().start, item.get_ref())),
            _ => None,
        };
        let Some(found) = found else { break };
        (start, value) = found;
    }
    start
}

#[cfg(test)]
#[path = "policy_section_tests.rs"]
mod tests;
