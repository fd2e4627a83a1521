//! Whom a list of accounts is about, and in which order.

use sojourn_core::{email::Email, time::Timestamp};
use sojourn_service::users::UserQuery;
use sojourn_store::{Span, UserFilter, UserOrder, UserSortKey};

use crate::wire::{ApiError, ApiResult, ErrorCode, Params};

/// Filters that name what no user of this server has.
const WITHOUT_MATCHES: [&str; 8] = [
    "phone_number",
    "phone_number_query",
    "username",
    "username_query",
    "web3_wallet",
    "organization_id",
    "provider",
    "provider_user_id",
];

/// Whom the parameters name.
pub fn query(params: &Params) -> ApiResult<UserQuery> {
    // Ignoring it would give users who were not asked for.
    if params.is_given("starting_after") {
        return Err(ApiError::param(ErrorCode::FormParamUnknown, "starting_after")
            .why("The cursor starting_after is not offered here. Use limit and offset."));
    }
    Ok(UserQuery {
        ids: included(params, "user_id")?.iter().map(|id| id.parse().ok()).collect(),
        emails: params.texts("email_address")?.iter().map(|text| Email::parse(text).ok()).collect(),
        names_nobody: WITHOUT_MATCHES.iter().any(|name| params.is_given(name)),
        filter: UserFilter {
            external_ids: included(params, "external_id")?,
            query: params.text("query")?,
            email_query: given(params, "email_address_query")?,
            name_query: given(params, "name_query")?,
            banned: params.flag("banned")?,
            created: span(params, "created_at")?,
            last_active: span(params, "last_active_at")?,
            last_sign_in: span(params, "last_sign_in_at")?,
            ..UserFilter::default()
        },
    })
}

/// A text that is not empty.
fn given(params: &Params, name: &str) -> ApiResult<Option<String>> {
    Ok(params.text(name)?.filter(|text| !text.is_empty()))
}

/// The times that `…_after`, `…_since` and `…_before` leave, in milliseconds.
fn span(params: &Params, name: &str) -> ApiResult<Span> {
    let time = |suffix: &str| -> ApiResult<Option<Timestamp>> {
        let millis = params.number(&format!("{name}_{suffix}"))?;
        Ok(millis.map(|millis| Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX - 1))))
    };
    let after = time("after")?.map(|at| Timestamp::from_millis(at.as_millis() + 1));
    Ok(Span { from: after.max(time("since")?), before: time("before")? })
}

/// Ids to include; a `+` before one says the same. In a query it arrives as a blank.
fn included(params: &Params, name: &str) -> ApiResult<Vec<String>> {
    let texts = params.texts(name)?;
    if texts.iter().any(|text| text.starts_with('-')) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, name).why(format!(
            "Leaving out by {name} (a minus before it) is not offered here. Name those to include."
        )));
    }
    Ok(texts.iter().map(|text| text.trim_start_matches(['+', ' ']).to_owned()).collect())
}

/// The order of a list.
pub fn order(params: &Params) -> ApiResult<UserOrder> {
    let first = params.texts("order_by")?.into_iter().next().filter(|text| !text.is_empty());
    let Some(text) = first else { return Ok(UserOrder::default()) };
    let (descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text.trim_start_matches(['+', ' '])),
    };
    let by = match name {
        // Nobody has a telephone number, a username or a wallet: all are equal.
        "created_at" | "phone_number" | "username" | "web3wallet" => UserSortKey::CreatedAt,
        "updated_at" => UserSortKey::UpdatedAt,
        "last_sign_in_at" => UserSortKey::LastSignInAt,
        "last_active_at" => UserSortKey::LastActiveAt,
        "email_address" => UserSortKey::EmailAddress,
        "first_name" => UserSortKey::FirstName,
        "last_name" => UserSortKey::LastName,
        _ => {
            return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "order_by").why(
                "order_by has to be created_at, updated_at, last_sign_in_at, last_active_at, email_address, first_name, last_name, phone_number, username or web3wallet, with + or - before it.",
            ));
        }
    };
    Ok(UserOrder { by, descending })
}
