//! The search attributes that tickets set, so that the Temporal UI and `temporal workflow list` find them.

use temporalio_common::search_attributes::SearchAttributeKey;

/// The state's name.
pub const STATE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SallyportState");
/// The ticket system.
pub const SOURCE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SallyportSource");
/// The ticket's id there.
pub const TICKET: SearchAttributeKey<String> = SearchAttributeKey::keyword("SallyportTicket");
/// The repository worked on.
pub const REPOSITORY: SearchAttributeKey<String> =
    SearchAttributeKey::keyword("SallyportRepository");

/// The names of all of them; each is of Temporal's type Keyword. They must be registered before the first ticket.
pub const KEYWORDS: [&str; 4] = [
    "SallyportState",
    "SallyportSource",
    "SallyportTicket",
    "SallyportRepository",
];
