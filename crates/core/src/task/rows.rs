//! `for_each = { rows = "select …", key = "id" }`: the rows of a table, paged by a unique key.

use super::actions::{Names, OptionKind, TableSpec};
use super::catalogue::{option, required};
use super::diagnostic::Problem;
use super::model::Items;
use super::names::Scope;
use super::reader::{Reader, Val};

const OWN: &str = "oncely_";

/// The keys of a `for_each` over rows, and what they take.
pub(super) const ROWS: TableSpec = TableSpec {
    options: &[
        required(
            "rows",
            OptionKind::Fixed("write `:name` in the select and give it in `bind`"),
            "A select whose rows are the items, without `order by`, `limit` and `offset`: oncely asks \
             for the next rows behind the last key, range by range.",
        ),
        required(
            "key",
            OptionKind::Fixed("write it out: no data may choose it"),
            "The column of the select that is unique and never null, an integer or a text. Rows come \
             in its order.",
        ),
        option(
            "db",
            OptionKind::Fixed("write it out: no data may choose it"),
            "A database of `oncely.toml`; `ledger` unless given.",
        ),
        option(
            "bind",
            OptionKind::Map(Names::Variable, &OptionKind::Any),
            "The values of the select's names.",
        ),
    ],
    groups: &[],
};

impl Reader<'_> {
    /// Items that are rows.
    pub(super) fn rows(&mut self, value: &Val<'_>, scope: &Scope) -> Option<Items> {
        let node = self.node(&OptionKind::Table(&ROWS), value, "for_each", scope)?;
        let table = self.table(value, "for_each")?;
        let select = table.get("rows")?;
        let text = self.text(select, "rows")?;
        self.keep(select.span(), one_select(text))?;
        let key = table.get("key")?;
        let name = self.text(key, "key")?;
        self.keep(key.span(), column(name))?;
        if let Some(bind) = table.get("bind") {
            for (name, span, _) in self.table(bind, "bind")?.each() {
                if name.starts_with(OWN) {
                    let problem =
                        Problem::new(format!("names that begin with `{OWN}` are oncely's"));
                    self.report(span, problem);
                    return None;
                }
            }
        }
        Some(Items::Rows(node))
    }
}

fn column(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => Ok(()),
        false => Err(Problem::new(format!("{name:?} cannot be the `key`"))
            .label("letters, digits and `_` only")
            .help("give the column a name in the select: `select user_no as id, …`")),
    }
}

/// One select that leaves its order and its pages to oncely.
fn one_select(text: &str) -> Result<(), Problem> {
    let words = outer_words(text)?;
    let first = words.first().map_or("", String::as_str);
    if !matches!(first, "select" | "with" | "values") {
        return Err(Problem::new("`rows` takes a select")
            .label("it begins with something else")
            .help("items are read; what is written stands in the `do` block"));
    }
    if let Some(at) = words.iter().position(|word| word == ";")
        && at + 1 < words.len()
    {
        return Err(Problem::new("`rows` takes one select").label("there is more behind the `;`"));
    }
    for (word, why) in [
        (
            "offset",
            "rows that come and go would shift it, and items would be missed",
        ),
        (
            "limit",
            "the rows of a range are asked for one range after another",
        ),
        ("order", "rows come in the order of `key`"),
    ] {
        if words.iter().any(|found| found == word) {
            return Err(
                Problem::new(format!("the select of `rows` has no `{word}`"))
                    .label(why)
                    .help("leave it out: oncely asks for the next rows behind the last `key`"),
            );
        }
    }
    Ok(())
}

/// The words of a statement outside quotes, comments and parentheses, in small letters, and its `;`.
fn outer_words(text: &str) -> Result<Vec<String>, Problem> {
    let (mut words, mut depth) = (vec![String::new()], 0_u32);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_word = c.is_alphanumeric() || c == '_' || c == ':' || c == '@' || c == '$';
        if is_word && depth == 0 {
            words
                .last_mut()
                .into_iter()
                .for_each(|w| w.extend(c.to_lowercase()));
            continue;
        }
        words.push(String::new());
        match c {
            '\'' | '"' | '`' => pass(&mut rest, |d| d == c),
            '[' => pass(&mut rest, |d| d == ']'),
            '-' if rest.peek() == Some(&'-') => pass(&mut rest, |d| d == '\n'),
            '/' if rest.peek() == Some(&'*') => {
                let mut before = ' ';
                rest.next();
                pass(&mut rest, |d| {
                    std::mem::replace(&mut before, d) == '*' && d == '/'
                });
            }
            '(' => depth += 1,
            ')' if depth == 0 => {
                return Err(Problem::new(
                    "the select closes a parenthesis that it did not open",
                ));
            }
            ')' => depth -= 1,
            ';' => words.extend([";".to_owned(), String::new()]),
            _ => {}
        }
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

fn pass(rest: &mut impl Iterator<Item = char>, mut ends: impl FnMut(char) -> bool) {
    for c in rest {
        if ends(c) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_leaves_its_order_and_its_pages_to_oncely() {
        for text in [
            "select id, email from customers where email <> ' limit '",
            "SELECT id FROM t -- order by id\n",
            "select id, (select name from u order by at limit 1) as name from t;",
            "with u as (select id from t limit 5 offset 2) select id from u /* offset */",
            "select \"order\" as id, [limit], `offset` from t where a = :order",
        ] {
            assert!(one_select(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_would_page_by_itself_or_write_is_refused() {
        for (text, word) in [
            ("select id from t limit 5 Offset 10", "offset"),
            ("select id from t LIMIT 5", "limit"),
            ("select id from t\norder\nby id", "order"),
            ("delete from t returning id", "takes a select"),
            ("", "takes a select"),
            ("select id from t; select 2", "one select"),
            ("select id from t) where (1 = 1", "parenthesis"),
        ] {
            let problem = one_select(text).unwrap_err().message;
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }
}
