//! Files of the Ruby gem after_party, as they are: `YYYYMMDDHHMMSS_name.rake` defines the Rake task
//! `after_party:name`. Such a file is a release task of one step, which runs that Rake task. It runs
//! at every release until the gem's table has its version.

use super::diagnostic::Problem;
use super::fields::{Shape, outputs};
use super::load::{Reading, parsed, top};
use super::model::{ActionKind, ActionSpec, Bundle, Step, Trigger, Work};
use super::policy::POLICY;
use super::reader::{Reader, Table};
use super::script::{self, Header};
use super::top::{FileName, TOP};
use crate::backoff::Retry;
use crate::ids::StepId;
use crate::limits;
use crate::template::Node;
use std::collections::BTreeMap;

/// What names of such files end with.
pub(super) const ENDING: &str = "rake";

/// The program that runs Rake tasks, from the project's root.
const RAILS: &str = "bin/rails";

/// The version and the name that the gem reads from a file's name: the first digits before a `_`,
/// and what follows. None of a file that the gem passes over.
#[must_use]
pub fn rake_name(path: &str) -> Option<(&str, &str)> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.strip_suffix(".rake")?;
    let digit = |c: char| c.is_ascii_digit();
    stem.match_indices('_').find_map(|(at, _)| {
        let (before, rest) = stem.split_at(at);
        let digits = before.len() - before.trim_end_matches(digit).len();
        let name = rest.strip_prefix('_').filter(|name| !name.is_empty())?;
        let version = before.get(before.len() - digits..)?;
        (!version.is_empty()).then_some((version, name))
    })
}

pub(super) fn rake_file(
    reader: &mut Reader<'_>,
    bundle: &Bundle,
    name: &FileName<'_>,
    reading: &mut Reading,
) {
    let Some(rake) = checked_name(reader, bundle, name) else {
        return;
    };
    let header = script::header(&bundle.text);
    super::load::check_header(reader, &header);
    let Some(tree) = parsed(reader, &header.toml) else {
        return;
    };
    let table = Table {
        entries: tree.get_ref(),
        span: header.begin.clone().unwrap_or(0..0),
    };
    known_keys(reader, &table);
    let mut top = top(reader, &table, name, reading);
    if let Some(Trigger::Release(release)) = &mut top.on {
        release.until_recorded = !release.every;
    }
    top.title = top.title.or_else(|| description(&bundle.text, &header));
    let shape = Shape::Known(outputs(ActionKind::Command));
    let mut policy = reader.policy(&table, &top.scope(), "run", shape);
    // The gem tries once, and waits as long as it takes.
    if !table.has("retry") {
        policy.retry = Retry::NEVER;
    }
    policy.timeout_ms = policy.timeout_ms.or(Some(limits::RAKE_MS));
    let args = serde_json::json!([RAILS, format!("after_party:{rake}")]);
    let options = Node::Table(vec![("args".into(), Node::Fixed(args))]);
    let step = Step {
        id: StepId::from("run"),
        policy,
        work: Work::Action(ActionSpec::new(ActionKind::Command, options)),
    };
    reading.task = top.task(bundle, vec![step]);
}

/// The name of the Rake task, where the file is named as oncely and the gem both read it.
fn checked_name<'b>(
    reader: &mut Reader<'_>,
    bundle: &'b Bundle,
    name: &FileName<'_>,
) -> Option<&'b str> {
    let found = rake_name(&bundle.path);
    if let Some((version, rake)) = found
        && name.version == Some(version)
    {
        return Some(rake);
    }
    let problem = match found {
        Some((version, rake)) => Problem::new(format!(
            "after_party reads the version {version} from the middle of this name"
        ))
        .help(format!("name the file {version}_{rake}.rake")),
        None => Problem::new("the name of an after_party task is YYYYMMDDHHMMSS_name.rake"),
    };
    reader.report(0..0, problem);
    None
}

fn known_keys(reader: &mut Reader<'_>, table: &Table<'_, '_>) {
    let top = TOP.iter().map(|(name, _)| *name);
    let keys: Vec<_> = top
        .filter(|key| *key != "step")
        .chain(POLICY.iter().map(|(name, _)| *name))
        .collect();
    reader.known(table, &keys, "the header of a rake file");
}

/// The text of the first `desc` that stands in quotes on a line of its own.
fn description(text: &str, header: &Header) -> Option<String> {
    let after = header.begin.as_ref().map_or(0, |span| span.start);
    let lines = text.get(after..).unwrap_or(text).lines();
    let said = lines.filter_map(|line| {
        let rest = line.trim().strip_prefix("desc")?;
        let rest = rest.trim_start_matches([' ', '\t', '(']);
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (said, _) = rest.get(1..)?.split_once(quote)?;
        Some(said.to_owned())
    });
    said.into_iter().find(|said| !said.is_empty())
}

/// Rake tasks, and the files that define each.
pub(super) struct Defined<'b> {
    by_name: BTreeMap<&'b str, Vec<&'b str>>,
}

impl<'b> Defined<'b> {
    pub(super) fn by(bundles: &'b [Bundle]) -> Self {
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for bundle in bundles {
            if let Some((_, name)) = rake_name(&bundle.path) {
                by_name.entry(name).or_default().push(bundle.path.as_str());
            }
        }
        Self { by_name }
    }

    /// What is wrong with a file whose Rake task another one defines too: Rake would run both
    /// bodies, each time.
    pub(super) fn twice(&self, path: &str) -> Option<Problem> {
        let (_, name) = rake_name(path)?;
        let other = self.by_name.get(name)?.iter().find(|p| **p != path)?;
        Some(
            Problem::new(format!("two rake files define after_party:{name}"))
                .label(format!("the other is {other}"))
                .help("Rake would run both of them each time: rename one, its file and its task"),
        )
    }
}
