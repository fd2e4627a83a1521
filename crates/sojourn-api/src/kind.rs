//! The field `object`, which names the kind of a JSON object.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::openapi::{ObjectBuilder, Schema, Type};

/// A type with a fixed word in its field `object`.
pub trait Named {
    const OBJECT: &'static str;
}

/// Gives types their words: `named! { Client = "client" }`.
#[macro_export]
macro_rules! named {
    ($($type:ty = $word:literal)*) => {
        $(impl $crate::Named for $type { const OBJECT: &'static str = $word; })*
    };
}

/// The word of `T`, and nothing else.
pub struct Kind<T>(PhantomData<fn() -> T>);

impl<T> Default for Kind<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Kind<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kind<T> {}

impl<T> PartialEq for Kind<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Kind<T> {}

impl<T: Named> fmt::Debug for Kind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(T::OBJECT, f)
    }
}

impl<T: Named> Serialize for Kind<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(T::OBJECT)
    }
}

impl<'de, T: Named> Deserialize<'de> for Kind<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(deserializer)?;
        if word == T::OBJECT {
            return Ok(Self::default());
        }
        Err(D::Error::custom(format_args!("object is {word:?}, expected {:?}", T::OBJECT)))
    }
}

/// The schema of a field `object`: its word.
pub(crate) fn schema<T: Named>() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([T::OBJECT])).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Lamp;
    named! { Lamp = "lamp" }

    #[test]
    fn another_kind_of_object_is_refused() {
        assert_eq!(serde_json::to_string(&Kind::<Lamp>::default()).expect("a word"), "\"lamp\"");
        assert!(serde_json::from_str::<Kind<Lamp>>("\"lamp\"").is_ok());
        let error = serde_json::from_str::<Kind<Lamp>>("\"chair\"").expect_err("another word");
        assert_eq!(error.to_string(), "object is \"chair\", expected \"lamp\"");
    }
}
