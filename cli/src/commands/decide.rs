//! `sallyport approve`, `revise` and `reject`: a decision about exactly what was shown.

use chrono::Utc;
use sallyport_ledger::decisions::DecisionRow;
use sallyport_workflows::{
    decision::{DecisionOutcome, MAXIMUM_COMMENT_BYTES, Verdict},
    gate::Gate,
    revision,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    client, count, duration, print, print_json,
    question::{self, Question, question},
    records, short,
    status::{state, title},
    subject, time,
};
use crate::{
    arguments::DecideArguments,
    client::{Client, DecisionRequest, Sent, WorkflowView},
    exit::{Exit, Problem},
    terminal::{self, Painter, Style, line, tell},
};

/// Shows what the open gate asks, and decides about exactly that.
pub async fn run(verdict: Verdict, arguments: DecideArguments) -> Result<(), Problem> {
    check_message(verdict, arguments.message.as_deref())?;
    check_revision(arguments.revision.as_deref())?;
    let client = client(arguments.connection)?;
    let view = client.view(&arguments.id).await?;
    let Some(question) = question(&view) else {
        return no_gate(
            &view,
            verdict,
            arguments.revision.as_deref(),
            arguments.json,
        );
    };
    if let Some(named) = &arguments.revision
        && !revision::matches(named, &question.revision)
    {
        return Err(Problem::new(
            Exit::Conflict,
            format!(
                "the {} gate of {} now asks about revision {}, not about {}",
                question.gate,
                line(&view.workflow.ticket_id),
                short(&line(&question.revision)),
                line(named)
            ),
        )
        .hint("read what it asks about now, then decide about that"));
    }
    if question.gate == Gate::Scope && verdict == Verdict::Revise {
        return Err(Problem::new(
            Exit::Usage,
            "the SCOPE gate takes no `revise`: approve or reject",
        ));
    }
    let painter = Painter::stderr();
    let subject = subject::read(&client, &question, painter).await?;
    tell(&what_is_decided(
        &view, verdict, &question, &subject, painter,
    ));
    if terminal::is_interactive() && !arguments.yes {
        let sure = terminal::confirm(&format!("{} this?", word(verdict)))
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot ask: {error}")))?;
        if !sure {
            return Err(Problem::new(Exit::Failed, "nothing was decided"));
        }
    }
    let decision = DecisionRequest {
        id: Uuid::new_v4(),
        revision: question.revision.clone(),
        decision: verdict,
        comments: arguments.message,
    };
    match client.decide(question.approval_id, &decision).await {
        Ok(sent) => report(&sent, decision.id, &view, arguments.json),
        Err(problem) if problem.exit == Exit::Conflict => {
            Err(explain_conflict(problem, &client, &arguments.id).await)
        }
        Err(problem) => Err(problem),
    }
}

fn check_message(verdict: Verdict, message: Option<&str>) -> Result<(), Problem> {
    let is_empty = message.is_none_or(|text| text.trim().is_empty());
    if verdict == Verdict::Revise && is_empty {
        return Err(
            Problem::new(Exit::Usage, "`revise` needs to know what to change")
                .hint("say it with -m: sallyport revise FL-1 -m 'Also test the empty list'"),
        );
    }
    let bytes = message.map_or(0, str::len);
    if bytes > MAXIMUM_COMMENT_BYTES {
        return Err(Problem::new(
            Exit::Usage,
            format!("the message has {bytes} bytes; at most {MAXIMUM_COMMENT_BYTES} are taken"),
        ));
    }
    Ok(())
}

fn check_revision(revision: Option<&str>) -> Result<(), Problem> {
    match revision {
        Some(named) if named.len() < revision::MINIMUM_PREFIX => Err(Problem::new(
            Exit::Usage,
            format!(
                "--revision needs the whole revision, or at least its first {} characters",
                revision::MINIMUM_PREFIX
            ),
        )),
        _ => Ok(()),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve => "Approve",
        Verdict::Revise => "Send back",
        Verdict::Reject => "Reject",
    }
}

/// No gate asks. A repeat of the decision that closed the gate, named by its revision, is told as done.
fn no_gate(
    view: &WorkflowView,
    verdict: Verdict,
    named: Option<&str>,
    as_json: bool,
) -> Result<(), Problem> {
    let last = view
        .decisions
        .iter()
        .rev()
        .find(|decision| decision.refused.is_none());
    let repeated = last.filter(|decision| {
        decision.decision == verdict
            && named.is_some_and(|named| revision::matches(named, &decision.revision))
    });
    if let Some(decision) = repeated {
        if as_json {
            return print_json(&json!({ "earlier": decision }));
        }
        return print(&format!("decided already: {}\n", describe(decision)));
    }
    let ticket = line(&view.workflow.ticket_id);
    let state = state(view);
    let message = match last {
        Some(decision) => format!(
            "no gate of {ticket} asks now (state {state}); decided last: {}",
            describe(decision)
        ),
        None => format!("no gate of {ticket} asks now (state {state})"),
    };
    Err(Problem::new(Exit::Conflict, message)
        .hint(format!("`sallyport status {ticket}` shows how it stands")))
}

fn describe(decision: &DecisionRow) -> String {
    format!(
        "{} at {}",
        records::decision_text(decision),
        time(decision.at)
    )
}

/// Adds who was faster, if somebody was.
async fn explain_conflict(problem: Problem, client: &Client, id: &str) -> Problem {
    let Ok(view) = client.view(id).await else {
        return problem;
    };
    let counted = view
        .decisions
        .iter()
        .rev()
        .find(|decision| decision.refused.is_none());
    match counted {
        Some(decision) => problem.hint(format!("decided last: {}", describe(decision))),
        None => problem,
    }
}

fn what_is_decided(
    view: &WorkflowView,
    verdict: Verdict,
    question: &Question,
    subject: &[String],
    painter: Painter,
) -> String {
    let does = match (question.gate, verdict) {
        (Gate::Spec, Verdict::Approve) => "approve this SPEC: the agent carries it out",
        (Gate::Spec, Verdict::Revise) => "send this SPEC back to the planner",
        (Gate::Spec, Verdict::Reject) => "reject this SPEC: the ticket ends",
        (Gate::Scope, Verdict::Approve) => "allow the agent these further files",
        (Gate::Scope, _) => "refuse the agent these further files: it goes on without them",
        (Gate::Pr, Verdict::Approve) => "approve this pull request: it is merged",
        (Gate::Pr, Verdict::Revise) => "send this pull request back to the agent",
        (Gate::Pr, Verdict::Reject) => "reject this pull request: it is closed",
    };
    let mut text = format!(
        "{}  {}\n\n  You {}.\n  Revision {} ({})\n",
        painter.paint(Style::Bold, line(&view.workflow.ticket_id)),
        painter.paint(Style::Bold, title(view)),
        painter.paint(Style::Yellow, does),
        painter.paint(Style::Bold, short(&line(&question.revision))),
        line(&question.revision),
    );
    if let (Gate::Pr, Some(pull_request)) = (question.gate, &view.workflow.pull_request) {
        text.push_str(&format!(
            "  Pull request #{} into {}, head {}\n",
            pull_request.number,
            line(&pull_request.base_branch),
            short(&line(&pull_request.head_commit))
        ));
    }
    let about = question::who(question).into_iter();
    let about = about.chain(question::again(question, painter));
    for text_line in about.chain(subject.iter().cloned()) {
        text.push_str(&format!("  {text_line}\n"));
    }
    let left = duration(question.deadline - Utc::now());
    text.push_str(&painter.paint(
        Style::Dim,
        format!("  The gate closes by itself in {left}.\n"),
    ));
    text
}

fn report(
    sent: &Sent<DecisionOutcome>,
    id: Uuid,
    view: &WorkflowView,
    as_json: bool,
) -> Result<(), Problem> {
    let ticket = line(&view.workflow.ticket_id);
    match sent {
        Sent::Judged(outcome) => {
            if as_json {
                print_json(&**outcome)?;
            } else if outcome.record.refused.is_none() {
                print(&counted(outcome, &ticket))?;
            }
            match &outcome.record.refused {
                Some(reason) => Err(Problem::new(
                    Exit::Conflict,
                    format!("the decision was refused: {}", line(reason)),
                )),
                None => Ok(()),
            }
        }
        Sent::Pending => {
            if as_json {
                print_json(&json!({ "pending": true, "id": id }))?;
            }
            tell(&format!(
                "no worker answers now. The decision is with Temporal and is judged as soon as one runs; see `sallyport \
                 status {ticket}`"
            ));
            Ok(())
        }
    }
}

fn counted(outcome: &DecisionOutcome, ticket: &str) -> String {
    let record = &outcome.record;
    let done = match record.decision {
        Verdict::Approve => "approved",
        Verdict::Revise => "sent back",
        Verdict::Reject => "rejected",
    };
    let then = match outcome.approvals_missing {
        0 if record.gate == Gate::Pr && record.decision == Verdict::Approve => {
            format!("it is being merged now; `sallyport status {ticket}` shows what came of it")
        }
        0 if record.gate == Gate::Scope => "the agent goes on".to_owned(),
        0 => "the gate is closed".to_owned(),
        missing => format!("{} missing", count(missing.into(), "approval")),
    };
    format!(
        "{done}: {} {} of {ticket}, by {}; {then}\n",
        record.gate,
        short(&line(&record.revision)),
        line(&record.by)
    )
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    #[test]
    fn revise_needs_words() {
        for message in [None, Some(" \n")] {
            let problem = check_message(Verdict::Revise, message).unwrap_err();
            assert_eq!(problem.exit, Exit::Usage);
            assert!(problem.hint.unwrap().contains("-m"));
        }
        check_message(Verdict::Reject, None).unwrap();
        assert!(check_message(Verdict::Approve, Some(&"x".repeat(2049))).is_err());
    }

    #[test]
    fn a_revision_must_be_long_enough_to_mean_one_thing() {
        assert!(check_revision(Some("0123abc")).is_err());
        check_revision(Some("0123abcd")).unwrap();
    }

    #[test]
    fn a_repeat_of_the_same_decision_is_success_only_when_it_is_surely_the_same() {
        let view = fixtures::parked();
        let decided = &view.decisions[0];
        let prefix = Some(&decided.revision[..8]);
        no_gate(&view, Verdict::Approve, prefix, false).unwrap();
        for (verdict, named) in [
            (Verdict::Reject, prefix),
            (Verdict::Approve, Some("00000000")),
            (Verdict::Approve, None),
        ] {
            let problem = no_gate(&view, verdict, named, false).unwrap_err();
            assert_eq!(problem.exit, Exit::Conflict);
            assert!(
                problem.message.contains("approver@example.com"),
                "{problem}"
            );
        }
    }

    #[test]
    fn what_is_decided_is_shown_before() {
        let view = fixtures::at_gate_2_without_a_worker();
        let question = question(&view).unwrap();
        let diff = "diff --git a/src/list.js b/src/list.js\n--- a/src/list.js\n+++ b/src/list.js\n@@ -1,2 +1,3 @@\n-old\n+new\n+---\n same\n\
                    diff --git a/gone.js b/gone.js\ndeleted file mode 100644\n--- a/gone.js\n+++ /dev/null\n@@ -1 +0,0 @@\n--- x\n";
        let text = what_is_decided(
            &view,
            Verdict::Approve,
            &question,
            &subject::listed(subject::diff_files(diff)),
            Painter::plain(),
        );
        insta::assert_snapshot!(without_the_time(&text));
    }

    /// The last line depends on the time.
    fn without_the_time(text: &str) -> &str {
        text.split("  The gate closes").next().unwrap()
    }

    #[test]
    fn the_agents_wish_is_shown_before() {
        let view = fixtures::at_the_scope_gate();
        let question = question(&view).unwrap();
        let wish = question::files(&view.scope_requests[1].request, Painter::plain());
        let texts = [Verdict::Approve, Verdict::Reject]
            .map(|verdict| what_is_decided(&view, verdict, &question, &wish, Painter::plain()));
        let texts: Vec<&str> = texts.iter().map(|text| without_the_time(text)).collect();
        insta::assert_snapshot!(texts.join("\n"));
    }

    #[test]
    fn what_is_asked_again_says_why() {
        let view = fixtures::at_gate_1_again();
        let question = question(&view).unwrap();
        let subject = subject::listed(vec!["`a.js` (modify): because".to_owned()]);
        let text = what_is_decided(
            &view,
            Verdict::Approve,
            &question,
            &subject,
            Painter::plain(),
        );
        insta::assert_snapshot!(without_the_time(&text));
    }
}
