//! How the words of the offices look on the wire, for the interface's document.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    Day, OfficeId, Timestamp,
    sign::{Hash, PublicKey, Signature},
};

macro_rules! texts {
    ($($of:ty, $name:literal, $($key:literal: $value:literal),+;)*) => {$(
        impl JsonSchema for $of {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", $($key: $value),+})
            }
        }
    )*};
}

texts! {
    Day, "Day", "format": "date";
    Timestamp, "Timestamp", "format": "date-time";
    OfficeId, "OfficeId", "pattern": "^[a-z0-9]{8}$";
    Hash, "Hash", "pattern": "^[0-9a-f]{64}$";
    PublicKey, "PublicKey", "pattern": "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$";
    Signature, "Signature", "pattern": "^[A-Za-z0-9+/]{85}[AQgw]==$";
}
