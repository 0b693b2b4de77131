//! The conversation with the planner, from the ticket to a SPEC that can be shown to people, or to questions that they have to
//! answer first.

use std::fmt::Write as _;

use sallyport_workflows::{
    failure::kind,
    revision::sha256_hex,
    spec::Spec,
    text::{count, grouped},
    usage::{Spent, Usage},
};

use serde_json::Value;

use super::{
    answer::{self, Allowed, Reply},
    call::{self, Calls},
    context::RepositoryContext,
    look::{Looking, Sight},
    model::{Answer, ModelError, Planner, Question, Turn},
    progress::Progress,
    render::scope_rules,
    responses::{Request, Responses, request},
};
use crate::{
    failure::StepError,
    gateway::{DayBudget, DayError, Price},
    mirror::MirrorError,
    policy_file::Policy,
};

const INSTRUCTIONS: &str = include_str!("instructions.md");

/// Of how many things that were left out of a part the planner is told.
const MAXIMUM_LEFT_OUT: usize = 12;

/// How often the planner may answer something that cannot be taken: once, and once more after it was told why.
const TRIES: usize = 2;

/// What to plan.
#[derive(Clone, Debug)]
pub struct PlanTask<'a> {
    /// The ticket's id.
    pub ticket_id: &'a str,
    /// The ticket, readable.
    pub ticket: &'a str,
    /// What is known of the repository.
    pub repository: &'a RepositoryContext,
    /// The policy that the SPEC will be approved with.
    pub policy: &'a Policy,
    /// Earlier SPECs of the ticket, oldest first, each with what a person wanted changed.
    pub revised: &'a [(String, String)],
    /// How many questions the planner may ask about the ticket.
    pub questions_left: usize,
    /// Told what is done.
    pub progress: &'a Progress,
    /// Money left to spend, in millionths of a US dollar.
    pub cost_left_micro_usd: u64,
    /// What the installation may spend today, if that is limited.
    pub day: Option<&'a DayBudget>,
    /// The answers that were paid before, if any are kept.
    pub responses: Option<Responses<'a>>,
}

/// What planning comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A SPEC.
    Spec(Box<Spec>),
    /// The ticket does not say enough.
    Questions(Vec<String>),
}

/// No SPEC.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The model did not answer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It answered something else, also after it was told why.
    #[error(
        "the planner's answer is no SPEC, also after it was told why: {reason}; retry, or make the ticket clearer"
    )]
    Invalid {
        /// What is wrong with the last answer.
        reason: String,
    },
    /// What is left does not cover another question.
    #[error(
        "another question to the planner may cost up to {needed} millionths of a US dollar, and {left} are left; raise \
         the ticket's budget"
    )]
    Budget {
        /// What it may cost.
        needed: u64,
        /// What is left.
        left: u64,
    },
    /// What the planner wants to see cannot be read.
    #[error("the repository cannot be looked at for the planner: {0}")]
    Look(#[from] MirrorError),
    /// Its answers cannot be stored or read.
    #[error("the planner's answers cannot be kept: {}", .0.message())]
    Responses(StepError),
    /// The installation's budget for today does not cover another question, or could not be asked.
    #[error(transparent)]
    Day(#[from] DayError),
}

impl From<PlanError> for StepError {
    fn from(error: PlanError) -> Self {
        match &error {
            PlanError::Invalid { .. } => Self::fatal(kind::PLAN_INVALID, &error),
            PlanError::Budget { .. } | PlanError::Day(DayError::UsedUp) => {
                Self::fatal(kind::BUDGET, &error)
            }
            PlanError::Responses(error) => error.clone(),
            PlanError::Look(_) => Self::step(&error),
            PlanError::Day(DayError::Ledger(_)) => Self::step(&error),
            PlanError::Model(ModelError::Busy { retry_after, .. }) => {
                Self::transient(kind::STEP_FAILED, &error).retry_after(*retry_after)
            }
            PlanError::Model(ModelError::Unreachable { .. }) => Self::step(&error),
            PlanError::Model(
                ModelError::Refused { .. }
                | ModelError::Declined { .. }
                | ModelError::Configuration { .. },
            ) => Self::fatal(kind::MODEL_REFUSED, &error),
        }
    }
}

/// Planning that failed, and what it cost all the same.
#[derive(Debug)]
pub struct PlanFailure {
    /// Why there is no SPEC.
    pub error: PlanError,
    /// What the questions cost that were answered until then.
    pub usage: Usage,
}

impl From<PlanFailure> for StepError {
    fn from(failure: PlanFailure) -> Self {
        Self::from(failure.error).spent(Spent {
            usage: failure.usage,
            agent_seconds: 0,
        })
    }
}

/// Asks `planner` for a SPEC. It may look at the repository before it answers, and gets a second chance if its answer is
/// none. Answers what came of it and what all answers cost.
pub async fn plan(
    planner: &dyn Planner,
    task: &PlanTask<'_>,
    looking: &mut Looking<'_>,
) -> Result<(Outcome, Usage), PlanFailure> {
    let mut usage = Usage::default();
    match converse(planner, task, looking, &mut usage).await {
        Ok(outcome) => Ok((outcome, usage)),
        Err(error) => Err(PlanFailure { error, usage }),
    }
}

/// The questions and answers. What they cost is added to `usage`.
async fn converse(
    planner: &dyn Planner,
    task: &PlanTask<'_>,
    looking: &mut Looking<'_>,
    usage: &mut Usage,
) -> Result<Outcome, PlanError> {
    let schema = answer::schema(&task.policy.repository.gates);
    let mut conversation = conversation(task);
    // Requests whose answers cannot be taken: whoever tries again has to ask anew.
    let mut wrong = Vec::new();
    loop {
        let request = request(planner, &conversation, &schema);
        let so_far = match usage.requests {
            0 => String::new(),
            _ => format!("; {} tokens so far", grouped(usage.tokens())),
        };
        task.progress.say(format!("asking the planner{so_far}"));
        let answer = find_or_ask(planner, task, &conversation, &schema, &request, usage).await?;
        let allowed = Allowed {
            looks: looking.rounds_left() > 0,
            questions: task.questions_left,
        };
        let reply = match answer.cut {
            true => Err(format!(
                "it was cut after {} tokens; be shorter",
                planner.answer_tokens()
            )),
            false => {
                let (existing, policy) = (&task.repository.existing, &task.policy.repository);
                answer::parse(&answer.text, existing, policy, allowed)
            }
        };
        let next = match reply {
            Ok(Reply::Spec(spec)) => return Ok(Outcome::Spec(spec)),
            Ok(Reply::Questions(questions)) => return Ok(Outcome::Questions(questions)),
            Ok(Reply::Looks(looks)) => {
                let sights = looking.look(&looks).await?;
                shown(&sights, looking.rounds_left())
            }
            Err(reason) => {
                wrong.push(request);
                if wrong.len() >= TRIES {
                    if let Some(responses) = task.responses {
                        let forgotten = responses.forget(&wrong).await;
                        forgotten.map_err(PlanError::Responses)?;
                    }
                    return Err(PlanError::Invalid { reason });
                }
                format!(
                    "This cannot be taken: {reason}. Answer again with the whole JSON document, with this mended."
                )
            }
        };
        conversation.push(Turn::Assistant(answer.text));
        conversation.push(Turn::User(next));
    }
}

/// The answer to a request: one that was paid before, or a new one. What it costs now is added to `usage`.
async fn find_or_ask(
    planner: &dyn Planner,
    task: &PlanTask<'_>,
    conversation: &[Turn],
    schema: &Value,
    request: &Request,
    usage: &mut Usage,
) -> Result<Answer, PlanError> {
    if let Some(responses) = task.responses {
        let stored = responses.find(request).await;
        if let Some(answer) = stored.map_err(PlanError::Responses)? {
            *usage += answer.usage;
            return Ok(answer);
        }
    }
    let left = task
        .cost_left_micro_usd
        .saturating_sub(usage.cost_micro_usd);
    let calls = Calls::default();
    let question = Question {
        conversation,
        schema,
        progress: task.progress,
        calls: &calls,
    };
    let answer = ask_within(planner, question, left, task.day).await;
    let calls = calls.into_list();
    // Paid for whatever came of it, and whatever comes of keeping it.
    let paid = call::usage(&calls);
    *usage += paid;
    let answer = answer.map(|answer| Answer {
        usage: paid,
        ..answer
    });
    if let Some(responses) = task.responses {
        if let Ok(answer) = &answer {
            let kept = responses.keep(request, answer).await;
            kept.map_err(PlanError::Responses)?;
        }
        let noted = responses.note(&calls).await;
        noted.map_err(PlanError::Responses)?;
    }
    answer
}

/// What the planner is told after a look.
fn shown(sights: &[Sight], rounds_left: usize) -> String {
    let mut text = "What you asked to see:\n".to_owned();
    for Sight { title, text: sight } in sights {
        text.push('\n');
        text.push_str(&block("data", &format!("{title}:\n\n{sight}")));
    }
    text.push_str(&match rounds_left {
        0 => "\nYou cannot look any further: write the SPEC, or ask.\n".to_owned(),
        left => format!(
            "\nYou may look {} more. Write the SPEC as soon as you can.\n",
            count(left as u64, "time")
        ),
    });
    text
}

/// Asks once, if `left` covers the most that it can cost, and within the day's budget.
async fn ask_within(
    planner: &dyn Planner,
    question: Question<'_>,
    left: u64,
    day: Option<&DayBudget>,
) -> Result<Answer, PlanError> {
    let needed = worst_cost(planner, question.conversation);
    if needed > left {
        return Err(PlanError::Budget { needed, left });
    }
    let Some(day) = day else {
        return Ok(planner.ask(question).await?);
    };
    let set_aside = day.set_aside(needed).await?;
    let answer = planner.ask(question).await;
    day.settle(set_aside, question.calls.cost(needed)).await;
    Ok(answer?)
}

/// The most that the next question can cost. A token has at least two bytes in any text that a ticket or code is likely
/// to be.
fn worst_cost(planner: &dyn Planner, conversation: &[Turn]) -> u64 {
    let bytes: usize = conversation.iter().map(|turn| turn.text().len()).sum();
    let price = planner.price();
    let dearest = Price {
        input: price.dearest_input(),
        ..price
    };
    dearest.cost_micro_usd(&Usage {
        input_tokens: bytes as u64 / 2,
        output_tokens: u64::from(planner.answer_tokens()),
        ..Usage::default()
    })
}

fn conversation(task: &PlanTask<'_>) -> Vec<Turn> {
    let mut question = format!("Ticket {}:\n\n", task.ticket_id);
    question.push_str(&block("ticket", task.ticket));
    question.push_str("\nThe repository's quality gates:\n\n");
    for gate in &task.policy.repository.gates {
        let need = if gate.required {
            "required"
        } else {
            "optional"
        };
        // Writing to a string does not fail.
        let _ = writeln!(question, "- {} ({need}): {}", gate.name, gate.command);
    }
    let rules = scope_rules(&task.policy.repository.scope);
    if !rules.is_empty() {
        let _ = write!(
            question,
            "\nThe repository's rules on scope, which hold beside what you list:\n\n{rules}"
        );
    }
    for part in &task.repository.parts {
        if part.texts.is_empty() && part.report.left_out.is_empty() {
            continue;
        }
        let _ = write!(question, "\n# {}\n", part.report.title);
        for (what, text) in &part.texts {
            // A file's name may be an instruction as well as its text.
            let _ = write!(
                question,
                "\n{}",
                block("data", &format!("{what}:\n\n{text}"))
            );
        }
        if !part.report.left_out.is_empty() {
            let left_out = part.report.left_out.iter().take(MAXIMUM_LEFT_OUT);
            let left_out: String = left_out.map(|what| format!("{what}\n")).collect();
            let _ = write!(question, "\nNot shown:\n\n{}", block("data", &left_out));
        }
    }
    question.push_str(&match task.questions_left {
        0 => "\nWrite the SPEC. You cannot ask any questions about this ticket: what you cannot find out belongs under \
              `open_questions`.\n"
            .to_owned(),
        left => format!("\nWrite the SPEC, or ask at most {}.\n", count(left as u64, "question")),
    });
    let mut conversation = vec![Turn::System(INSTRUCTIONS.to_owned()), Turn::User(question)];
    for (text, comments) in task.revised {
        conversation.push(Turn::Assistant(text.clone()));
        conversation.push(Turn::User(format!(
            "A person read this SPEC and asks for changes:\n\n{}\nWrite the SPEC again, as JSON like before. Change what was asked \
             for, and not everything.\n",
            block("comments", comments)
        )));
    }
    conversation
}

/// `text` between two lines that it cannot hold itself: they carry its hash.
fn block(name: &str, text: &str) -> String {
    let mark = &sha256_hex(text.as_bytes())[..12];
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("===== {name} {mark} =====\n{text}{end}===== end of {name} {mark} =====\n")
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
