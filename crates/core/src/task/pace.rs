//! How fast a `for_each` step goes: `rate`, `batch`, and what it looks at before it goes on.

use super::diagnostic::Problem;
use super::model::{ActionKind, ActionSpec};
use super::names::Scope;
use super::reader::{Reader, Table, Val};
use crate::limits;
use crate::undo;

/// The keys beside `for_each`, and what they mean.
pub const PACE: &[(&str, &str)] = &[
    (
        "rate",
        "The most items in a time, such as \"100/s\", \"600/m\" or \"5000/h\".",
    ),
    (
        "batch",
        "Items of a range, 1 to 1000, committed together: 1000 unless given; with `rate` as many as \
         come in a second. Where the `do` block does more than write rows, at most 32, which are \
         worked at the same time.",
    ),
    (
        "while",
        "A look before each range: an `http` GET, or an `sql` select whose first value is true. Where \
         it fails, the step waits and looks again.",
    ),
];

/// The keys of `while` beside its action, and what they mean.
pub const WHILE: &[(&str, &str)] = &[(
    "every",
    "How often it looks, before the next range; 10s unless given.",
)];

/// How fast a `for_each` step goes.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// The most items in a time.
    pub rate: Option<Rate>,
    /// Items of a range.
    pub batch: Option<usize>,
    /// What it looks at before it goes on.
    pub check: Option<Check>,
}

/// So many items in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub items: u32,
    /// In how many milliseconds.
    pub per_ms: i64,
}

impl Rate {
    /// Understands `100/s`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (items, unit) = text.split_once('/')?;
        let per_ms = match unit.trim() {
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            _ => return None,
        };
        let items = items.trim();
        let digits = !items.is_empty() && items.bytes().all(|b| b.is_ascii_digit());
        let items = digits.then(|| items.parse().ok()).flatten()?;
        (1..=limits::RATE_ITEMS)
            .contains(&items)
            .then_some(Self { items, per_ms })
    }

    /// How long so many items take, in milliseconds.
    #[must_use]
    pub fn millis(self, items: u64) -> i64 {
        let items = i128::from(items) * i128::from(self.per_ms);
        i64::try_from(items / i128::from(self.items.max(1))).unwrap_or(i64::MAX)
    }
}

/// A look that says whether a stream goes on.
#[derive(Debug, Clone)]
pub struct Check {
    /// The action that looks and changes nothing.
    pub spec: ActionSpec,
    /// How often it looks, in milliseconds.
    pub every_ms: i64,
}

impl Pace {
    /// Whether the author says anything about it.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.rate.is_some() || self.batch.is_some() || self.check.is_some()
    }

    /// Items of a range, where there are at most so many.
    #[must_use]
    pub fn batch(&self, most: usize) -> usize {
        let in_a_second = |rate: Rate| {
            let items = i128::from(rate.items) * 1000 / i128::from(rate.per_ms.max(1));
            usize::try_from(items).unwrap_or(usize::MAX)
        };
        let batch = self.batch.or(self.rate.map(in_a_second)).unwrap_or(most);
        batch.clamp(1, most)
    }
}

impl Reader<'_> {
    /// What stands beside `for_each` of how fast it goes.
    pub(super) fn pace(&mut self, table: &Table<'_, '_>, scope: &Scope) -> Pace {
        let most = i64::try_from(limits::RANGE_ITEMS).unwrap_or(i64::MAX);
        let batch = table
            .get("batch")
            .and_then(|value| self.int(value, "batch", 1, most));
        Pace {
            rate: table.get("rate").and_then(|value| self.rate(value)),
            batch: batch.and_then(|items| usize::try_from(items).ok()),
            check: table
                .get("while")
                .and_then(|value| self.look_before(value, scope)),
        }
    }

    fn rate(&mut self, value: &Val<'_>) -> Option<Rate> {
        let text = self.text(value, "rate")?;
        let found = Rate::parse(text).ok_or_else(|| {
            Problem::new("`rate` takes a number of items in a time")
                .label(format!("{text:?} is not one"))
                .help("a whole number, `/`, and s, m or h: \"100/s\", \"600/m\", \"5000/h\"")
        });
        self.keep(value.span(), found)
    }

    fn look_before(&mut self, value: &Val<'_>, scope: &Scope) -> Option<Check> {
        let table = self.table(value, "while")?;
        let spec = self.one_action(&table, "`while`", &["every"], scope)?;
        self.keep(value.span(), looks(&spec))?;
        let every = table.get("every");
        let every = every.map(|value| self.some_time(value, "every"));
        Some(Check {
            spec,
            every_ms: every.unwrap_or(Some(10_000))?.max(limits::JUDGE_EVERY_MS),
        })
    }
}

/// Whether an action only looks: it is asked without a record.
fn looks(spec: &ActionSpec) -> Result<(), Problem> {
    let changes = match spec.kind {
        ActionKind::Http | ActionKind::Sql => !undo::only_looks(spec),
        _ => true,
    };
    match changes {
        false => Ok(()),
        true => Err(Problem::new("`while` only looks, and changes nothing")
            .label("it may be asked any number of times")
            .help("an `http` request by GET or HEAD, or an `sql` select")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_items_in_a_second_a_minute_or_an_hour() {
        let rate = |text| Rate::parse(text).map(|r| (r.items, r.per_ms));
        assert_eq!(rate("100/s"), Some((100, 1000)));
        assert_eq!(rate("600 / m"), Some((600, 60_000)));
        assert_eq!(rate("5000/h"), Some((5000, 3_600_000)));
        for text in [
            "",
            "100",
            "0/s",
            "/s",
            "-1/s",
            "+1/s",
            "1/d",
            "1.5/s",
            "99999999999/s",
        ] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_is_what_comes_in_a_second_unless_it_is_given() {
        let pace = |rate: &str, batch| Pace {
            rate: Rate::parse(rate),
            batch,
            check: None,
        };
        assert_eq!(pace("100/s", None).batch(1000), 100);
        assert_eq!(pace("5000/s", None).batch(1000), 1000);
        assert_eq!(pace("6/m", None).batch(1000), 1);
        assert_eq!(pace("100/s", Some(250)).batch(1000), 250);
        assert_eq!(pace("100/s", Some(250)).batch(32), 32);
        assert_eq!(Pace::default().batch(1000), 1000);
        assert_eq!(Rate::parse("100/s").unwrap().millis(250), 2500);
        assert_eq!(Rate::parse("6/m").unwrap().millis(1), 10_000);
    }
}
