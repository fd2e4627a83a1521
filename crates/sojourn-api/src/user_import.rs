//! Many accounts at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CreateUser, ErrorItem, Kind, named};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportUsers {
    /// 500 at most.
    pub users: Vec<ImportUser>,
    /// Decides and writes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// False: no `user.created` for these accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportUser {
    /// The id to keep: `user_` and 27 letters and digits. A new one where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// As in `POST /v1/users`, but without `password`. A password is optional.
    pub user: CreateUser,
}

/// What became of each row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserImport {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub dry_run: bool,
    pub created: u64,
    pub existing: u64,
    pub refused: u64,
    /// In the order of the request.
    pub data: Vec<ImportedRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportedRow {
    pub status: ImportStatus,
    /// Of the account that was created or found. In a dry run the id of a new account is not final.
    pub id: Option<String>,
    /// By what an existing account was found.
    pub matched_by: Option<ImportMatch>,
    /// Why the row is refused.
    pub error: Option<ErrorItem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    Created,
    /// Nothing was changed.
    Exists,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportMatch {
    Id,
    ExternalId,
    EmailAddress,
}

named! { UserImport = "user_import" }
