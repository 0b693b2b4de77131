//! The learning loop: earlier tickets of the repository that are like a new one, with what was planned for them, what people
//! said about it, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_ledger::earlier_tickets::{self, EarlierTicket};
use sallyport_workflows::{
    decision::Verdict, gate::Gate, spec::Spec, text::shorten, ticket::TicketKey,
};

use super::context::words::telling_words;
use crate::{context::Context, failure::StepError};

/// How many tickets are compared by their titles, how many of them by their SPECs, and how many are shown.
const COMPARED: u32 = 1000;
const READ: usize = 12;
const SHOWN: usize = 4;
/// How many words a ticket and an earlier one must have in common.
const COMMON: usize = 2;
/// How much is shown of one ticket: comments, each of at most so many bytes, and files.
const MAXIMUM_COMMENTS: usize = 6;
const MAXIMUM_COMMENT: usize = 700;
const MAXIMUM_TEXT: usize = 900;
const MAXIMUM_FILES: usize = 20;

/// An earlier ticket that is like the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Which one, and how it ended.
    pub what: String,
    /// Why it is shown.
    pub why: String,
    /// What can be learned from it.
    pub text: String,
}

/// Those that ended before the attempt `key` began and are most like the ticket, the most alike first.
pub async fn alike(
    context: &Context,
    key: &TicketKey,
    repository_url: &str,
    ticket: &str,
) -> Result<Vec<Earlier>, StepError> {
    let (database, objects) = (&context.database, &context.objects);
    let all = earlier_tickets::of_repository(database, repository_url, key, COMPARED).await?;
    let wanted = telling_words(ticket);
    let mut read = Vec::new();
    for earlier in by_title(all, &wanted, &key.ticket_id) {
        // What cannot be read any more teaches nothing, and stops nobody.
        let Ok(document) = objects.get(&earlier.document).await else {
            tracing::warn!(
                ticket = earlier.ticket_id,
                "the SPEC of an earlier ticket is gone"
            );
            continue;
        };
        if let Ok(spec) = serde_json::from_slice::<Spec>(&document) {
            read.push((earlier, spec));
        }
    }
    let mut shown = Vec::new();
    for Alike { earlier, spec, why } in by_spec(read, &wanted, &key.ticket_id) {
        let mut said = Vec::new();
        for comment in earlier_tickets::comments(database, earlier.workflow).await? {
            if let Ok(text) = objects.get_text(&comment.text).await {
                said.push((comment.gate, comment.decision, text));
            }
        }
        shown.push(Earlier {
            what: format!("Ticket {}, {}", earlier.ticket_id, outcome(&earlier)),
            why,
            text: describe(&earlier, &spec, &said),
        });
    }
    Ok(shown)
}

/// The tickets whose titles have most of the words that are `wanted`, where rare words count more. Earlier attempts at the
/// same ticket come first.
fn by_title(
    all: Vec<EarlierTicket>,
    wanted: &BTreeSet<String>,
    ticket_id: &str,
) -> Vec<EarlierTicket> {
    let words: Vec<_> = all
        .iter()
        .map(|earlier| telling_words(&earlier.title))
        .collect();
    let weights = Weights::of(&words);
    let mut scored: Vec<(f64, EarlierTicket)> = all
        .into_iter()
        .zip(&words)
        .map(|(earlier, words)| match earlier.ticket_id == ticket_id {
            true => (f64::INFINITY, earlier),
            false => (weights.of_common(words, wanted), earlier),
        })
        .filter(|(score, _)| *score > 0.0)
        .collect();
    // The sort is stable: the newer comes first.
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    scored
        .into_iter()
        .take(READ)
        .map(|(_, earlier)| earlier)
        .collect()
}

/// A ticket that is alike.
struct Alike {
    earlier: EarlierTicket,
    spec: Spec,
    why: String,
}

/// Those whose SPECs are most like what is wanted.
fn by_spec(
    read: Vec<(EarlierTicket, Spec)>,
    wanted: &BTreeSet<String>,
    ticket_id: &str,
) -> Vec<Alike> {
    let words: Vec<_> = read
        .iter()
        .map(|(earlier, spec)| {
            let mut text = format!(
                "{}\n{}\n{}\n{}",
                earlier.title, spec.title, spec.problem, spec.solution
            );
            for file in &spec.files {
                text.push('\n');
                text.push_str(file.path.as_str());
            }
            telling_words(&text)
        })
        .collect();
    let weights = Weights::of(&words);
    let mut alike: Vec<(f64, Alike)> = Vec::new();
    for ((earlier, spec), words) in read.into_iter().zip(&words) {
        let common: Vec<&String> = words.intersection(wanted).collect();
        let (score, why) = match earlier.ticket_id == ticket_id {
            true => (
                f64::INFINITY,
                "an earlier attempt at this ticket".to_owned(),
            ),
            false if common.len() < COMMON => continue,
            false => (weights.of_common(words, wanted), has(&weights, common)),
        };
        alike.push((score, Alike { earlier, spec, why }));
    }
    alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    alike
        .into_iter()
        .take(SHOWN)
        .map(|(_, alike)| alike)
        .collect()
}

/// The most telling words that two tickets have in common, for people.
fn has(weights: &Weights, mut common: Vec<&String>) -> String {
    common.sort_by(|one, other| weights.of_word(other).total_cmp(&weights.of_word(one)));
    let shown: Vec<String> = common
        .iter()
        .take(4)
        .map(|word| format!("`{word}`"))
        .collect();
    let more = match common.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(", {more} more words"),
    };
    format!("has {}{more}", shown.join(", "))
}

/// How much each word tells: the fewer texts have it, the more.
struct Weights<'a> {
    texts: f64,
    having: BTreeMap<&'a str, f64>,
}

impl<'a> Weights<'a> {
    fn of(texts: &'a [BTreeSet<String>]) -> Self {
        let mut having = BTreeMap::new();
        for word in texts.iter().flatten() {
            *having.entry(word.as_str()).or_insert(0.0) += 1.0;
        }
        Self {
            texts: texts.len() as f64,
            having,
        }
    }

    fn of_word(&self, word: &str) -> f64 {
        let having = self.having.get(word);
        having.map_or(0.0, |having| (self.texts / having).ln_1p())
    }

    fn of_common(&self, words: &BTreeSet<String>, wanted: &BTreeSet<String>) -> f64 {
        words
            .intersection(wanted)
            .map(|word| self.of_word(word))
            .sum()
    }
}

fn outcome(earlier: &EarlierTicket) -> String {
    let day = earlier.ended_at.format("%Y-%m-%d");
    match earlier.merged {
        true => format!("merged; ended {} on {day}", earlier.state),
        false => format!("not merged; ended {} on {day}", earlier.state),
    }
}

fn describe(earlier: &EarlierTicket, spec: &Spec, said: &[(Gate, Verdict, String)]) -> String {
    let line = |text: &str| shorten(text, MAXIMUM_TEXT);
    let mut text = format!(
        "Title: {}\nProblem: {}\nSolution: {}\nFiles of its last SPEC:\n",
        line(&earlier.title),
        line(&spec.problem),
        line(&spec.solution)
    );
    for file in spec.files.iter().take(MAXIMUM_FILES) {
        text.push_str(&format!("- {} {}\n", file.change.name(), file.path));
    }
    if spec.files.len() > MAXIMUM_FILES {
        text.push_str(&format!(
            "- and {} more\n",
            spec.files.len() - MAXIMUM_FILES
        ));
    }
    match said {
        [] => text.push_str("People decided about it without a word.\n"),
        _ => text.push_str("What people said when they decided:\n"),
    }
    for (gate, decision, words) in said.iter().take(MAXIMUM_COMMENTS) {
        let words = shorten(words, MAXIMUM_COMMENT);
        text.push_str(&format!("- {decision} at gate {gate}: {words}\n"));
    }
    text
}

#[cfg(test)]
#[path = "earlier_tests.rs"]
mod tests;
