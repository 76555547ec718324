//! Values, as the client of PostgreSQL sends and receives them.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use socketio_proto::cluster::engines::postgres::PostgresValue;
use tokio_postgres::{
    Row,
    types::{IsNull, ToSql, Type, to_sql_checked},
};

use crate::error::PostgresEngineError;

/// A parameter.
#[derive(Debug)]
pub(crate) struct Parameter<'a>(pub(crate) &'a PostgresValue);

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            PostgresValue::Int8(number) => number.to_sql(ty, out),
            PostgresValue::Text(text) => (&**text).to_sql(ty, out),
            PostgresValue::Bytea(bytes) => (&**bytes).to_sql(ty, out),
            PostgresValue::Int8Array(list) => list.to_sql(ty, out),
            PostgresValue::TextArray(list) => {
                let list: Vec<Option<&str>> = list.iter().map(Option::as_deref).collect();
                list.to_sql(ty, out)
            }
            PostgresValue::ByteaArray(list) => {
                let list: Vec<Option<&[u8]>> = list.iter().map(Option::as_deref).collect();
                list.to_sql(ty, out)
            }
            _ => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The values of a row. What has no value here, nobody asks for.
pub(crate) fn values(row: &Row) -> Result<Vec<PostgresValue>, PostgresEngineError> {
    let value = |(place, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(place)?.map(PostgresValue::Int8),
            Type::TEXT => {
                row.try_get::<_, Option<&str>>(place)?.map(|text| PostgresValue::Text(text.into()))
            }
            Type::BYTEA => row
                .try_get::<_, Option<&[u8]>>(place)?
                .map(|bytes| PostgresValue::Bytea(Bytes::copy_from_slice(bytes))),
            _ => None,
        };
        Ok(value.unwrap_or(PostgresValue::Null))
    };
    row.columns().iter().enumerate().map(value).collect()
}
