//! The routes of the hosted pages, with the application's state.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use sojourn_core::{id::ClientId, settings::Settings};
use sojourn_service::keys::sha256;
use sojourn_store::{Engine as _, TicketStatus};

use super::{
    EndedNotice, IndexPage, MailboxEntry, PortalPage, PortalView, ended::last_end, fresh_nonce,
    headers::mailbox_headers, portal_headers, render_index, render_mailbox, render_mailbox_locked,
    render_portal,
};
use crate::{
    app::App,
    auth::{BrowserCredentials, browser::cookie_values},
    wire::{ApiError, ApiResult, Params},
};

pub fn router() -> Router<App> {
    Router::new()
        .route("/", get(show_index))
        .route("/sign-in", get(show_sign_in))
        .route("/sign-in/{*rest}", get(show_sign_in))
        .route("/sign-up", get(show_sign_up))
        .route("/sign-up/{*rest}", get(show_sign_up))
        .route("/user", get(show_user))
        .route("/user/{*rest}", get(show_user))
        .route("/mailbox", get(show_mailbox))
        .route("/mailbox/{id}", get(show_mailbox))
        .route("/mailbox/clear", post(clear_mailbox))
}

/// The target for users who opened the sign-in page directly: the setting, otherwise in development
/// the application with the origin `origin`, otherwise the account page.
pub fn home_url(app: &App, settings: &Settings, origin: Option<&str>) -> String {
    let own = app.own_origin();
    let application =
        origin.filter(|origin| app.is_development() && *origin != own).map(|origin| format!("{origin}/"));
    match settings.instance.paths.home_url.clone().or(application) {
        // A path is relative to this server, but browsers need absolute URLs.
        Some(path) if path.starts_with('/') => format!("{own}{path}"),
        Some(address) => address,
        None => format!("{own}/user"),
    }
}

async fn show_index(State(app): State<App>) -> ApiResult<Response> {
    if !app.has_development_tools() {
        return Ok(Redirect::temporary("/user").into_response());
    }
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let html = render_index(&IndexPage {
        application_name: &settings.instance.application_name,
        publishable_key: app.publishable_key(),
        origin: &app.own_origin(),
        server_version: env!("CARGO_PKG_VERSION"),
        has_dashboard: false,
    });
    Ok((portal_headers(&fresh_nonce()), Html(html.map_err(ApiError::internal)?)).into_response())
}

async fn show_sign_in(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    parts: ApiResult<BrowserCredentials>,
) -> ApiResult<Response> {
    // A request with an invalid credential gets the page for unknown browsers.
    let ended = match parts {
        Ok(parts) => last_end(&app, &parts).await?,
        Err(_) => None,
    };
    let signs_out_first = takes_the_place(&app, query.as_deref().unwrap_or("")).await?;
    show(&app, &headers, PortalView::SignIn, ended, signs_out_first).await
}

/// Whether the URL has an actor token while the instance is in single-session mode. The page then
/// signs out the current user first, because the component redirects a signed-in user. The page's
/// script does it, not this request: a navigation must not change anything (D13).
/// Compat: the vendor's `url` of an actor token signs out, too;
/// clerk-docs guides/users/impersonation.mdx
async fn takes_the_place(app: &App, query: &str) -> ApiResult<bool> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let ticket = Params::from_form(query).ok().and_then(|params| params.text("__clerk_ticket").ok()?);
    let Some(ticket) = ticket.filter(|_| !settings.session.multi_session_enabled) else { return Ok(false) };
    let ticket = app.store().ticket(app.instance_id(), sha256(ticket.as_bytes())).await?;
    let now = app.moment().now;
    Ok(ticket.is_some_and(|ticket| {
        let is_good = ticket.status == TicketStatus::Pending && now < ticket.expires_at;
        is_good && ticket.impersonation.is_some()
    }))
}

async fn show_sign_up(State(app): State<App>, headers: HeaderMap) -> ApiResult<Response> {
    show(&app, &headers, PortalView::SignUp, None, false).await
}

async fn show_user(State(app): State<App>, headers: HeaderMap) -> ApiResult<Response> {
    show(&app, &headers, PortalView::User, None, false).await
}

async fn show(
    app: &App,
    headers: &HeaderMap,
    view: PortalView,
    ended: Option<EndedNotice>,
    signs_out_first: bool,
) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let last_origin = last_origin(app, headers).await?;
    let nonce = fresh_nonce();
    let html = render_portal(
        &PortalPage {
            application_name: &settings.instance.application_name,
            publishable_key: app.publishable_key(),
            origin: &app.own_origin(),
            home_url: &home_url(app, &settings, last_origin.as_deref()),
            allowed_redirect_origins: &redirect_patterns(app, &settings),
            signs_out_first,
            development: app.is_development(),
            ended,
        },
        view,
        &nonce,
    );
    Ok((portal_headers(&nonce), Html(html.map_err(ApiError::internal)?)).into_response())
}

/// The origin of the application that last used this browser's client. The secret is not checked:
/// the result only selects the target of a link among allowed URLs.
async fn last_origin(app: &App, headers: &HeaderMap) -> ApiResult<Option<String>> {
    let values = cookie_values(headers, &app.cookie_names().client);
    let id = values.first().and_then(|value| value.split('.').next()?.parse::<ClientId>().ok());
    let Some(id) = id else { return Ok(None) };
    let record = app.store().browser(app.instance_id(), id).await?;
    Ok(record.and_then(|record| record.browser.client.last_origin))
}

/// The origins to which clerk-js may redirect, in its pattern language. It drops a `redirect_url` to
/// any other origin without an error.
/// Compat: clerk/javascript packages/clerk-js/src/utils/url.ts isAllowedRedirect
fn redirect_patterns(app: &App, settings: &Settings) -> Vec<String> {
    let mut origins = app.configured_origins().to_vec();
    origins.extend(settings.instance.allowed_origins.iter().cloned());
    if app.allows_loopback() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            origins.extend([
                format!("http://{host}:*"),
                format!("https://{host}:*"),
                format!("http://{host}"),
            ]);
        }
    }
    origins
}

/// The maximum number of mails on the page.
const LISTED: u32 = 200;

async fn show_mailbox(
    State(app): State<App>,
    id: Option<Path<String>>,
    headers: HeaderMap,
    query: Params,
) -> ApiResult<Response> {
    if !app.has_development_tools() {
        return Err(ApiError::not_found("page"));
    }
    let filter = query.text("to")?;
    if let Some(key) = &query.text("key")? {
        return Ok(match app.mailbox().redeem(key) {
            Some(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/mailbox")).into_response(),
            None => locked()?,
        });
    }
    if !app.mailbox().admits(&headers) {
        return locked();
    }
    let to = filter.as_deref().map(|to| to.trim().to_lowercase()).filter(|to| !to.is_empty());
    let mails = app.store().mails(app.instance_id(), None, LISTED).await?;
    let entries: Vec<MailboxEntry> = mails
        .into_iter()
        .filter(|mail| to.as_ref().is_none_or(|to| mail.to.contains(to.as_str())))
        .map(|mail| MailboxEntry {
            id: mail.id.to_string(),
            to: mail.to,
            subject: mail.subject,
            received_at_ms: mail.received_at.as_millis(),
            code: mail.code,
            link: mail.link,
            text: mail.text,
            html: mail.html,
        })
        .collect();
    let selected = id.and_then(|Path(id)| entries.iter().find(|mail| mail.id == id));
    let html = render_mailbox(&entries, selected, filter.as_deref(), app.moment().now.as_millis());
    Ok((mailbox_headers(), Html(html.map_err(ApiError::internal)?)).into_response())
}

fn locked() -> ApiResult<Response> {
    let html = render_mailbox_locked("sojourn mailbox").map_err(ApiError::internal)?;
    Ok((StatusCode::FORBIDDEN, mailbox_headers(), Html(html)).into_response())
}

async fn clear_mailbox(State(app): State<App>, headers: HeaderMap) -> ApiResult<Response> {
    if !app.has_development_tools() || !app.mailbox().admits(&headers) {
        return Err(ApiError::not_found("page"));
    }
    app.commit(app.changes(app.moment()).write(sojourn_store::Write::ClearMails)).await?;
    Ok(Redirect::to("/mailbox").into_response())
}
