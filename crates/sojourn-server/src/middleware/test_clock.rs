//! Loads the test clock before each request, for instances that share a database.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{app::App, wire::ApiError};

pub async fn follow(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.shares_its_store()
        && app.has_development_tools()
        && let Err(error) = app.follow_test_clock().await
    {
        return ApiError::from(error).into_response();
    }
    next.run(request).await
}
