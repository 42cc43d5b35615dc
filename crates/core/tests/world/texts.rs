//! Task files as tests write them, and what the reader makes of them.
#![allow(dead_code)] // Each file of tests takes what it needs.

use oncely_core::task::{Bundle, Diagnostic, Task, load};

/// A file at its place, with no other beside it.
pub(crate) fn bundle(path: &str, text: &str) -> Bundle {
    Bundle {
        path: path.into(),
        text: text.into(),
        executable: false,
        files: Default::default(),
    }
}

/// A file that may be executed.
pub(crate) fn script(path: &str, text: &str) -> Bundle {
    Bundle {
        executable: true,
        ..bundle(path, text)
    }
}

/// A task with this text.
pub(crate) fn task_file(text: &str) -> Bundle {
    bundle("tasks/t.toml", text)
}

/// A task that is called, with these steps.
pub(crate) fn called(steps: &str) -> Bundle {
    task_file(&format!("on.call = {{}}\n{steps}"))
}

/// What is wrong, one fault a line.
pub(crate) fn words(errors: &[Diagnostic]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The task, or what is wrong with its file.
pub(crate) fn read(bundle: &Bundle) -> Result<Task, String> {
    load(bundle).map_err(|errors| words(&errors))
}

/// A task that is called and has these steps.
pub(crate) fn task(steps: &str) -> Task {
    read(&called(steps)).unwrap_or_else(|told| panic!("{told}: {steps}"))
}

/// A task with one step, `a`.
pub(crate) fn one(step: &str) -> Task {
    task(&format!("[[step]]\nid = \"a\"\n{step}\n"))
}
