//! Tables as people read them.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets::NOTHING};

use crate::terminal::{Painter, Style};

/// A table with these headings, wrapped to `width` columns; not at all where the output goes elsewhere than to a terminal.
pub fn table(painter: Painter, width: Option<u16>, headings: &[&str]) -> Table {
    let mut table = Table::new();
    // What a terminal is like is said here, and not found out once more by the table.
    table.force_no_tty();
    if painter.has_colour() {
        table.enforce_styling();
    }
    if let Some(width) = width {
        table.set_width(width);
    }
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings.iter().map(|heading| cell(heading, Style::Dim)));
    table
}

/// A cell in a style.
pub fn cell(text: &str, style: Style) -> Cell {
    let cell = Cell::new(text);
    match style {
        Style::Bold => cell.add_attribute(Attribute::Bold),
        Style::Dim => cell.add_attribute(Attribute::Dim),
        Style::Green => cell.fg(Color::DarkGreen),
        Style::Yellow => cell.fg(Color::DarkYellow),
        Style::Red => cell.fg(Color::DarkRed),
        Style::Blue => cell.fg(Color::DarkBlue),
    }
}

/// The table's text, the columns two spaces apart.
pub fn text(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for row in table.lines() {
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
