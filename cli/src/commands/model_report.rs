//! `sallyport report models`: how planners and their models do.

use std::time::Duration;

use comfy_table::{Cell, Table};

use super::{
    client, grouped, money, print, print_json,
    table::{self, cell, table},
};
use crate::{
    arguments::ModelReportArguments,
    client::{ModelCalls, ModelReport, PlannerOutcome},
    exit::Problem,
    terminal::{Painter, Style, line, tell},
};

/// How many standard deviations the interval of a share has to each side: 95 of a hundred such intervals hold the true one.
const DEVIATIONS: f64 = 1.96;

/// Prints the report.
pub async fn run(arguments: ModelReportArguments) -> Result<(), Problem> {
    let report = client(arguments.connection)?
        .model_report(arguments.days)
        .await?;
    if arguments.json {
        return print_json(&report);
    }
    if report.planners.is_empty() {
        tell(&format!(
            "no ticket of the last {} days was given to a planner; --days N looks further back",
            arguments.days
        ));
        return Ok(());
    }
    print(&render(&report, Painter::stdout(), Table::new().width()))
}

fn render(report: &ModelReport, painter: Painter, width: Option<u16>) -> String {
    let mut text = format!(
        "Tickets since {}\n\n",
        report.since.format("%Y-%m-%d %H:%M UTC")
    );
    text.push_str(&planners(&report.planners, painter, width));
    if report.models.is_empty() {
        return text;
    }
    text.push('\n');
    text.push_str(&models(&report.models, painter, width));
    if report.planners.len() > 1 && !differ(&report.planners) {
        text.push_str(
            "\nThe planners do not differ in SPECs approved at first reading by more than chance makes: the intervals \
             overlap.\n",
        );
    }
    text
}

fn planners(planners: &[PlannerOutcome], painter: Painter, width: Option<u16>) -> String {
    let headings = [
        "PLANNER",
        "TICKETS",
        "APPROVED AT FIRST READING",
        "REVISIONS",
        "REJECTED",
        "PASSED QA AT FIRST",
        "PASSED QA",
        "MERGED",
        "PLANNING",
        "IN ALL",
    ];
    let mut table = table(painter, width, &headings);
    for planner in planners {
        let each = |cost: u64| match cost.checked_div(planner.tickets) {
            Some(each) => format!("{} each", money(each)),
            None => String::new(),
        };
        table.add_row([
            cell(&line(&planner.planner), Style::Bold),
            Cell::new(grouped(planner.tickets)),
            Cell::new(with_interval(
                planner.approved_at_first_reading,
                planner.read,
            )),
            Cell::new(grouped(planner.revisions)),
            Cell::new(grouped(planner.rejected)),
            Cell::new(of(planner.passed_at_first_check, planner.checked)),
            Cell::new(of(planner.passed, planner.checked)),
            Cell::new(format!("{} ended", of(planner.merged, planner.ended))),
            Cell::new(each(planner.planning_cost_micro_usd)),
            Cell::new(each(planner.cost_micro_usd)),
        ]);
    }
    table::text(table)
}

fn models(models: &[ModelCalls], painter: Painter, width: Option<u16>) -> String {
    let headings = [
        "PLANNER",
        "MODEL",
        "REQUESTS",
        "ANSWERED",
        "DECLINED",
        "FAILED",
        "MEDIAN",
        "95 %",
        "TOKENS IN",
        "TOKENS OUT",
        "COST",
    ];
    let mut table = table(painter, width, &headings);
    for model in models {
        let usage = &model.usage;
        let input = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
        table.add_row([
            cell(&line(&model.planner), Style::Bold),
            Cell::new(line(&format!("{} {}", model.vendor, model.model))),
            Cell::new(grouped(model.calls)),
            Cell::new(match model.cut {
                0 => grouped(model.answered),
                cut => format!("{}, {} cut", grouped(model.answered), grouped(cut)),
            }),
            Cell::new(grouped(model.declined)),
            Cell::new(grouped(model.failed)),
            Cell::new(seconds(model.latency_median_ms)),
            Cell::new(seconds(model.latency_p95_ms)),
            Cell::new(grouped(input)),
            Cell::new(grouped(usage.output_tokens)),
            Cell::new(money(usage.cost_micro_usd)),
        ]);
    }
    table::text(table)
}

fn seconds(latency_ms: Option<u64>) -> String {
    let seconds = |ms| format!("{:.1} s", Duration::from_millis(ms).as_secs_f64());
    latency_ms.map(seconds).unwrap_or_default()
}

fn of(part: u64, whole: u64) -> String {
    format!("{} of {}", grouped(part), grouped(whole))
}

fn with_interval(part: u64, whole: u64) -> String {
    match interval(part, whole) {
        Some((least, most)) => format!(
            "{} ({:.0} to {:.0} %)",
            of(part, whole),
            least * 100.0,
            most * 100.0
        ),
        None => of(part, whole),
    }
}

/// Between which shares the true one lies most likely: Wilson's score interval. Nothing where nothing was counted.
fn interval(part: u64, whole: u64) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (share, count) = (part as f64 / whole as f64, whole as f64);
    let square = DEVIATIONS * DEVIATIONS;
    let middle = share + square / (2.0 * count);
    let spread =
        DEVIATIONS * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    let scale = 1.0 + square / count;
    let (least, most) = ((middle - spread) / scale, (middle + spread) / scale);
    Some((least.max(0.0), most.min(1.0)))
}

/// Whether the intervals of any two planners do not overlap.
fn differ(planners: &[PlannerOutcome]) -> bool {
    let intervals: Vec<_> = planners
        .iter()
        .filter_map(|planner| interval(planner.approved_at_first_reading, planner.read))
        .collect();
    let most_of_least = intervals.iter().map(|(least, _)| *least).reduce(f64::max);
    let least_of_most = intervals.iter().map(|(_, most)| *most).reduce(f64::min);
    match (most_of_least, least_of_most) {
        (Some(least), Some(most)) => least > most,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sallyport_workflows::usage::Usage;

    use super::*;

    fn outcome(planner: &str, approved: u64, read: u64) -> PlannerOutcome {
        PlannerOutcome {
            planner: planner.to_owned(),
            tickets: read + 2,
            read,
            approved_at_first_reading: approved,
            revisions: read - approved,
            rejected: 1,
            checked: approved,
            passed_at_first_check: approved / 2,
            passed: approved,
            ended: approved,
            merged: approved - 1,
            planning_cost_micro_usd: 120_000 * read,
            cost_micro_usd: 1_500_000 * read,
        }
    }

    fn calls(planner: &str, model: &str) -> ModelCalls {
        ModelCalls {
            planner: planner.to_owned(),
            vendor: "anthropic".to_owned(),
            model: model.to_owned(),
            calls: 1_240,
            answered: 1_200,
            cut: 3,
            declined: 2,
            failed: 35,
            latency_median_ms: Some(21_430),
            latency_p95_ms: Some(64_900),
            usage: Usage {
                requests: 1_205,
                input_tokens: 48_000_000,
                output_tokens: 2_400_000,
                cost_micro_usd: 180_000_000,
                ..Usage::default()
            },
        }
    }

    #[test]
    fn planners_and_models_are_compared_in_tables() {
        let mut report = ModelReport {
            since: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
            planners: vec![outcome("default", 8, 10), outcome("opus", 9, 10)],
            models: vec![
                calls("default", "claude-sonnet-4-5"),
                ModelCalls {
                    latency_median_ms: None,
                    latency_p95_ms: None,
                    cut: 0,
                    ..calls("opus", "claude-opus-4-1")
                },
            ],
        };
        insta::assert_snapshot!("model_report", render(&report, Painter::plain(), None));
        report.planners = vec![outcome("default", 20, 100), outcome("opus", 90, 100)];
        assert!(!render(&report, Painter::plain(), None).contains("chance"));
    }

    #[test]
    fn an_interval_is_wide_where_little_was_counted() {
        assert_eq!(interval(0, 0), None);
        let (least, most) = interval(8, 10).unwrap();
        assert!(
            (least - 0.49).abs() < 0.005 && (most - 0.943).abs() < 0.005,
            "{least} {most}"
        );
        let (least, most) = interval(0, 3).unwrap();
        assert!(least == 0.0 && most < 0.6, "{least} {most}");
        assert_eq!(interval(3, 3).unwrap().1, 1.0);
    }
}
