//! What the ticket system tells of a ticket whose workflow runs. It shows where people look before they decide; nothing is
//! planned anew because of it, unless somebody sends the SPEC back, or the planner waits for answers: then the ticket is read
//! again.

use temporalio_common::data_converters::RawValue;

use super::{TicketWorkflow, decision_rules::one_payload};
use crate::{
    text::{shorten, time},
    ticket::{NewsEvent, TicketEdits, TicketNews},
};

impl TicketWorkflow {
    /// Takes news in. What is none becomes a note.
    pub(super) fn receive_news(&mut self, payload: &RawValue) {
        let news = match one_payload::<TicketNews>(payload) {
            Ok(news) => news,
            Err(error) => {
                return self.note(&format!(
                    "a signal `ticket_event` was not understood: {error}"
                ));
            }
        };
        if self.status.questions.is_some()
            && matches!(news.event, NewsEvent::Edited | NewsEvent::Commented)
        {
            self.memory.answered = true;
        }
        match news.event {
            // What is not read yet will be read as it is then.
            NewsEvent::Edited => {
                if let Some(summary) = &self.status.summary {
                    let title = news
                        .title
                        .map(|title| shorten(&title, 200))
                        .filter(|title| *title != summary.title);
                    let before = self.status.edits.as_ref().map_or(0, |edits| edits.times);
                    self.status.edits = Some(TicketEdits {
                        times: before.saturating_add(1),
                        at: news.at,
                        title,
                    });
                }
            }
            // Whoever decides at a gate reads the ticket; only a planner that has asked waits for what is said there.
            NewsEvent::Commented => {}
            NewsEvent::Reopened => self.note(&format!(
                "the ticket was reopened in its system on {}",
                time(news.at)
            )),
        }
    }
}
