//! The audit log.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{Kind, UnixMillis, named};

/// One administrative act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub at: UnixMillis,
    /// Such as `session.revoked`.
    pub action: String,
    pub actor: AuditActor,
    /// The kind of what was acted on, such as `session`.
    pub object_type: String,
    pub object_id: String,
    /// What changed, without secrets. Null after the user whom it is about was deleted.
    pub changes: Option<Vec<AuditChange>>,
    /// The names of the changed fields.
    pub fields: Vec<String>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    /// The id in the log of the server, and in the answer if the request failed.
    pub request_id: Option<String>,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditActor {
    #[serde(rename = "type")]
    pub kind: AuditActorType,
    /// The id of a secret key.
    pub id: Option<String>,
    /// What the secret key was called.
    pub name: Option<String>,
    /// What the secret key may do.
    pub role: Option<String>,
    /// Who typed, as the command line says. Nobody verified it.
    pub label: Option<String>,
    /// Why the server acted by itself.
    pub job: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditActorType {
    /// The holder of a secret key.
    SecretKey,
    /// The command line on the machine of the server or of its database.
    CommandLine,
    /// The server itself.
    System,
}

/// A field before and after. A secret is shown as `***`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditChange {
    pub field: String,
    #[schema(value_type = Option<Value>)]
    pub before: Value,
    #[schema(value_type = Option<Value>)]
    pub after: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListAuditLogQuery {
    /// The id of a secret key, `command_line` or `system`.
    pub actor: Option<String>,
    /// An action, or the first part of some, such as `session.*`.
    pub action: Option<String>,
    /// The id of what was acted on.
    pub object_id: Option<String>,
    /// From this time on, in Unix milliseconds.
    pub since: Option<u64>,
    /// Before this time, in Unix milliseconds.
    pub before: Option<u64>,
    /// 1 to 500; 10 by default.
    pub limit: Option<u32>,
    pub offset: Option<u32>,
}

named! { AuditEntry = "audit_entry" }
