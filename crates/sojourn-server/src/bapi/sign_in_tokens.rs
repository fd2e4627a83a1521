//! Tickets: the application's server lets one user in, once.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_core::{
    id::{SignInTokenId, UserId},
    time::seconds,
};
use sojourn_store::{Engine as _, Expect, Ticket, TicketStatus, Write};

use crate::{
    app::App,
    auth::ApplicationServer,
    keys::{random_secret, sha256},
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// How long a ticket is good unless something else is asked for: 30 days.
const DEFAULT_SECONDS: u64 = 2_592_000;
/// At most ten years.
const MOST_SECONDS: u64 = 315_360_000;

/// The ticket; its text is told when it is made and never again.
fn object(ticket: &Ticket, secret: Option<(&str, &str)>) -> Value {
    let mut object = json!({
        "object": "sign_in_token",
        "id": ticket.id,
        "user_id": ticket.user_id,
        "status": ticket.status.as_str(),
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
    });
    if let Some((token, url)) = secret {
        object["token"] = token.into();
        object["url"] = url.into();
    }
    object
}

/// A ticket for a user; `url` opens the portal with it.
#[utoipa::path(post, path = "/v1/sign_in_tokens", tag = "Sign-in tokens", responses((status = 200, description = "The sign-in token with its secret"), (status = 404, description = "Unknown user")))]
pub async fn create_sign_in_token(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let user_id = params.required("user_id")?;
    let good_for = params.number("expires_in_seconds")?.unwrap_or(DEFAULT_SECONDS);
    if !(1..=MOST_SECONDS).contains(&good_for) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "expires_in_seconds")
            .why(format!("expires_in_seconds has to be from 1 to {MOST_SECONDS}.")));
    }
    let missing = || ApiError::not_found("user");
    let user_id: UserId = user_id.parse().map_err(|_| missing())?;
    let at = app.moment();
    let now = at.now;
    let token = random_secret(&mut app.random());
    let ticket = Ticket {
        id: SignInTokenId::generate(now, &mut app.random()).into(),
        hash: sha256(token.as_bytes()),
        user_id,
        status: TicketStatus::Pending,
        created_at: now,
        updated_at: now,
        expires_at: now + seconds(good_for),
        impersonation: None,
    };
    app.settle(|| async {
        let user = app.store().user(app.instance_id(), user_id).await?.ok_or_else(missing)?;
        let changes = app
            .changes(at)
            .expect(Expect::User(user_id, user.version))
            .write(Write::InsertTicket(ticket.clone()));
        Ok(app.commit(changes).await?)
    })
    .await?;
    let url = format!("{}/sign-in?__clerk_ticket={token}", app.own_origin());
    Ok(Json(object(&ticket, Some((&token, &url)))).into_response())
}

/// Takes a ticket back that was not used.
#[utoipa::path(post, path = "/v1/sign_in_tokens/{sign_in_token_id}/revoke", tag = "Sign-in tokens", responses((status = 200, description = "The revoked sign-in token"), (status = 400, description = "It was used or revoked"), (status = 404, description = "Unknown")))]
pub async fn revoke_sign_in_token(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let missing = || ApiError::not_found("sign-in token");
    let id: SignInTokenId = id.parse().map_err(|_| missing())?;
    let at = app.moment();
    let now = at.now;
    app.settle(|| async {
        let mut ticket = app.store().ticket_by_id(app.instance_id(), id.into()).await?.ok_or_else(missing)?;
        if ticket.status != TicketStatus::Pending {
            return Err(ApiError::new(ErrorCode::SignInTokenCannotBeRevoked)
                .why(format!("It is {} already.", ticket.status.as_str()))
                .into());
        }
        app.commit(app.changes(at).write(Write::RevokeTicket(id.into()))).await?;
        ticket.status = TicketStatus::Revoked;
        ticket.updated_at = now;
        Ok(Json(object(&ticket, None)).into_response())
    })
    .await
}
