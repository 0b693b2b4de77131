//! The search attributes that tickets set, so that the Temporal UI and `temporal workflow list` find them.

use temporalio_common::search_attributes::{SearchAttributeKey, SearchAttributeUpdate, Timestamp};

/// The state's name.
pub const STATE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SallyportState");
/// The ticket system.
pub const SOURCE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SallyportSource");
/// The ticket's id there.
pub const TICKET: SearchAttributeKey<String> = SearchAttributeKey::keyword("SallyportTicket");
/// The repository worked on.
pub const REPOSITORY: SearchAttributeKey<String> =
    SearchAttributeKey::keyword("SallyportRepository");
/// Who is asked to decide: the people whom the open gate names. Unset while nobody is asked by name.
pub const ASSIGNEE: SearchAttributeKey<Vec<String>> =
    SearchAttributeKey::keyword_list("SallyportAssignee");
/// Since when the ticket waits for a person. Unset while it does not.
pub const WAITING_SINCE: SearchAttributeKey<Timestamp> =
    SearchAttributeKey::datetime("SallyportWaitingSince");

/// Takes a list's or an instant's value away. An empty list does that for both types; the SDK's own `value_unset` sends a
/// payload without an encoding, which Temporal's server 1.32 refuses for them by failing the workflow task.
pub fn unset(name: &'static str) -> SearchAttributeUpdate {
    SearchAttributeKey::keyword_list(name).value_set(Vec::new())
}

/// All of them with the names of their types in Temporal. They must be registered before the first ticket.
pub const ALL: [(&str, &str); 6] = [
    ("SallyportState", "Keyword"),
    ("SallyportSource", "Keyword"),
    ("SallyportTicket", "Keyword"),
    ("SallyportRepository", "Keyword"),
    ("SallyportAssignee", "KeywordList"),
    ("SallyportWaitingSince", "Datetime"),
];
