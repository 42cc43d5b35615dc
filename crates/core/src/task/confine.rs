//! Data never becomes code or address: what a text may hold, by the class of its option.

use super::actions::Names;
use super::diagnostic::Problem;
use crate::sabotage::{self, Switch};

/// Whether anything in the text would be evaluated.
pub(super) fn has_template(text: &str) -> bool {
    first_template(text).is_some()
}

fn first_template(text: &str) -> Option<usize> {
    ["{{", "{%", "{#"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
}

/// What the author wrote out before anything is evaluated.
fn literal_prefix(text: &str) -> &str {
    first_template(text)
        .and_then(|at| text.get(..at))
        .unwrap_or(text)
}

/// A text that stands as it is written.
pub(super) fn fixed(text: &str, name: &str, way_out: &str) -> Result<(), Problem> {
    if sabotage::is_off(Switch::Confine) {
        return Ok(());
    }
    let mark = ["{{", "{%"].into_iter().find(|mark| text.contains(mark));
    match mark {
        None => Ok(()),
        Some(mark) => Err(Problem::new(format!(
            "`{name}` takes no `{mark}`: data never becomes code or address"
        ))
        .label("nothing is filled in here")
        .help(way_out)),
    }
}

/// A URL of http or https whose host is written out.
pub(super) fn url(text: &str) -> Result<(), Problem> {
    if sabotage::is_off(Switch::Confine) {
        return Ok(());
    }
    let prefix = literal_prefix(text);
    let whole = prefix.len() == text.len();
    let scheme = ["https://", "http://"].into_iter().find(|scheme| {
        prefix
            .get(..scheme.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else {
        return Err(
            Problem::new("a URL begins with `https://` or `http://`, written out")
                .label("scheme and host must stand here as text"),
        );
    };
    let rest = prefix.get(scheme.len()..).unwrap_or_default();
    if !whole && !rest.contains(['/', '?', '#']) {
        return Err(
            Problem::new("the host of a URL is written out: no data may choose it")
                .label("`{{ }}` stands before the first `/` of the path")
                .help("write a task for each host, or `https://host/{{ … }}`"),
        );
    }
    let parsed = url::Url::parse(prefix)
        .map_err(|error| Problem::new(format!("this is not a URL: {error}")))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Problem::new("a URL holds no user and no password")
            .help("use `auth = { basic = { user = \"…\", password = \"{{ secret.NAME }}\" } }`"));
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(Problem::new("the URL has no host"));
    }
    Ok(())
}

/// A path below the project's root, written out.
pub(super) fn fixed_path(text: &str, name: &str) -> Result<(), Problem> {
    fixed(text, name, "write the path out: no data may choose it")?;
    relative(text, text)
}

/// A path below the project's root; its first folder or file is written out.
pub(super) fn path(text: &str) -> Result<(), Problem> {
    if sabotage::is_off(Switch::Confine) {
        return Ok(());
    }
    let prefix = literal_prefix(text);
    let plain = without_expressions(text)
        .ok_or_else(|| Problem::new("a path takes `{{ }}` only, no `{% %}` and no `{# #}`"))?;
    if prefix.len() != text.len() && !prefix.contains('/') {
        return Err(Problem::new(
            "the first folder of a path is written out: no data may choose it",
        )
        .label("`{{ }}` stands before the first `/`")
        .help("write it below a folder: \"out/{{ … }}\""));
    }
    relative(text, &plain)
}

/// The path with a letter in the place of each `{{ }}`.
fn without_expressions(text: &str) -> Option<String> {
    if text.contains("{%") || text.contains("{#") {
        return None;
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        plain.push('x');
        rest = after.split_once("}}").map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    Some(plain)
}

fn relative(text: &str, plain: &str) -> Result<(), Problem> {
    let problem = |what: &str| {
        Err(Problem::new(format!(
            "a path starts at the project's root and stays below it: {what}"
        ))
        .label(format!("{text:?}")))
    };
    if plain.is_empty() {
        return problem("it is empty");
    }
    let first = plain.split('/').next().unwrap_or_default();
    if plain.starts_with('/') || plain.starts_with('~') || first.contains(':') {
        return problem("it is not relative");
    }
    if plain.contains('\\') || plain.contains('\0') {
        return problem("folders are parted by `/`");
    }
    let trimmed = plain.strip_suffix('/').unwrap_or(plain);
    if trimmed
        .split('/')
        .any(|part| matches!(part, ".." | "." | ""))
    {
        return problem("no part of it is empty, `.` or `..`");
    }
    Ok(())
}

/// Flags after which these programs take the next argument as code.
fn code_flag(program: &str) -> Option<char> {
    let name = program.rsplit('/').next().unwrap_or(program);
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match base {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "fish" | "ash" | "python" | "pypy" => Some('c'),
        "perl" | "ruby" | "node" | "lua" | "bun" => Some('e'),
        "php" => Some('r'),
        _ => None,
    }
}

/// The arguments that must be written out: the program, and what it takes as code.
pub(super) fn code_arguments<'t>(args: &[&'t str]) -> Vec<(usize, &'t str)> {
    let Some((program, rest)) = args.split_first() else {
        return Vec::new();
    };
    let mut code = vec![(0, *program)];
    let Some(flag) = code_flag(program) else {
        return code;
    };
    let is_flag = |arg: &str| {
        arg.strip_prefix('-')
            .is_some_and(|letters| !letters.starts_with('-') && letters.contains(flag))
    };
    let flagged = args.iter().zip(rest).enumerate().skip(1);
    code.extend(
        flagged
            .filter(|(_, (arg, _))| is_flag(arg))
            .map(|(at, (_, text))| (at + 1, *text)),
    );
    code
}

/// A name that the author chose in a table.
pub(super) fn name(text: &str, names: Names) -> Result<(), Problem> {
    let (good, rule) = match names {
        Names::Any => (!text.is_empty(), "a name is not empty"),
        Names::Variable => (
            is_variable(text),
            "a name is made of letters, digits and `_`, and does not begin with a digit",
        ),
        Names::Header => (
            !text.is_empty() && text.bytes().all(is_header_byte),
            "a header's name is made of letters, digits and `-`",
        ),
    };
    if good {
        return Ok(());
    }
    Err(Problem::new(format!("`{text}` cannot be a name here")).label(rule))
}

fn is_variable(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(word) && text.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

fn is_header_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
