//! Documents as BSON, and back.

use bytes::Bytes;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawArray, RawBsonRef, RawDocument, oid::ObjectId,
    spec::BinarySubtype,
};
use socketio_proto::cluster::engines::mongodb::{MongodbDocument, MongodbValue};

/// The deepest nesting that is read. The core refuses less.
const MAX_DEPTH: usize = 100;

/// Converts a document. Of several fields with the same name, the last one remains, as in JavaScript.
pub(crate) fn to_bson(document: MongodbDocument) -> Document {
    let fields = document.into_fields().into_iter();
    fields.map(|(name, value)| (String::from(&*name), value_to_bson(value))).collect()
}

fn value_to_bson(value: MongodbValue) -> Bson {
    match value {
        MongodbValue::Bool(value) => Bson::Boolean(value),
        MongodbValue::Int32(number) => Bson::Int32(number),
        MongodbValue::Int64(number) => Bson::Int64(number),
        MongodbValue::Double(number) => Bson::Double(number),
        MongodbValue::Text(text) => Bson::String(String::from(&*text)),
        MongodbValue::Binary(bytes) => {
            Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
        }
        MongodbValue::DateTime(ms) => Bson::DateTime(DateTime::from_millis(ms)),
        MongodbValue::ObjectId(id) => Bson::ObjectId(ObjectId::from_bytes(id)),
        MongodbValue::Array(values) => values.into_iter().map(value_to_bson).collect(),
        MongodbValue::Document(document) => Bson::Document(to_bson(document)),
        _ => Bson::Null,
    }
}

/// Converts a document. `None` if it is malformed or nested too deep.
pub(crate) fn from_bson(document: &RawDocument) -> Option<MongodbDocument> {
    document_from_bson(document, 0)
}

fn document_from_bson(document: &RawDocument, depth: usize) -> Option<MongodbDocument> {
    if depth > MAX_DEPTH {
        return None;
    }
    let fields = document.iter().map(|field| {
        let (name, value) = field.ok()?;
        Some((name.as_str().into(), value_from_bson(value, depth.saturating_add(1))?))
    });
    fields.collect()
}

fn array_from_bson(array: &RawArray, depth: usize) -> Option<Vec<MongodbValue>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let values = array.into_iter();
    values.map(|value| value_from_bson(value.ok()?, depth.saturating_add(1))).collect()
}

fn value_from_bson(value: RawBsonRef<'_>, depth: usize) -> Option<MongodbValue> {
    Some(match value {
        RawBsonRef::Boolean(value) => MongodbValue::Bool(value),
        RawBsonRef::Int32(number) => MongodbValue::Int32(number),
        RawBsonRef::Int64(number) => MongodbValue::Int64(number),
        RawBsonRef::Double(number) => MongodbValue::Double(number),
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) => MongodbValue::Text(text.into()),
        RawBsonRef::Binary(binary) => MongodbValue::Binary(Bytes::copy_from_slice(binary.bytes)),
        RawBsonRef::DateTime(time) => MongodbValue::DateTime(time.timestamp_millis()),
        RawBsonRef::ObjectId(id) => MongodbValue::ObjectId(id.bytes()),
        RawBsonRef::Array(array) => MongodbValue::Array(array_from_bson(array, depth)?),
        RawBsonRef::Document(document) => {
            MongodbValue::Document(document_from_bson(document, depth)?)
        }
        _ => MongodbValue::Null,
    })
}
