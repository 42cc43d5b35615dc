//! The reference in `docs/` says what the reader takes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::Path;

/// `ONCELY_WRITE_DOCS=1 cargo test -p oncely-core --test reference` writes the page anew.
#[test]
fn the_reference_is_made_from_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let made = oncely_core::task::reference();
    if std::env::var_os("ONCELY_WRITE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/reference.md is behind the tables of crates/core/src/task: run \
         `ONCELY_WRITE_DOCS=1 cargo test -p oncely-core --test reference`"
    );
}
