use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A point in time, in milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct UnixMillis(pub i64);
