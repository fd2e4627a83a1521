//! Many accounts at once, brought along from another system.

use axum::Json;
use serde_json::{Map, Value};
use sojourn_api as api;
use sojourn_core::{id::UserId, time::Timestamp};
use sojourn_service::{
    user_import::{ImportOptions, MAX_ROWS, MatchedBy, RowOutcome, import},
    users::NewUser,
};

use super::fields;
use crate::{
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// What `user` of a row may hold.
const FIELDS: [&str; 17] = [
    "banned",
    "bypass_client_trust",
    "created_at",
    "delete_self_enabled",
    "email_address",
    "email_address_identification_status",
    "external_id",
    "first_name",
    "last_name",
    "legal_accepted_at",
    "locale",
    "locked",
    "password_digest",
    "password_hasher",
    "private_metadata",
    "public_metadata",
    "unsafe_metadata",
];

/// Makes the accounts that do not exist, in one commit: after the answer all of them are durable. A
/// row whose account exists, by its id, its `external_id` or an address, changes nothing, so the same
/// batch can be sent again after a lost answer. A row that is refused does not stop the others.
#[utoipa::path(
    post, path = "/v1/users/import",
    request_body = api::ImportUsers,
    responses((status = 200, description = "What became of each row, in their order", body = api::UserImport)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_type_invalid", "form_param_unknown", "form_param_value_invalid",
    ]))),
)]
pub async fn import_users(app: ApplicationServer, params: Params) -> ApiResult<Json<api::UserImport>> {
    params.only(&["users", "dry_run", "events"])?;
    let options = ImportOptions {
        dry_run: params.flag("dry_run")?.unwrap_or(false),
        events: params.flag("events")?.unwrap_or(true),
    };
    let at = app.moment();
    let rows = rows(&params)?.iter().map(|row| new_user(row, at.now));
    // Rows that cannot be read are refused here; the others go on together.
    let read: Vec<ApiResult<NewUser>> = rows.collect();
    let readable: Vec<NewUser> = read.iter().flatten().cloned().collect();
    let mut outcomes = import(&app, app.context(), at, &readable, options).await?.into_iter();
    let mut data = Vec::with_capacity(read.len());
    for row in read {
        data.push(match row {
            Ok(_) => outcomes.next().map_or_else(|| refused(&ApiError::internal("a row is lost")), result),
            Err(error) => refused(&error),
        });
    }
    let count = |status| data.iter().filter(|row: &&api::ImportedRow| row.status == status).count() as u64;
    Ok(Json(api::UserImport {
        object: api::Kind::default(),
        dry_run: options.dry_run,
        created: count(api::ImportStatus::Created),
        existing: count(api::ImportStatus::Exists),
        refused: count(api::ImportStatus::Refused),
        data,
    }))
}

fn rows(params: &Params) -> ApiResult<&Vec<Value>> {
    let name = "users";
    let rows =
        match params.fields().get(name) {
            None => Err(ApiError::param(ErrorCode::FormParamMissing, name).why("users has to be given.")),
            Some(Value::Array(rows)) => Ok(rows),
            Some(_) => Err(ApiError::param(ErrorCode::FormParamTypeInvalid, name)
                .why("users has to be a list of objects.")),
        }?;
    if rows.len() > MAX_ROWS {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .why(format!("users may have {MAX_ROWS} rows, and has {}. Send several requests.", rows.len())));
    }
    Ok(rows)
}

fn new_user(row: &Value, now: Timestamp) -> ApiResult<NewUser> {
    let row = Params::of(object(row, "a row")?);
    row.only(&["id", "user"])?;
    let user = Params::of(object(row.fields().get("user").unwrap_or(&Value::Null), "user")?);
    if user.is_given("password") {
        return Err(ApiError::param(ErrorCode::FormParamUnknown, "password").why(
            "A row has no password, because hashing many takes too long for one request. Give password_digest, or use POST /v1/users.",
        ));
    }
    fields::refuse_unknown(&user)?;
    user.only(&FIELDS)?;
    let mut fields = fields::patch(&user, now)?;
    fields.banned = user.flag("banned")?;
    fields.locked = user.flag("locked")?.filter(|locked| *locked);
    fields.password = fields::digest(&user)?.map(Some);
    Ok(NewUser { id: id(&row)?, emails: fields::addresses(&user)?, fields })
}

fn id(row: &Params) -> ApiResult<Option<UserId>> {
    let Some(text) = row.text("id")? else { return Ok(None) };
    let invalid = |_| {
        ApiError::param(ErrorCode::FormParamFormatInvalid, "id").why(
            "An id to keep has to be user_ and 27 letters and digits. Leave it out, and keep the old one as external_id.",
        )
    };
    text.parse().map(Some).map_err(invalid)
}

fn object(value: &Value, what: &str) -> ApiResult<Map<String, Value>> {
    value.as_object().cloned().ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamTypeInvalid, "users")
            .why(format!("{what} of users has to be an object."))
    })
}

fn result(outcome: RowOutcome) -> api::ImportedRow {
    let row = |status, id: UserId| api::ImportedRow {
        status,
        id: Some(id.to_string()),
        matched_by: None,
        error: None,
    };
    match outcome {
        RowOutcome::Created(id) => row(api::ImportStatus::Created, id),
        RowOutcome::Exists(id, by) => {
            api::ImportedRow { matched_by: Some(matched_by(by)), ..row(api::ImportStatus::Exists, id) }
        }
        RowOutcome::Contradiction([first, second]) => {
            let [first, second] = [first, second].map(|(id, by)| format!("{} to {id}", field(by)));
            refused(&ApiError::param(ErrorCode::FormIdentifierExists, "external_id").why(format!(
                "The row names two accounts: {first} and {second}. Correct the row, or delete one of them."
            )))
        }
        RowOutcome::Refused(error) => refused(&error.into()),
    }
}

fn refused(error: &ApiError) -> api::ImportedRow {
    let item = error.item();
    api::ImportedRow { status: api::ImportStatus::Refused, id: None, matched_by: None, error: Some(item) }
}

const fn matched_by(by: MatchedBy) -> api::ImportMatch {
    match by {
        MatchedBy::Id => api::ImportMatch::Id,
        MatchedBy::ExternalId => api::ImportMatch::ExternalId,
        MatchedBy::EmailAddress => api::ImportMatch::EmailAddress,
    }
}

const fn field(by: MatchedBy) -> &'static str {
    match by {
        MatchedBy::Id => "its id belongs",
        MatchedBy::ExternalId => "its external_id belongs",
        MatchedBy::EmailAddress => "an address belongs",
    }
}
