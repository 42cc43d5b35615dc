//! The documentation names only what is there: tests, files, and headings that links lead to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Files with this ending in a folder and those below it, without what is built.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                files(&entry.path(), ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(entry.path());
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    files(&root(), ".md", &mut pages);
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

/// What stands between backticks, outside of blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    outside_of_blocks(text)
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

fn outside_of_blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

fn is_name_of_a_test(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    word.matches('_').count() > 3 && word.chars().all(plain)
}

#[test]
fn the_guarantees_name_tests_and_files_that_are_there() {
    let crates = root().join("crates");
    let mut sources = Vec::new();
    files(&crates, ".rs", &mut sources);
    let sources: String = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let text = fs::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let mut tests = 0;
    let mut missing = BTreeSet::new();
    for word in quoted(&text) {
        let there = if is_name_of_a_test(word) {
            tests += 1;
            // One that is asked of every store may be generic.
            sources.contains(&format!("fn {word}(")) || sources.contains(&format!("fn {word}<"))
        } else if word.ends_with(".rs") && word.contains('/') {
            crates.join(word).is_file()
        } else {
            true
        };
        if !there {
            missing.insert(word);
        }
    }
    assert!(tests > 50, "only {tests} tests are named");
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

/// Targets of links: `[words](target)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    outside_of_blocks(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
}

/// The anchor that a heading has on the usual sites: small letters, hyphens for spaces, no signs.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

fn leads_somewhere(page: &Path, target: &str) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => page.to_owned(),
        file => page.parent().unwrap().join(file),
    };
    if heading.is_empty() {
        return file.exists();
    }
    fs::read_to_string(&file).is_ok_and(|text| {
        outside_of_blocks(&text)
            .filter(|line| line.starts_with('#'))
            .any(|line| anchor(line) == heading)
    })
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            links += 1;
            if !leads_somewhere(&page, target) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(links > 60, "only {links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}
