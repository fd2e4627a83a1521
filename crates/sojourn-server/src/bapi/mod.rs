//! The Backend API: what application servers ask, with a secret key.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// Routes with their documentation.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
