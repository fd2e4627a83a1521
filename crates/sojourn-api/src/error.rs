//! Answers from status 400 up.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What went wrong. Every answer from status 400 up has this shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorAnswer {
    pub errors: Vec<ApiErrorItem>,
    /// The server's log has more about the error under this id.
    pub clerk_trace_id: String,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApiErrorItem {
    /// A stable name for programs.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Why, and what to do next.
    pub long_message: String,
    /// Details for programs, such as the parameter's name in `param_name`.
    pub meta: Map<String, Value>,
}
