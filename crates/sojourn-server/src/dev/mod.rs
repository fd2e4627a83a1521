//! `/dev`: operations for tests and developers on a development instance, with its secret key. 404
//! on any other instance.

mod clock;
mod mailbox;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    wire::{ApiError, ApiResult},
};

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(mailbox::list_mails, mailbox::clear_mails))
        .routes(routes!(mailbox::create_mailbox_link))
        .routes(routes!(clock::get_clock))
        .routes(routes!(clock::freeze_clock))
        .routes(routes!(clock::resume_clock))
        .routes(routes!(clock::reset_clock))
        .routes(routes!(clock::advance_clock))
        .routes(routes!(clock::set_clock))
}

fn only_development(app: &App) -> ApiResult<()> {
    if app.has_development_tools() { Ok(()) } else { Err(ApiError::not_found("page")) }
}
