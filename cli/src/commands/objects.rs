//! `sallyport objects`: the object storage of an installation.

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use sallyport_ledger::{
    Objects,
    garbage::{self, Collected, GarbageError},
};

use super::{count, grouped, print, print_json};
use crate::{
    arguments::CollectArguments,
    exit::{Exit, Problem},
    operator,
};

/// Removes objects that nothing refers to, or says what would be removed.
pub async fn collect(arguments: CollectArguments) -> Result<(), Problem> {
    let config = operator::config(&arguments.installation)?;
    let days = config.retention.unreferenced_objects_days;
    if days == 0 {
        let message = "`retention.unreferenced_objects_days` is 0: nothing is ever removed";
        return Err(Problem::new(Exit::Usage, message.to_owned()));
    }
    let database = operator::database(&config).await?;
    let objects = Objects::open(&config.objects).context("cannot open the object storage")?;
    let safe_age = TimeDelta::days(i64::from(days));
    let done = garbage::collect(&database, &objects, Utc::now(), safe_age, arguments.dry_run).await;
    database.close().await;
    let done = done.map_err(|error| {
        let exit = match &error {
            GarbageError::NothingReferred(_) => Exit::Usage,
            GarbageError::Ledger(_) | GarbageError::Objects(_) => Exit::Failed,
        };
        Problem::new(exit, error.to_string())
    })?;
    if arguments.json {
        return print_json(&done);
    }
    print(&render(&done, days, arguments.dry_run))
}

fn render(done: &Collected, days: u32, dry_run: bool) -> String {
    let objects = |many: u64| count(many, "object");
    let (removed, purged, recovered) = if dry_run {
        (
            "would go",
            "would go from the trash for good",
            "would come back from the trash",
        )
    } else {
        (
            "went",
            "went from the trash for good",
            "came back from the trash",
        )
    };
    let mut text = format!(
        "{}: {} referred to, {} not, but younger than {days} days\n{} {removed} into the trash, {} bytes\n",
        objects(done.objects),
        grouped(done.referred),
        grouped(done.young),
        objects(done.removed),
        grouped(done.removed_bytes),
    );
    for (many, what) in [(done.purged, purged), (done.recovered, recovered)] {
        if many > 0 {
            text.push_str(&format!("{} {what}\n", objects(many)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_in_words() {
        let done = Collected {
            objects: 1200,
            referred: 1196,
            young: 3,
            removed: 1,
            removed_bytes: 12_345,
            recovered: 0,
            purged: 2,
        };
        assert_eq!(
            render(&done, 7, true),
            "1,200 objects: 1,196 referred to, 3 not, but younger than 7 days\n\
             1 object would go into the trash, 12,345 bytes\n\
             2 objects would go from the trash for good\n"
        );
        let done = Collected {
            recovered: 1,
            purged: 0,
            ..done
        };
        assert!(render(&done, 7, false).ends_with("1 object came back from the trash\n"));
    }
}
