//! When a gate closes by itself, and when people are reminded before: by the wall clock, or in the business hours of a
//! time zone. Pure: the same opening and policy always give the same instants.
//!
//! An instant is in business hours if a clock on the wall shows a time from `from` up to, but not including, `to`, on one
//! of the days and on no holiday. So an hour that a change of the clocks leaves out does not count, and one that the clock
//! shows twice counts twice.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Offset as _, TimeDelta, TimeZone as _,
    Utc, Weekday,
};
use chrono_tz::Tz;
use sallyport_workflows::policy::{Calendar, GatePolicy};

/// The most holidays that one calendar may name.
pub const MAXIMUM_HOLIDAYS: usize = 30;

/// How far a gate's time may reach in days, however rarely its calendar opens: five years. What is beyond is not looked
/// at.
pub const LONGEST_DAYS: u64 = 5 * 366;

/// Weeks of the longest time that may have fewer business hours than others because the clocks were changed.
const CLOCK_CHANGES: u64 = 12;

/// When a gate closes by itself, and when people are reminded before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When silence closes the gate.
    pub deadline: DateTime<Utc>,
    /// When people are reminded, ascending.
    pub reminders: Vec<DateTime<Utc>>,
}

/// A calendar that no deadline can be computed with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarProblem {
    /// The time zone is none.
    #[error("`{0}` is no time zone; use an IANA name such as Europe/Berlin")]
    UnknownZone(String),
    /// No day is named.
    #[error("it names no day; name at least one, such as Mon")]
    NoDays,
    /// The hours end before they begin.
    #[error("the hours end at {to} and begin at {from}; they must end later on the same day", to = .to.format("%H:%M"), from = .from.format("%H:%M"))]
    EndsTooEarly {
        /// When they begin.
        from: NaiveTime,
        /// When they end.
        to: NaiveTime,
    },
    /// More holidays than are taken.
    #[error(
        "it names {0} holidays; at most {MAXIMUM_HOLIDAYS} are taken, so leave out those that are past"
    )]
    TooManyHolidays(usize),
    /// The time could take longer than is looked ahead.
    #[error(
        "it opens too rarely: {seconds} s of its hours could take {days} days, and at most {LONGEST_DAYS} are waited"
    )]
    TooRare {
        /// The time asked for, in seconds.
        seconds: u64,
        /// How long that could take.
        days: u64,
    },
}

impl CalendarProblem {
    /// The calendar's key that it is about; nothing where it is about all of it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::UnknownZone(_) => "time_zone",
            Self::NoDays => "days",
            Self::EndsTooEarly { .. } => "to",
            Self::TooManyHolidays(_) => "holidays",
            Self::TooRare { .. } => "",
        }
    }
}

/// Computes when a gate that opened at `opened_at` closes and reminds.
pub fn schedule(opened_at: DateTime<Utc>, gate: &GatePolicy) -> Result<Schedule, CalendarProblem> {
    let hours = gate.calendar.as_ref().map(Hours::of).transpose()?;
    // In thousandths of a second, so that a hundredth of the time is exact.
    let after = |percent: u64| {
        let milliseconds = gate
            .timeout_seconds
            .saturating_mul(10)
            .saturating_mul(percent);
        let time = TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX));
        let at = match &hours {
            Some(hours) => hours.after(opened_at, time),
            None => within_reach(opened_at, time),
        };
        at.ok_or(CalendarProblem::TooRare {
            seconds: gate.timeout_seconds,
            days: LONGEST_DAYS + 1,
        })
    };
    Ok(Schedule {
        reminders: gate
            .reminders_percent
            .iter()
            .map(|percent| after(u64::from(*percent)))
            .collect::<Result<_, _>>()?,
        deadline: after(100)?,
    })
}

/// Checks that a deadline can be computed whenever a gate with this calendar opens, for `seconds` of its hours.
pub fn check(calendar: &Calendar, seconds: u64) -> Result<(), CalendarProblem> {
    let hours = Hours::of(calendar)?;
    let holidays = calendar.holidays.len();
    if holidays > MAXIMUM_HOLIDAYS {
        return Err(CalendarProblem::TooManyHolidays(holidays));
    }
    // A holiday takes at most the hours of one week's only day away, and so does a change of the clocks.
    let weeks = seconds.div_ceil(hours.seconds_a_week()) + holidays as u64 + CLOCK_CHANGES;
    let days = weeks.saturating_mul(7);
    if days > LONGEST_DAYS {
        return Err(CalendarProblem::TooRare { seconds, days });
    }
    Ok(())
}

fn within_reach(from: DateTime<Utc>, time: TimeDelta) -> Option<DateTime<Utc>> {
    let at = from.checked_add_signed(time)?;
    (at <= from.checked_add_days(Days::new(LONGEST_DAYS))?).then_some(at)
}

/// A calendar that is in order.
struct Hours {
    zone: Tz,
    days: BTreeSet<u32>,
    from: NaiveTime,
    to: NaiveTime,
    holidays: BTreeSet<NaiveDate>,
}

impl Hours {
    fn of(calendar: &Calendar) -> Result<Self, CalendarProblem> {
        let zone = calendar
            .time_zone
            .parse()
            .map_err(|_| CalendarProblem::UnknownZone(calendar.time_zone.clone()))?;
        if calendar.days.is_empty() {
            return Err(CalendarProblem::NoDays);
        }
        let (from, to) = (calendar.from, calendar.to);
        if to <= from {
            return Err(CalendarProblem::EndsTooEarly { from, to });
        }
        Ok(Self {
            zone,
            days: calendar.days.iter().map(day_number).collect(),
            from,
            to,
            holidays: calendar.holidays.iter().copied().collect(),
        })
    }

    fn seconds_a_week(&self) -> u64 {
        let a_day = (self.to - self.from).num_seconds().max(1);
        self.days.len() as u64 * a_day.unsigned_abs()
    }

    /// When `time` of business hours has passed since `start`; nothing if that is out of reach.
    fn after(&self, start: DateTime<Utc>, time: TimeDelta) -> Option<DateTime<Utc>> {
        let last = start.checked_add_days(Days::new(LONGEST_DAYS))?;
        let (mut at, mut left) = (start, time);
        while at < last {
            let (open, until) = self.stretch(at)?;
            if open {
                if left <= until - at {
                    return Some(at + left);
                }
                left -= until - at;
            }
            at = until;
        }
        None
    }

    /// Whether `at` is in business hours, and an instant after it up to which that stays so: a day later at most.
    fn stretch(&self, at: DateTime<Utc>) -> Option<(bool, DateTime<Utc>)> {
        let offset = self.offset(at);
        let local = at.naive_utc().checked_add_signed(offset)?;
        let (date, time) = (local.date(), local.time());
        let business =
            self.days.contains(&day_number(&date.weekday())) && !self.holidays.contains(&date);
        let open = business && self.from <= time && time < self.to;
        let until = if open {
            date.and_time(self.to)
        } else if business && time < self.from {
            date.and_time(self.from)
        } else {
            date.succ_opt()?.and_time(NaiveTime::MIN)
        };
        let until = until.checked_sub_signed(offset)?.and_utc();
        Some((open, self.before_clock_change(at, until)?))
    }

    /// `until`, or the instant before it at which the clocks are changed. They are not changed twice in a day.
    fn before_clock_change(
        &self,
        at: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let offset = self.offset(at);
        if self.offset(until) == offset {
            return Some(until);
        }
        // Clocks are changed at whole seconds.
        let (mut same, mut other) = (at.timestamp(), until.timestamp());
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.offset(DateTime::from_timestamp(middle, 0)?) == offset {
                same = middle;
            } else {
                other = middle;
            }
        }
        DateTime::from_timestamp(other, 0)
    }

    /// What a clock in the zone shows more than UTC.
    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }
}

fn day_number(day: &Weekday) -> u32 {
    day.num_days_from_monday()
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
