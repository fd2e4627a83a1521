//! The size and the form of a request's head, and the hosts that are answered.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{
    app::App,
    auth::{Connection, host},
    surface::Surface,
    wire::{ApiError, ErrorCode, params::percent_decoded},
};

/// Longest address: that of a handshake carries a whole session token.
const MAX_URI_BYTES: usize = 16 * 1024;
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;

/// What two parsers might read as two different paths.
const AMBIGUOUS: [&str; 8] = ["//", "%2f", "%5c", "%00", "\\", "/./", "/../", "%2e"];

pub async fn check_head(
    State((app, surface)): State<(App, Surface)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let connection = Connection::of(app.trusted_proxies(), &parts.extensions, &parts.headers);
    app.note_forwarding(&connection);
    let checked = match check_size(&parts.uri, &parts.headers) {
        Ok(()) => check_host(&app, surface, &parts, &connection).await,
        Err(error) => Err(error),
    };
    if let Err(error) = checked.and_then(|()| check_path(&app, surface, &parts.uri)) {
        return close_connection(error.into_response());
    }
    parts.extensions.insert(connection);
    next.run(Request::from_parts(parts, body)).await
}

/// For a request whose body was not read to its end: what follows it on the connection cannot be
/// trusted to be the next request.
pub fn close_connection(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn check_size(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    if uri.path_and_query().map_or(0, |text| text.as_str().len()) > MAX_URI_BYTES {
        return Err(ApiError::new(ErrorCode::RequestUriTooLong).why("An address may have 16 KiB."));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADER_BYTES {
        return Err(
            ApiError::new(ErrorCode::RequestHeadersTooLarge).why("The headers may have 32 KiB together.")
        );
    }
    if headers.len() > MAX_HEADERS {
        return Err(ApiError::new(ErrorCode::RequestHeadersTooLarge).why("A request may have 100 headers."));
    }
    // hyper prefers the transfer encoding and closes the connection, so such a request can smuggle
    // nothing; a client that sends both learns why it is refused (HST-03).
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(ApiError::new(ErrorCode::RequestBodyInvalid).why("A body has one length, not two."));
    }
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(ApiError::new(ErrorCode::HostUnknown).why("A request names one host."));
    }
    Ok(())
}

async fn check_host(
    app: &App,
    surface: Surface,
    request: &Parts,
    connection: &Connection,
) -> Result<(), ApiError> {
    // Where every answer needs a secret key, no page of a foreign name gets anything.
    if surface != Surface::Backend && !host::is_ours(app, &request.uri, &request.headers, connection).await? {
        let why = match app.is_development() {
            true => "This development server answers to localhost, its key's host and its public URL only. Open it under one of them.".to_owned(),
            false => format!(
                "This server answers to {} only. A proxy has to pass the host on that the browser named; application servers that use another name ask the address of bapi_listen.",
                app.key_host()
            ),
        };
        return Err(ApiError::new(ErrorCode::HostUnknown).why(why));
    }
    if !app.is_development() && connection.scheme.as_deref() == Some("http") {
        return Err(ApiError::new(ErrorCode::HttpsRequired).why(
            "The proxy says that this request came to it over plain http, where everybody on the way reads cookies and keys. Use https; or let the proxy say X-Forwarded-Proto: https, if it was.",
        ));
    }
    Ok(())
}

fn check_path(app: &App, surface: Surface, uri: &Uri) -> Result<(), ApiError> {
    let path = uri.path().to_ascii_lowercase();
    // A route's parameters are decoded, and the refusal of their extractor is no JSON (INP-03).
    let is_text = percent_decoded(uri.path()).is_some();
    let is_ambiguous = AMBIGUOUS.iter().any(|part| path.contains(part)) || !is_text;
    // Without development tools nothing shall show that there could be any.
    let is_hidden = path.starts_with("/dev/") && !app.has_development_tools();
    if !surface.serves(&path) || is_ambiguous || is_hidden {
        Err(ApiError::not_found("address"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_or_it_is_nothing() {
        for (path, is_text) in [("/v1/client", true), ("/a%20b", true), ("/%C3%BC", true), ("/%ff", false)] {
            assert_eq!(percent_decoded(path).is_some(), is_text, "{path}");
        }
        for path in ["/%", "/%z", "/%zz", "/%c3%28", "/%ed%a0%80"] {
            assert!(percent_decoded(path).is_none(), "{path}");
        }
    }
}
