//! Floods, bombs and survivors.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::*;

#[tokio::test]
async fn processes_are_limited_in_each_room_for_itself() {
    let house = House::new();
    let fork = r#"perl -e 'while ($n < 500) { my $pid = fork; last unless defined $pid; if (!$pid) { sleep 60; exit } $n++ } print $n; kill 9, -1'"#;
    let limits = || Limits {
        processes: 40,
        ..Limits::for_commands()
    };
    let (first, second) = tokio::join!(
        house.run_within(limits(), fork),
        house.run_within(limits(), fork)
    );
    for result in [first, second] {
        let forks: u32 = result
            .output
            .text
            .parse()
            .unwrap_or_else(|_| panic!("{result:?}"));
        assert!((20..40).contains(&forks), "{forks} forks");
    }
}

#[tokio::test]
async fn a_fork_bomb_ends_with_its_time() {
    let house = House::new();
    let limits = Limits {
        processes: 100,
        wall: Duration::from_secs(2),
        ..Limits::for_commands()
    };
    let marker = marker();
    let bomb = format!("b() {{ sleep {marker} & b | b & }}; b; sleep {marker}");
    let result = house.run_within(limits, &bomb).await;
    assert_eq!(result.stopped, Some(Stopped::TimeUp));
    assert!(!runs(&marker));
}

#[tokio::test]
async fn a_flood_of_output_is_read_and_forgotten() {
    let house = House::new();
    let result = house
        .run("head -c 60000000 /dev/zero | tr '\\0' x; echo the end")
        .await;
    assert_eq!((result.exit, result.output.total_bytes), (0, 60_000_008));
    assert!(result.output.text.len() < 300_000);
    assert!(
        result.output.text.ends_with("xthe end\n"),
        "the end is what tells how it went"
    );
}

#[tokio::test]
async fn memory_and_disk_are_limited() {
    let house = House::new();
    let limits = Limits {
        memory_bytes: 256 << 20,
        file_bytes: 10 << 20,
        tmp_bytes: 20 << 20,
        ..Limits::for_commands()
    };
    let command = "perl -e '$n = 1 << 30; $x = \"x\" x $n; print \"got it\"'; echo \"memory $?\"; \
                   head -c 30M /dev/zero >/room/big; echo \"file $?\"; stat -c %s /room/big; \
                   for i in 1 2 3; do head -c 9M /dev/zero >/tmp/$i || echo \"tmp full\"; done; \
                   for i in $(seq 9); do head -c 9M /dev/zero >/dev/shm/$i || echo \"shm full\"; done";
    let text = house.run_within(limits, command).await.output.text;
    assert!(
        !text.contains("got it") && text.contains("memory 1\n"),
        "{text}"
    );
    assert!(text.contains("\n10485760\n"), "{text}");
    assert!(
        text.contains("tmp full") && text.contains("shm full"),
        "{text}"
    );
}

/// Each process takes little, and all together more than the room may have.
#[tokio::test]
async fn memory_is_limited_for_the_room_as_a_whole() {
    let house = House::new();
    if !house.sandbox.engine.limits_rooms() {
        eprintln!("not tried: this host has no control groups for rooms");
        return;
    }
    let limits = Limits {
        room_memory_bytes: 200 << 20,
        ..Limits::for_commands()
    };
    let hold = |count: usize| {
        format!(
            "for i in $(seq {count}); do perl -e '$x = \"x\" x (50 << 20); sleep 1; print \"held\\n\"' & done; \
             for job in $(jobs -p); do wait $job || failed=1; done; [ -z \"$failed\" ]"
        )
    };
    let result = house.run_within(limits.clone(), &hold(1)).await;
    assert!(result.success(), "{result:?}");
    let result = house.run_within(limits, &hold(8)).await;
    assert_eq!(result.stopped, Some(Stopped::OutOfMemory), "{result:?}");
    assert!(
        result
            .output
            .text
            .contains("the room's memory ran out: 200 MiB"),
        "{result:?}"
    );
}

/// The kernel cannot be made to run out of memory in a test, but what it then does can be: it kills, and counts.
#[tokio::test]
async fn a_command_that_was_killed_for_memory_is_no_broken_sandbox() {
    let mut house = House::new();
    if house.is_docker() {
        return; // whose engine tells by itself
    }
    let counters = house.folder.path().join("vmstat");
    let count =
        |kills: u32| fs::write(&counters, format!("pgfault 5\noom_kill {kills}\n")).unwrap();
    house.sandbox.counters = counters.clone();

    count(3);
    let result = house.run("echo so far; kill -9 $$").await;
    assert_eq!(
        (result.exit, result.stopped),
        (137, None),
        "no kernel did that"
    );

    let marker = marker();
    for (victim, exit) in [("sleep", 137), ("bwrap", 137)] {
        count(3);
        let command = format!("echo so far; exec sleep {marker}");
        let (result, ()) = tokio::join!(house.run(&command), async {
            let program = format!("sleep\0{marker}\0");
            while !runs(&program) {
                tokio::task::yield_now().await;
            }
            count(4);
            kill_one(victim, &marker);
        });
        assert_eq!(
            (result.exit, &result.stopped),
            (exit, &Some(Stopped::OutOfMemory)),
            "{victim}"
        );
        assert!(result.output.text.starts_with("so far\n"));
        assert!(result.output.text.contains("memory ran out"));
        assert!(!runs(&marker));
    }

    // Another one may have been meant: this one ended by itself.
    count(3);
    let (result, ()) = tokio::join!(
        house.run("while ! [ -e /room/go ]; do :; done; exit 4"),
        async {
            count(4);
            fs::write(house.workspace().join("go"), "").unwrap();
        }
    );
    assert_eq!((result.exit, result.stopped), (4, None));
    assert!(result.output.text.contains("memory ran out"));
}

/// Kills the first process called `program` that has `marker` in its command line.
fn kill_one(program: &str, marker: &str) {
    let victim = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        name.trim() == program
            && line
                .windows(marker.len())
                .any(|part| part == marker.as_bytes())
    });
    let id = victim
        .unwrap()
        .file_name()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn nothing_outlives_its_room() {
    let house = House::new();
    let marker = marker();
    let command = format!(
        "setsid sleep {marker} </dev/null >/dev/null 2>&1 & \
         (trap '' TERM HUP; while :; do echo x >>/room/alive; sleep 0.0{marker}; done) >/dev/null 2>&1 & \
         while ! [ -s /room/alive ]; do :; done; exit 5"
    );
    let result = house.run(&command).await;
    assert_eq!((result.exit, result.stopped), (5, None));
    assert!(!runs(&marker), "survivors");

    let limits = Limits {
        wall: Duration::from_millis(500),
        ..Limits::for_commands()
    };
    let ended = house
        .run_within(limits, &format!("sleep {marker} & echo started; wait"))
        .await;
    assert_eq!(
        (ended.output.text.as_str(), ended.stopped),
        ("started\n", Some(Stopped::TimeUp))
    );
    assert!(!runs(&marker), "survivors of a time-out");
}

#[tokio::test]
async fn a_dropped_room_is_killed() {
    let house = House::new();
    let marker = marker();
    let room = Room::new(Layer::Inner, house.workspace(), Limits::for_commands());
    let mut process = house
        .sandbox
        .spawn(
            &room,
            &["/bin/bash", "-c", &format!("echo up; exec sleep {marker}")],
        )
        .await
        .unwrap();
    let mut said = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut said).await.unwrap();
    assert_eq!((said.as_str(), runs(&marker)), ("up\n", true));
    drop(process);
    // Ends when the last process that could write is gone.
    output.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "up\n");
}

#[tokio::test]
async fn the_launcher_caps_what_reaches_pi() {
    let house = House::new();
    let (exit, output) = house
        .run_through_launcher(
            house.agent_room(),
            "head -c 50000000 /dev/zero | tr '\\0' x; echo the end; exit 4",
        )
        .await;
    assert_eq!(exit, 4);
    assert!(output.total_bytes < 1_100_000, "{}", output.total_bytes);
    assert!(output.text.contains("left out") && output.text.ends_with("the end\n"));

    let (exit, output) = house
        .run_through_launcher(
            house.agent_room(),
            "echo \"it's\" 'a \"word\"'; echo bad >&2",
        )
        .await;
    assert_eq!((exit, output.text.as_str()), (0, "it's a \"word\"\nbad\n"));
}
