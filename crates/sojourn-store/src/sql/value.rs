//! Statement parameters.

use std::borrow::Cow;

use sojourn_core::{
    id::{
        AuditEntryId, ClientId, CommitId, EventId, InstanceId, MailId, SessionId, SignInId, SignUpId,
        TicketId, UserId, WebhookDeliveryId, WebhookEndpointId,
    },
    time::Timestamp,
};

/// A parameter that both engines support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Bool(bool),
    Text(Cow<'static, str>),
    Hash([u8; 32]),
    Blob(Vec<u8>),
}

impl Value {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_string()),
            _ => None,
        }
    }

    /// The bytes, if it is some.
    pub(crate) fn blob(&self) -> Option<Vec<u8>> {
        match self {
            Self::Hash(hash) => Some(hash.to_vec()),
            Self::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

/// The parameters of a statement, in the order of their numbers.
macro_rules! params {
    ($($param:expr),* $(,)?) => { [$($crate::sql::value::Value::from($param)),*] };
}
pub(crate) use params;

impl<T> From<Option<T>> for Value
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

macro_rules! from {
    ($($name:ident: $type:ty => $value:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($name: $type) -> Self {
                $value
            }
        })*
    };
}

from! {
    number: i64 => Self::Int(number);
    number: u32 => Self::Int(i64::from(number));
    // SQL integers are signed. Saturates instead of wrapping to a negative number.
    number: u64 => Self::Int(i64::try_from(number).unwrap_or(i64::MAX));
    yes: bool => Self::Bool(yes);
    text: String => Self::Text(Cow::Owned(text));
    text: &String => Self::Text(Cow::Owned(text.clone()));
    text: &'static str => Self::Text(Cow::Borrowed(text));
    hash: [u8; 32] => Self::Hash(hash);
    bytes: Vec<u8> => Self::Blob(bytes);
    at: Timestamp => Self::Int(at.as_millis());
}

macro_rules! from_ids {
    ($($id:ident)*) => {
        $(impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Text(Cow::Owned(id.to_string()))
            }
        })*
    };
}

from_ids! { AuditEntryId ClientId CommitId EventId InstanceId MailId SessionId SignInId SignUpId TicketId UserId WebhookDeliveryId
WebhookEndpointId }
