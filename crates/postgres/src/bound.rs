//! Values on their way to parameters: as texts, which PostgreSQL reads as the types that it wants.

use bytes::BytesMut;
use oncely_core::Value;
use oncely_core::items::Cell;
use std::borrow::Cow;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// A value for a parameter of any type; lists and tables are JSON.
#[derive(Debug, Clone)]
pub enum Bound<'a> {
    /// Nothing.
    Null,
    /// True or false; 1 or 0 where a number is wanted, as with SQLite.
    Truth(bool),
    /// Anything else.
    Text(Cow<'a, str>),
}

impl<'a> From<&'a Value> for Bound<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Truth(*truth),
            Value::String(text) => Self::Text(text.into()),
            other => Self::Text(other.to_string().into()),
        }
    }
}

impl<'a> From<Cell<'a>> for Bound<'a> {
    fn from(cell: Cell<'a>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Int(integer) => Self::Text(integer.to_string().into()),
            Cell::Real(real) => Self::Text(real.to_string().into()),
            Cell::Text(text) => Self::Text(text.into()),
        }
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let text = match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Truth(truth) if is_number(ty) => ["0", "1"][usize::from(*truth)],
            Self::Truth(truth) => ["false", "true"][usize::from(*truth)],
            Self::Text(text) => text,
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

fn is_number(ty: &Type) -> bool {
    [
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
    ]
    .contains(ty)
}
