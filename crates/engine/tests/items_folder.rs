//! `for_each` over the files of a folder, and over JSON lines: in order, each once, whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::ledger::{Op, Unit};
use std::collections::BTreeSet;

promises! {
    files_come_in_the_order_of_their_names_and_say_what_they_are,
    a_killed_folder_goes_on_at_the_next_file_while_files_come_and_go,
    what_leads_out_of_the_project_is_set_aside,
    a_folder_that_cannot_be_read_is_said,
    killed_json_lines_go_on_at_the_next_record,
}

fn each(folder: &str, word: &str) -> oncely_engine::Known {
    task(&format!(
        "[[step]]\nid='s'\nretry={{attempts=1}}\nfor_each={{read='{folder}',as='files',match='*.csv'}}\n\
         [[step.do]]\nid='c'\ncommand=['x','{word}']"
    ))
}

fn folder(stage: &Stage, files: usize) {
    std::fs::create_dir_all(stage.root().join("in/sub.csv")).unwrap();
    for n in 0..files {
        stage.file(&format!("in/f{n:03}.csv"), &"x".repeat(n));
    }
    stage.file("in/notes.txt", "");
    stage.file("in/.hidden.csv", "");
    stage.file("in/sub.csv/deep.csv", "");
}

async fn files_come_in_the_order_of_their_names_and_say_what_they_are(stage: Stage) {
    folder(&stage, 40);
    let kit = Kit::default();
    let word = "{{ loop.index }} {{ item.name }} {{ item.path }} {{ item.size }} \
                {{ item.modified > 1000000000000 }}";
    let process = stage.process(&[each("in/", word)], &kit);
    let (_, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let wanted: Vec<String> = (0..40)
        .map(|n| format!("{} f{n:03}.csv in/f{n:03}.csv {n} true", n + 1))
        .collect();
    let mut told = kit.command.args();
    told.sort_by_key(|text| text.split(' ').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(told, wanted);
}

fn moves(units: &[Unit]) -> bool {
    let mut ops = units.iter().flat_map(|u| &u.ops);
    ops.any(|op| matches!(op, Op::Items { .. }))
}

async fn a_killed_folder_goes_on_at_the_next_file_while_files_come_and_go(stage: Stage) {
    folder(&stage, 40);
    let kit = Kit::default();
    kit.command.is(Repeat::WithKey {
        window_ms: 3_600_000,
    });
    let tasks = [each("in", "{{ item.name }} {{ item.size }}")];
    let first = stage.process(&tasks, &kit);
    let run = first.admit("k").await;
    first.tap.fate(|units| match moves(units) {
        true => Fate::CutBefore,
        false => Fate::Pass,
    });
    first.drive_to_death(run).await;
    assert_eq!(kit.command.count(), 32);
    // One that was being worked goes, one changes, one comes before and one behind them.
    std::fs::remove_file(stage.root().join("in/f003.csv")).unwrap();
    stage.file("in/f004.csv", "changed");
    stage.file("in/a.csv", "");
    stage.file("in/z.csv", "");
    let heir = stage.process(&tasks, &kit);
    first.dies(&heir).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    let told: BTreeSet<String> = kit.command.args().into_iter().collect();
    let keys: BTreeSet<String> = kit.command.keys().into_iter().collect();
    let mut wanted: BTreeSet<String> = (0..40).map(|n| format!("f{n:03}.csv {n}")).collect();
    wanted.insert("z.csv 0".into());
    assert_eq!((told, keys.len()), (wanted, 41));
}

async fn what_leads_out_of_the_project_is_set_aside(stage: Stage) {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.csv"), "x").unwrap();
    std::fs::create_dir_all(stage.root().join("in")).unwrap();
    stage.file("in/a.csv", "x");
    let link = |to: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(to, stage.root().join("in").join(name)).unwrap();
    };
    link(&outside.path().join("secret.csv"), "b.csv");
    link(&stage.root().join("in/a.csv"), "c.csv");
    link(std::path::Path::new("nowhere"), "d.csv");
    let kit = Kit::default();
    let process = stage.process(&[each("in", "{{ item.name }}")], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a.csv", "c.csv"]);
    let aside = process.ask().set_aside(run, 0, 10).await.unwrap();
    let why: Vec<_> = aside.iter().map(|(_, item)| item.reason.as_str()).collect();
    assert!(why[0].starts_with("b.csv leads to ") && why[0].ends_with("it is not followed"));
    assert_eq!(why[1], "d.csv: No such file or directory (os error 2)");
    link(outside.path(), "out");
    let process = stage.process(&[each("in/out", "{{ item.name }}")], &kit);
    let (run, rest) = process.play("out").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    let reason = process.reason(run).await;
    assert!(
        reason.contains("in/out does not lie below the project's root"),
        "{reason}"
    );
}

async fn a_folder_that_cannot_be_read_is_said(stage: Stage) {
    stage.file("a.csv", "x");
    let kit = Kit::default();
    for (folder, said) in [
        ("nowhere", "the folder nowhere cannot be read: No such file"),
        (
            "a.csv",
            "a.csv is no folder: `as = \"files\"` goes through the files of one",
        ),
    ] {
        let process = stage.process(&[each(folder, "x")], &kit);
        let (run, rest) = process.play(folder).await;
        assert_eq!(rest, Rest::Ended(RunStatus::Failed));
        let reason = process.reason(run).await;
        assert!(reason.contains(said), "{reason}");
    }
    assert_eq!(kit.command.count(), 0);
}

async fn killed_json_lines_go_on_at_the_next_record(stage: Stage) {
    let lines: Vec<String> = (0..100)
        .map(|n| match n % 10 {
            7 => "{ broken".to_owned(),
            _ => format!("{{\"n\": {n}}}"),
        })
        .collect();
    stage.file("in.jsonl", &lines.join("\n"));
    let text = "[[step]]\nid='s'\nfor_each={read='in.jsonl',as='jsonl'}\n[[step.do]]\nid='c'\n\
                command=['x','{{ item.n }}']";
    for nth in 1..4 {
        let kit = Kit::default();
        kit.command.is(Repeat::WithKey {
            window_ms: 3_600_000,
        });
        let first = stage.process(&[task(text)], &kit);
        let run = first.admit(&format!("k{nth}")).await;
        let mut seen = 0;
        first.tap.fate(move |units| {
            seen += usize::from(moves(units));
            match moves(units) && seen == nth {
                true => Fate::CutBefore,
                false => Fate::Pass,
            }
        });
        first.drive_to_death(run).await;
        let heir = stage.process(&[task(text)], &kit);
        first.dies(&heir).await;
        assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
        // What was in flight is repeated with its key, and nothing else is.
        let (told, keys) = (kit.command.args(), kit.command.keys());
        let numbers: BTreeSet<u32> = told.iter().map(|n| n.parse().unwrap()).collect();
        let wanted: BTreeSet<u32> = (0..100).filter(|n| n % 10 != 7).collect();
        assert_eq!(numbers, wanted);
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 90);
        assert!(told.len() <= 90 + 32, "{}", told.len());
        let aside = heir.ask().set_aside(run, 0, 100).await.unwrap();
        assert_eq!(aside.len(), 10);
    }
}
