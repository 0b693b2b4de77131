//! Deadlines computed by hand, and laws that hold for all of them.

use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3600;
const WEEK: [Weekday; 5] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
];
const SUNDAY: [Weekday; 1] = [Weekday::Sun];

fn time(text: &str) -> NaiveTime {
    NaiveTime::parse_from_str(text, "%H:%M").unwrap()
}

fn calendar(zone: &str, days: &[Weekday], hours: (&str, &str)) -> Calendar {
    Calendar {
        time_zone: zone.into(),
        days: days.to_vec(),
        from: time(hours.0),
        to: time(hours.1),
        holidays: Vec::new(),
    }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn gate(seconds: u64, calendar: Option<Calendar>) -> GatePolicy {
    GatePolicy {
        calendar,
        ..GatePolicy::seconds(seconds)
    }
}

fn deadline(calendar: &Calendar, opened: &str, minutes: u64) -> String {
    let gate = gate(minutes * 60, Some(calendar.clone()));
    let deadline = schedule(utc(opened), &gate).unwrap().deadline;
    deadline.format("%Y-%m-%dT%H:%MZ").to_string()
}

#[test]
fn time_runs_only_in_business_hours() {
    let office = calendar("Europe/Berlin", &WEEK, ("09:00", "17:00"));
    for (opened, minutes, expected) in [
        // In the middle of the hours, Tuesday 10:15.
        ("2026-11-24T09:15:00Z", 60, "2026-11-24T10:15Z"),
        // All the day, and a minute more.
        ("2026-11-24T08:00:00Z", 480, "2026-11-24T16:00Z"),
        ("2026-11-24T08:00:00Z", 481, "2026-11-25T08:01Z"),
        // Before the hours, at their end, in the evening.
        ("2026-11-24T01:00:00Z", 60, "2026-11-24T09:00Z"),
        ("2026-11-24T16:00:00Z", 60, "2026-11-25T09:00Z"),
        ("2026-11-24T19:00:00Z", 60, "2026-11-25T09:00Z"),
        // Across a weekend, and opened on one.
        ("2026-11-20T15:00:00Z", 120, "2026-11-23T09:00Z"),
        ("2026-11-21T12:00:00Z", 60, "2026-11-23T09:00Z"),
        // Friday 16:00, both ways across a change of the clocks on Sunday.
        ("2026-03-27T15:00:00Z", 120, "2026-03-30T08:00Z"),
        ("2026-03-27T15:00:00Z", 24 * 60, "2026-04-01T14:00Z"),
        ("2026-10-23T14:00:00Z", 120, "2026-10-26T09:00Z"),
    ] {
        assert_eq!(
            deadline(&office, opened, minutes),
            expected,
            "{opened} + {minutes} min"
        );
    }
}

#[test]
fn holidays_do_not_count() {
    let mut office = calendar("Europe/Berlin", &WEEK, ("09:00", "17:00"));
    office.holidays = vec!["2026-12-25".parse().unwrap(), "2026-12-28".parse().unwrap()];
    // Thursday 16:00; then a holiday, a weekend, a holiday.
    assert_eq!(
        deadline(&office, "2026-12-24T15:00:00Z", 120),
        "2026-12-29T09:00Z"
    );
    assert_eq!(
        deadline(&office, "2026-12-25T10:00:00Z", 60),
        "2026-12-29T09:00Z"
    );
}

#[test]
fn hours_that_the_clock_leaves_out_do_not_count() {
    // Berlin, 2026-03-29: at 02:00 (01:00Z) the clock goes to 03:00.
    let opened = "2026-03-29T00:00:00Z";
    for (hours, minutes, expected) in [
        (("01:00", "05:00"), 120, "2026-03-29T02:00Z"),
        (("01:00", "05:00"), 180, "2026-03-29T03:00Z"),
        (("01:00", "05:00"), 240, "2026-04-05T00:00Z"),
        // They begin, end, or are all in the hour that is not there.
        (("02:30", "04:00"), 30, "2026-03-29T01:30Z"),
        (("02:30", "04:00"), 60, "2026-03-29T02:00Z"),
        (("01:00", "02:30"), 60, "2026-03-29T01:00Z"),
        (("01:00", "02:30"), 61, "2026-04-04T23:01Z"),
        (("02:00", "03:00"), 30, "2026-04-05T00:30Z"),
    ] {
        let calendar = calendar("Europe/Berlin", &SUNDAY, hours);
        assert_eq!(
            deadline(&calendar, opened, minutes),
            expected,
            "{hours:?} + {minutes} min"
        );
    }
}

#[test]
fn hours_that_the_clock_shows_twice_count_twice() {
    // Berlin, 2026-10-25: at 03:00 (01:00Z) the clock goes back to 02:00.
    let opened = "2026-10-24T23:00:00Z";
    for (hours, minutes, expected) in [
        (("01:00", "04:00"), 210, "2026-10-25T02:30Z"),
        (("01:00", "04:00"), 240, "2026-10-25T03:00Z"),
        (("01:00", "04:00"), 241, "2026-11-01T00:01Z"),
        (("02:00", "02:30"), 30, "2026-10-25T00:30Z"),
        (("02:00", "02:30"), 45, "2026-10-25T01:15Z"),
        (("01:30", "02:30"), 75, "2026-10-25T01:15Z"),
        (("02:30", "03:30"), 45, "2026-10-25T01:45Z"),
    ] {
        let calendar = calendar("Europe/Berlin", &SUNDAY, hours);
        assert_eq!(
            deadline(&calendar, opened, minutes),
            expected,
            "{hours:?} + {minutes} min"
        );
    }
    // Opened in the hour that comes again, the first time and the second.
    let calendar = calendar("Europe/Berlin", &SUNDAY, ("02:00", "02:30"));
    for (opened, expected) in [
        ("2026-10-25T00:20:00Z", "2026-10-25T01:10Z"),
        ("2026-10-25T00:40:00Z", "2026-10-25T01:20Z"),
    ] {
        assert_eq!(deadline(&calendar, opened, 20), expected, "{opened}");
    }
}

#[test]
fn other_zones_have_their_own_ways() {
    let office = |zone| calendar(zone, &WEEK, ("09:00", "17:00"));
    let night = |hours| calendar("Australia/Lord_Howe", &SUNDAY, hours);
    for (calendar, opened, minutes, expected) in [
        // The United States change their clocks on other days: Friday 16:30, then Monday 09:30.
        (
            office("America/New_York"),
            "2026-03-06T21:30:00Z",
            60,
            "2026-03-09T13:30Z",
        ),
        (
            office("America/New_York"),
            "2026-10-30T20:30:00Z",
            60,
            "2026-11-02T14:30Z",
        ),
        // Half an hour off, no changes; Sunday evening in UTC is Monday there.
        (
            office("Asia/Kolkata"),
            "2026-11-21T12:00:00Z",
            60,
            "2026-11-23T04:30Z",
        ),
        (
            office("Asia/Kolkata"),
            "2026-11-22T20:00:00Z",
            60,
            "2026-11-23T04:30Z",
        ),
        // Half an hour back: at 02:00 (15:00Z) the clock goes to 01:30.
        (
            night(("01:00", "03:00")),
            "2026-04-04T14:00:00Z",
            135,
            "2026-04-04T16:15Z",
        ),
        (
            night(("01:45", "02:00")),
            "2026-04-04T14:00:00Z",
            20,
            "2026-04-04T15:20Z",
        ),
        // Half an hour forward: at 02:00 (15:30Z) the clock goes to 02:30.
        (
            night(("01:00", "03:00")),
            "2026-10-03T14:30:00Z",
            75,
            "2026-10-03T15:45Z",
        ),
        (
            night(("01:00", "03:00")),
            "2026-10-03T14:30:00Z",
            91,
            "2026-10-10T14:01Z",
        ),
    ] {
        assert_eq!(
            deadline(&calendar, opened, minutes),
            expected,
            "{calendar:?} {opened}"
        );
    }
}

#[test]
fn reminders_come_before_in_the_same_hours() {
    let opened = utc("2026-11-20T15:00:00Z");
    let always = schedule(opened, &gate(24 * HOUR, None)).unwrap();
    assert_eq!(always.deadline, utc("2026-11-21T15:00:00Z"));
    assert_eq!(
        always.reminders,
        [utc("2026-11-21T03:00:00Z"), utc("2026-11-21T12:36:00Z")]
    );
    let office = calendar("Europe/Berlin", &WEEK, ("09:00", "17:00"));
    let office = schedule(opened, &gate(2 * HOUR, Some(office))).unwrap();
    assert_eq!(
        office.reminders,
        [utc("2026-11-20T16:00:00Z"), utc("2026-11-23T08:48:00Z")]
    );
    // A hundredth of a few seconds is no whole second.
    let short = GatePolicy {
        reminders_percent: vec![1],
        ..gate(1, None)
    };
    assert_eq!(
        schedule(opened, &short).unwrap().reminders,
        [opened + TimeDelta::milliseconds(10)]
    );
}

#[test]
fn a_calendar_that_cannot_be_used_says_why() {
    let good = calendar("Europe/Berlin", &WEEK, ("09:00", "17:00"));
    assert_eq!(check(&good, 90 * 24 * HOUR), Ok(()));
    let problem = |change: fn(&mut Calendar)| {
        let mut calendar = good.clone();
        change(&mut calendar);
        let gate = gate(HOUR, Some(calendar.clone()));
        let problem = check(&calendar, HOUR).unwrap_err();
        let scheduled = schedule(utc("2026-11-24T09:00:00Z"), &gate);
        // What has too many holidays may still work.
        if let Err(scheduled) = scheduled {
            assert_eq!(scheduled, problem);
        }
        (problem.key(), problem.to_string())
    };
    for (change, key, words) in [
        (
            (|calendar| calendar.time_zone = "Europe/Bonn".into()) as fn(&mut Calendar),
            "time_zone",
            "`Europe/Bonn` is no time zone",
        ),
        (|calendar| calendar.days.clear(), "days", "no day"),
        (
            |calendar| calendar.to = calendar.from,
            "to",
            "end at 09:00 and begin at 09:00",
        ),
        (|calendar| calendar.to = time("08:00"), "to", "end at 08:00"),
        (
            |calendar| calendar.holidays = vec![NaiveDate::MIN; 31],
            "holidays",
            "names 31 holidays",
        ),
    ] {
        let (named, reason) = problem(change);
        assert_eq!(named, key, "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn the_search_ends() {
    let rare = calendar("UTC", &SUNDAY, ("09:00", "09:01"));
    let problem = check(&rare, 5 * HOUR).unwrap_err();
    assert!(
        matches!(problem, CalendarProblem::TooRare { days: 2184, .. }),
        "{problem}"
    );
    let opened = utc("2026-11-24T09:00:00Z");
    // Nobody checked it.
    let never = schedule(opened, &gate(24 * HOUR, Some(rare)));
    assert!(
        matches!(never, Err(CalendarProblem::TooRare { .. })),
        "{never:?}"
    );
    for calendar in [None, Some(calendar("UTC", &WEEK, ("09:00", "17:00")))] {
        assert!(schedule(opened, &gate(u64::MAX, calendar)).is_err());
    }
    let far = schedule(DateTime::<Utc>::MAX_UTC, &gate(HOUR, None));
    assert!(far.is_err());
}

/// A calendar, and an opening in the day and a half before the zone's clocks are changed, or soon after.
fn any_case() -> impl Strategy<Value = (Calendar, DateTime<Utc>)> {
    let changes = prop::sample::select(vec![
        ("UTC", "2026-02-28T12:00:00Z"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z"),
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("America/St_Johns", "2026-11-01T04:30:00Z"),
        ("Asia/Kolkata", "2026-12-31T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("Africa/Casablanca", "2026-02-15T02:00:00Z"),
    ]);
    let all = [&WEEK[..], &[Weekday::Sat, Weekday::Sun]].concat();
    let days = prop::sample::subsequence(all, 1..=7);
    let hours = (0_u32..1380, 60_u32..600);
    let case = (changes, days, hours, -2200_i64..300, 0_u64..14, 0_usize..3);
    case.prop_map(
        |((zone, change), days, (from, length), opened, holiday, holidays)| {
            let minute =
                |minute: u32| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
            let change = utc(change);
            let first = change.date_naive() + Days::new(holiday);
            let calendar = Calendar {
                time_zone: zone.into(),
                days,
                from: minute(from),
                to: minute((from + length).min(1439)),
                holidays: first.iter_days().take(holidays).collect(),
            };
            (calendar, change + TimeDelta::minutes(opened))
        },
    )
}

/// The same question, asked of a clock on the wall.
fn is_open(calendar: &Calendar, at: DateTime<Utc>) -> bool {
    let zone: Tz = calendar.time_zone.parse().unwrap();
    let local = zone.from_utc_datetime(&at.naive_utc());
    let date = local.date_naive();
    calendar.days.contains(&local.weekday())
        && !calendar.holidays.contains(&date)
        && (calendar.from..calendar.to).contains(&local.time())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn business_time_until_the_deadline_is_the_time_out(
        (calendar, opened) in any_case(),
        minutes in 1_u64..600,
    ) {
        let gate = gate(minutes * 60, Some(calendar.clone()));
        let Schedule { deadline, reminders } = schedule(opened, &gate).unwrap();
        let mut counted = 0;
        let mut at = opened;
        while at < deadline {
            counted += u64::from(is_open(&calendar, at));
            at += TimeDelta::minutes(1);
        }
        prop_assert_eq!(at, deadline, "minutes fit");
        prop_assert_eq!(counted, minutes);
        // The last moment before it is in the hours, and so is that of each reminder.
        for end in reminders.iter().chain([&deadline]) {
            prop_assert!(is_open(&calendar, *end - TimeDelta::milliseconds(1)), "{}", end);
        }
        prop_assert!(reminders.iter().all(|reminder| opened < *reminder && *reminder < deadline));
    }

    #[test]
    fn more_time_never_ends_earlier(
        (calendar, opened) in any_case(),
        seconds in 1_u64..100_000,
        more in 1_u64..100_000,
    ) {
        let deadline = |seconds| {
            let gate = gate(seconds, Some(calendar.clone()));
            schedule(opened, &gate).unwrap().deadline
        };
        prop_assert!(deadline(seconds) < deadline(seconds + more));
        prop_assert!(deadline(seconds) >= opened + TimeDelta::seconds(seconds.try_into().unwrap()));
    }

    #[test]
    fn what_passed_the_check_always_has_a_deadline(
        (calendar, opened) in any_case(),
        seconds in 1_u64..=90 * 24 * 3600,
    ) {
        if check(&calendar, seconds).is_ok() {
            prop_assert!(schedule(opened, &gate(seconds, Some(calendar))).is_ok());
        }
    }
}
