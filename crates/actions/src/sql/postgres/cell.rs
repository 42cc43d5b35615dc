//! Columns as values.
//!
//! How types stand in the binary format: PostgreSQL's documentation leaves that to its source; the
//! formats here are those of `timestamp_send`, `date_send`, `time_send`, `numeric_send` and
//! `uuid_send`.

use base64::Engine as _;
use jiff::civil::{Date, DateTime, Time};
use oncely_core::Value;
use serde_json::Map;
use std::error::Error as StdError;
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Column, Error, Row};

type Trouble = Box<dyn StdError + Sync + Send>;

/// PostgreSQL counts days and microseconds from here.
const ZERO: Date = jiff::civil::date(2000, 1, 1);

/// Whether every column can be read.
pub(crate) fn check(columns: &[Column]) -> Result<(), String> {
    match columns.iter().find(|column| !known(column.type_())) {
        None => Ok(()),
        Some(column) => Err(format!(
            "the column `{0}` is of the type {1}, which oncely does not read; nothing was changed. \
             Cast it: `{0}::text`",
            column.name(),
            column.type_().name()
        )),
    }
}

/// A row as a table by column.
pub(crate) fn record(row: &Row) -> Result<Value, Error> {
    let mut record = Map::new();
    for (place, column) in row.columns().iter().enumerate() {
        let Found(value) = row.try_get(place)?;
        record.insert(column.name().to_owned(), value);
    }
    Ok(Value::Object(record))
}

/// The values of a row, in the order of its columns.
pub(crate) fn values(row: &Row) -> Result<Vec<Value>, Error> {
    let places = 0..row.columns().len();
    let found = places.map(|place| row.try_get(place).map(|Found(value)| value));
    found.collect()
}

/// Whether the column is a number without a fraction.
pub(crate) fn is_integer(ty: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8].contains(ty)
}

/// A column of a row.
struct Found(Value);

impl<'a> FromSql<'a> for Found {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Trouble> {
        value(ty, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Trouble> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        known(ty)
    }
}

fn known(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Domain(inner) | Kind::Array(inner) => known(inner),
        Kind::Enum(_) => true,
        Kind::Simple | Kind::Pseudo => is_text(ty) || read_as(ty).is_some(),
        _ => false,
    }
}

pub(crate) fn is_text(ty: &Type) -> bool {
    [
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
    ]
    .contains(ty)
        || ty.name() == "citext"
}

type Reader = fn(&Type, &[u8]) -> Result<Value, Trouble>;

fn read_as(ty: &Type) -> Option<Reader> {
    Some(match *ty {
        Type::BOOL => |ty, raw| Ok(bool::from_sql(ty, raw)?.into()),
        Type::INT2 => |ty, raw| Ok(i16::from_sql(ty, raw)?.into()),
        Type::INT4 => |ty, raw| Ok(i32::from_sql(ty, raw)?.into()),
        Type::INT8 => |ty, raw| Ok(i64::from_sql(ty, raw)?.into()),
        Type::OID => |ty, raw| Ok(u32::from_sql(ty, raw)?.into()),
        Type::FLOAT4 => |ty, raw| Ok(f64::from(f32::from_sql(ty, raw)?).into()),
        Type::FLOAT8 => |ty, raw| Ok(f64::from_sql(ty, raw)?.into()),
        Type::NUMERIC => |_, raw| numeric(raw),
        Type::JSON => |_, raw| Ok(serde_json::from_slice(raw)?),
        // The first byte is the version of the format, which is 1.
        Type::JSONB => |_, raw| Ok(serde_json::from_slice(raw.get(1..).unwrap_or_default())?),
        Type::BYTEA => |_, raw| Ok(base64::engine::general_purpose::STANDARD.encode(raw).into()),
        Type::UUID => |_, raw| Ok(uuid(raw).into()),
        Type::DATE => |_, raw| Ok(date(i32::from_be_bytes(raw.try_into()?)).into()),
        Type::TIME => |_, raw| Ok(time(i64::from_be_bytes(raw.try_into()?)).into()),
        Type::TIMESTAMP => |_, raw| Ok(moment(i64::from_be_bytes(raw.try_into()?), "").into()),
        Type::TIMESTAMPTZ => |_, raw| Ok(moment(i64::from_be_bytes(raw.try_into()?), "Z").into()),
        Type::VOID => |_, _| Ok(Value::Null),
        _ => return None,
    })
}

fn value(ty: &Type, raw: &[u8]) -> Result<Value, Trouble> {
    match ty.kind() {
        Kind::Domain(inner) => value(inner, raw),
        Kind::Array(_) => {
            let all = Vec::<Found>::from_sql(ty, raw)?;
            Ok(all.into_iter().map(|Found(value)| value).collect())
        }
        Kind::Enum(_) => Ok(std::str::from_utf8(raw)?.into()),
        _ if is_text(ty) => Ok(std::str::from_utf8(raw)?.into()),
        _ => match read_as(ty) {
            Some(read) => read(ty, raw),
            None => Err(format!("the type {} cannot be read", ty.name()).into()),
        },
    }
}

fn uuid(raw: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in raw.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn beyond(is_later: bool) -> String {
    let word = if is_later { "infinity" } else { "-infinity" };
    word.to_owned()
}

fn date(days: i32) -> String {
    let found = ZERO.checked_add(jiff::Span::new().try_days(days).unwrap_or_default());
    match found {
        Ok(date) if days.unsigned_abs() < i32::MAX.unsigned_abs() => date.to_string(),
        _ => beyond(days > 0),
    }
}

fn time(micros: i64) -> String {
    let found = Time::midnight().checked_add(jiff::SignedDuration::from_micros(micros));
    // The end of a day may be written as 24:00.
    found.map_or_else(|_| "24:00:00".to_owned(), |time| time.to_string())
}

fn moment(micros: i64, zone: &str) -> String {
    let zero: DateTime = ZERO.at(0, 0, 0, 0);
    match zero.checked_add(jiff::SignedDuration::from_micros(micros)) {
        Ok(moment) => format!("{moment}{zone}"),
        Err(_) => beyond(micros > 0),
    }
}

/// A number where that keeps every digit, else the digits as a text.
fn numeric(raw: &[u8]) -> Result<Value, Trouble> {
    let words = raw.chunks_exact(2).map(|two| match two {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let words: Vec<u16> = words.collect();
    let [_, weight, sign, scale, groups @ ..] = words.as_slice() else {
        return Err("a numeric has a head of four numbers".into());
    };
    let minus = match sign {
        0 => "",
        0x4000 => "-",
        0xD000 => return Ok("Infinity".into()),
        0xF000 => return Ok("-Infinity".into()),
        _ => return Ok("NaN".into()),
    };
    let before = i32::from(weight.cast_signed()) + 1;
    let group = |place: i32| {
        let found = usize::try_from(place)
            .ok()
            .and_then(|place| groups.get(place));
        format!("{:04}", found.copied().unwrap_or(0))
    };
    let whole: String = (0..before).map(group).collect();
    let scale = usize::from(*scale);
    let needed = i32::try_from(scale.div_ceil(4)).unwrap_or(0);
    let mut part: String = (before..before + needed).map(group).collect();
    part.truncate(scale);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(exact(format!("{minus}{whole}"), &part))
}

fn exact(whole: String, part: &str) -> Value {
    let digits = part.trim_end_matches('0');
    if digits.is_empty()
        && let Ok(integer) = whole.parse::<i64>()
    {
        return integer.into();
    }
    let plain = match digits {
        "" => whole.clone(),
        digits => format!("{whole}.{digits}"),
    };
    match plain.parse::<f64>() {
        Ok(real) if real.to_string() == plain => real.into(),
        _ if part.is_empty() => whole.into(),
        _ => format!("{whole}.{part}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_beyond_the_calendar_are_said_as_postgresql_says_them() {
        assert_eq!(date(0), "2000-01-01");
        assert_eq!(date(-1), "1999-12-31");
        assert_eq!([date(i32::MAX), date(i32::MIN)], ["infinity", "-infinity"]);
        assert_eq!(moment(i64::MAX, "Z"), "infinity");
        assert_eq!(moment(i64::MIN, ""), "-infinity");
        assert_eq!(moment(1_500_000, "Z"), "2000-01-01T00:00:01.5Z");
        assert_eq!(time(86_400_000_000), "24:00:00");
    }
}
