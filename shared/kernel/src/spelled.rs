//! Values that are written as a text: read without keeping the text.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Reads a text and what it says; `form` is how it is to be written.
pub(crate) fn spelled<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    form: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Spelled { form, parse, of: PhantomData })
}

struct Spelled<T, P> {
    form: &'static str,
    parse: P,
    of: PhantomData<T>,
}

impl<T, P: FnOnce(&str) -> Option<T>> Visitor<'_> for Spelled<T, P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::custom(self.form))
    }
}
