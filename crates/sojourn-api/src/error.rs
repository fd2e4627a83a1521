//! Answers from status 400 up.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{BrowserClient, SessionEndNotice};

/// What went wrong. Every answer from status 400 up has this shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorAnswer {
    pub errors: Vec<ErrorItem>,
    /// The server's log has more about the error under this id.
    pub clerk_trace_id: String,
    /// What a browser needs so that it does not have to ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub meta: Option<ErrorContext>,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorItem {
    /// A stable name for programs.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Why, and what to do next.
    pub long_message: String,
    /// Details for programs, such as the parameter's name in `param_name`.
    pub meta: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorContext {
    /// The client as it is now; null when the browser has none.
    pub client: Option<BrowserClient>,
    /// How the session ended that the request was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session_end: Option<SessionEndNotice>,
}
