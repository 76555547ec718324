//! A serializer around another one that replaces bytes with placeholders.
//!
//! `Formatter` of `serde_json` would be the natural place for this, but it can only be implemented
//! with the standard library. Values are visited in the order in which they are written, so the
//! attachments are numbered depth first, as the protocol requires.

use alloc::{string::String, vec::Vec};
use core::{cell::RefCell, fmt};

use bytes::Bytes;
use serde::ser::{
    self, Serialize, SerializeMap as _, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::binary;

/// Serializes a value to JSON text and the list of the bytes inside it.
pub(super) fn to_text<T: Serialize + ?Sized>(
    value: &T,
) -> Result<(String, Vec<Bytes>), serde_json::Error> {
    let attachments = RefCell::default();
    let text = serde_json::to_string(&Extract { value, attachments: &attachments })?;
    Ok((text, attachments.into_inner()))
}

type Attachments = RefCell<Vec<Bytes>>;

/// A value that serializes as another one without its bytes.
struct Extract<'a, T: ?Sized> {
    value: &'a T,
    attachments: &'a Attachments,
}

impl<T: Serialize + ?Sized> Serialize for Extract<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Extractor { inner: serializer, attachments: self.attachments })
    }
}

/// A serializer, or one of the compound serializers it hands out.
struct Extractor<'a, S> {
    inner: S,
    attachments: &'a Attachments,
}

impl<'a, S> Extractor<'a, S> {
    fn extract<'b, T: ?Sized>(&self, value: &'b T) -> Extract<'b, T>
    where
        'a: 'b,
    {
        Extract { value, attachments: self.attachments }
    }

    fn around<C, E>(self, open: impl FnOnce(S) -> Result<C, E>) -> Result<Extractor<'a, C>, E> {
        let Self { inner, attachments } = self;
        Ok(Extractor { inner: open(inner)?, attachments })
    }
}

macro_rules! forward {
    ($($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Extractor<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Extractor<'a, S::SerializeSeq>;
    type SerializeTuple = Extractor<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Extractor<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Extractor<'a, S::SerializeTupleVariant>;
    type SerializeMap = Extractor<'a, S::SerializeMap>;
    type SerializeStruct = Extractor<'a, S::SerializeStruct>;
    type SerializeStructVariant = Extractor<'a, S::SerializeStructVariant>;

    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        let num = {
            let mut attachments = self.attachments.borrow_mut();
            attachments.push(Bytes::copy_from_slice(value));
            attachments.len().saturating_sub(1)
        };
        let mut map = self.inner.serialize_map(Some(2))?;
        map.serialize_entry(binary::FLAG, &true)?;
        map.serialize_entry(binary::NUM, &num)?;
        map.end()
    }

    forward! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_unit_struct(&'static str);
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.extract(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.extract(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.extract(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.around(|inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.around(|inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.around(|inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.around(|inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.around(|inner| inner.serialize_map(len))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.around(|inner| inner.serialize_struct(name, len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.around(|inner| inner.serialize_struct_variant(name, index, variant, len))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! compound {
    ($($trait:ident::$method:ident($($key:ident)?);)*) => {$(
        impl<C: $trait> $trait for Extractor<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.extract(value);
                self.inner.$method($($key,)? &value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

compound! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(key);
    SerializeStructVariant::serialize_field(key);
}

impl<C: ser::SerializeMap> ser::SerializeMap for Extractor<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        // Not extracted: bytes cannot be keys, and JSON's serializer says so.
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.extract(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
