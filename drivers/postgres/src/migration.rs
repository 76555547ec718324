//! Prepares the database.

use socketio_proto::cluster::engines::postgres::{
    Postgres, PostgresHead, PostgresSchema, PostgresValue, SCHEMA_VERSION,
};
use socketio_proto_tokio::entropy;

use crate::{connection::Connection, error::PostgresEngineError};

/// Makes the tables if they are not there, and the channel, and returns where it begins and ends.
pub(crate) async fn prepare(
    connection: &Connection,
    postgres: &Postgres,
) -> Result<PostgresHead, PostgresEngineError> {
    let encoding = connection.text("SHOW server_encoding").await?.unwrap_or_default();
    if encoding != "UTF8" {
        return Err(PostgresEngineError::Encoding { encoding: encoding.into() });
    }
    let schema = postgres.schema();
    if version(connection, &schema).await? != Some(SCHEMA_VERSION) {
        connection.run("BEGIN").await?;
        connection.run(&schema.begin).await?;
        let version = version(connection, &schema).await?;
        let row = version.map(|version| vec![PostgresValue::Int8(version.cast_signed())]);
        for script in schema.migrate(row.as_deref())? {
            connection.run(script).await?;
        }
        connection.run("COMMIT").await?;
    }
    let lineage = lineage(connection).await?;
    let mut random = [0; 8];
    entropy(&mut random);
    for statement in postgres.begin(random, &lineage) {
        connection.call(&statement).await?;
    }
    head(connection, postgres).await
}

/// Asks where the channel begins and ends.
pub(crate) async fn head(
    connection: &Connection,
    postgres: &Postgres,
) -> Result<PostgresHead, PostgresEngineError> {
    let row = connection.call_for_row(&postgres.head()).await?;
    Ok(PostgresHead::from_row(&row.ok_or(PostgresEngineError::Anew)?)?)
}

/// The version of the tables, if there are any.
async fn version(
    connection: &Connection,
    schema: &PostgresSchema,
) -> Result<Option<u64>, PostgresEngineError> {
    if connection.call_for_row(&schema.find).await?.is_none() {
        return Ok(None);
    }
    let row = connection.call_for_row(&schema.version).await?;
    Ok(row.map(|row| Postgres::number(&row)).transpose()?)
}

/// Which history of which database this is.
async fn lineage(connection: &Connection) -> Result<String, PostgresEngineError> {
    let row = connection.call_for_row(&Postgres::lineage()).await?;
    Ok(Postgres::text(&row.ok_or(PostgresEngineError::Unexpected)?)?.to_string())
}
