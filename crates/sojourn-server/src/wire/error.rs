//! One vocabulary of errors: a code per reason, its status and its texts in
//! one table. Every answer from 400 up has this shape, whoever gives it.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use sojourn_api as api;
use sojourn_store::{CommitError, StoreError};

use crate::request_id::RequestId;

/// What handlers return.
pub type ApiResult<T> = Result<T, ApiError>;

macro_rules! codes {
    ($($variant:ident $code:literal $status:ident $message:literal;)*) => {
        /// A stable name for what went wrong; SDKs branch on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = $message] $variant,)*
        }

        impl ErrorCode {
            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// A line about it, for the documentation.
            pub fn description(self) -> String {
                format!("`{}`: {}", self.as_str(), self.message())
            }

            /// All of them, for the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

codes! {
    // Who is calling
    AuthenticationInvalid "authentication_invalid" UNAUTHORIZED "Invalid authentication";
    AuthorizationHeaderFormatInvalid "authorization_header_format_invalid" UNAUTHORIZED "Invalid Authorization header format";
    ClerkKeyInvalid "clerk_key_invalid" UNAUTHORIZED "The secret key is not valid";
    OriginInvalid "origin_invalid" BAD_REQUEST "Invalid origin";
    OriginMissing "origin_missing" BAD_REQUEST "Missing origin";
    SecretKeyFromBrowser "origin_authorization_headers_conflict" BAD_REQUEST "A secret key must not be used by a browser";
    HostUnknown "host_invalid" MISDIRECTED_REQUEST "Unknown host";
    SecretKeyRoleInsufficient "secret_key_role_insufficient" FORBIDDEN "The secret key may not do this";
    HttpsRequired "https_required" FORBIDDEN "https is required";
    UserLocked "user_locked" FORBIDDEN "Your account is locked";
    UserBanned "user_banned" FORBIDDEN "Your account is banned";
    AuthorizationInvalid "authorization_invalid" FORBIDDEN "You are not authorized to do this";
    // What they ask for
    ResourceNotFound "resource_not_found" NOT_FOUND "Not found";
    NotOffered "not_offered" NOT_FOUND "This server does not offer that";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "Method not allowed";
    ResourceGone "resource_gone" GONE "Not offered any more";
    RequestMalformed "request_malformed" BAD_REQUEST "The request cannot be read";
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "The request came too slowly";
    RequestBodyInvalid "request_body_invalid" BAD_REQUEST "The request body is invalid";
    RequestBodyTooLarge "request_body_too_large" PAYLOAD_TOO_LARGE "The request body is too large";
    RequestUriTooLong "request_uri_too_long" URI_TOO_LONG "The address is too long";
    RequestHeadersTooLarge "request_headers_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE "The headers are too large";
    UnsupportedContentType "unsupported_content_type" UNSUPPORTED_MEDIA_TYPE "The content type is not supported";
    MalformedRequestParameters "malformed_request_parameters" BAD_REQUEST "A parameter of the request is malformed";
    RequestInvalidForEnvironment "request_invalid_for_environment" BAD_REQUEST "Not possible in this environment";
    RedirectUrlInvalid "redirect_url_invalid" UNPROCESSABLE_ENTITY "The redirect address is not allowed";
    HandshakeCannotReturn "handshake_cookies_not_shared" UNPROCESSABLE_ENTITY "The browser cannot carry the answer back";
    TooManyRequests "too_many_requests" TOO_MANY_REQUESTS "Too many requests";
    IdempotencyKeyReused "idempotency_key_reused" UNPROCESSABLE_ENTITY "The Idempotency-Key was used for another request";
    Conflict "conflict" CONFLICT "The resource has changed in the meantime";
    // Forms
    FormParamMissing "form_param_missing" UNPROCESSABLE_ENTITY "is missing";
    FormParamNil "form_param_nil" UNPROCESSABLE_ENTITY "Enter a value";
    FormParamUnknown "form_param_unknown" UNPROCESSABLE_ENTITY "is unknown";
    FormParamTypeInvalid "form_param_type_invalid" UNPROCESSABLE_ENTITY "has the wrong type";
    FormParamFormatInvalid "form_param_format_invalid" UNPROCESSABLE_ENTITY "is invalid";
    FormParamValueInvalid "form_param_value_invalid" UNPROCESSABLE_ENTITY "does not match one of the allowed values";
    FormParamMaxLengthExceeded "form_param_max_length_exceeded" UNPROCESSABLE_ENTITY "is too long";
    FormParamExceedsAllowedSize "form_param_exceeds_allowed_size" UNPROCESSABLE_ENTITY "is too large";
    FormResourceNotFound "form_resource_not_found" UNPROCESSABLE_ENTITY "was not found";
    FormIdentifierExists "form_identifier_exists" UNPROCESSABLE_ENTITY "That email address is taken. Please try another.";
    FormIdentifierNotFound "form_identifier_not_found" UNPROCESSABLE_ENTITY "Couldn't find your account.";
    FormPasswordIncorrect "form_password_incorrect" UNPROCESSABLE_ENTITY "Password is incorrect. Try again, or use another method.";
    FormPasswordOrIdentifierIncorrect "form_password_or_identifier_incorrect" UNPROCESSABLE_ENTITY "Password or email address is incorrect. Try again, or use another method.";
    FormPasswordTooShort "form_password_length_too_short" UNPROCESSABLE_ENTITY "Passwords must be 8 characters or more.";
    FormPasswordTooLong "form_password_length_too_long" UNPROCESSABLE_ENTITY "Passwords must be 72 characters or fewer.";
    FormPasswordValidationFailed "form_password_validation_failed" UNPROCESSABLE_ENTITY "Password cannot be used";
    FormPasswordDigestInvalid "form_password_digest_invalid_code" UNPROCESSABLE_ENTITY "The password digest is invalid";
    FormCodeIncorrect "form_code_incorrect" UNPROCESSABLE_ENTITY "Incorrect code";
    FormDataMissing "form_data_missing" UNPROCESSABLE_ENTITY "Something is missing";
    VerificationExpired "verification_expired" UNPROCESSABLE_ENTITY "The code has expired";
    VerificationFailed "verification_failed" UNPROCESSABLE_ENTITY "Too many failed attempts";
    VerificationAlreadyVerified "verification_already_verified" BAD_REQUEST "Already verified";
    IdentificationDeletionFailed "identification_deletion_failed" UNPROCESSABLE_ENTITY "The address cannot be removed";
    VerificationMissing "verification_missing" UNPROCESSABLE_ENTITY "No code was sent";
    StrategyForUserInvalid "strategy_for_user_invalid" UNPROCESSABLE_ENTITY "Cannot sign in this way";
    NoPasswordSet "no_password_set" BAD_REQUEST "The user has no password";
    IncorrectPassword "incorrect_password" UNPROCESSABLE_ENTITY "The password is incorrect";
    // Sessions
    InvalidSessionToken "invalid_session_token" BAD_REQUEST "The session token is invalid";
    InvalidClientToken "invalid_client_token" BAD_REQUEST "The client token is invalid";
    FeatureNotEnabled "feature_not_enabled" UNAUTHORIZED "The feature is not enabled";
    SessionExists "session_exists" BAD_REQUEST "Session already exists";
    IdentifierAlreadySignedIn "identifier_already_signed_in" BAD_REQUEST "You're already signed in";
    TooManySessions "client_session_limit_exceeded" BAD_REQUEST "Too many accounts are signed in";
    SessionLifetimeRequired "session_lifetime_required" UNPROCESSABLE_ENTITY "One of the two limits has to stay on";
    SignInOutOfOrder "sign_in_step_invalid" UNPROCESSABLE_ENTITY "This step cannot be taken now";
    TicketInvalid "sign_in_token_invalid" BAD_REQUEST "The ticket is invalid";
    TicketUsed "sign_in_token_already_used_code" BAD_REQUEST "The ticket has been used";
    TicketExpired "ticket_expired_code" BAD_REQUEST "The ticket has expired";
    SignInTokenCannotBeRevoked "sign_in_token_cannot_be_revoked_code" BAD_REQUEST "The sign-in token cannot be revoked";
    ActorTokenRevoked "actor_token_revoked_code" BAD_REQUEST "The actor token has been revoked";
    ActorTokenUsed "actor_token_already_used_code" BAD_REQUEST "The actor token has been used";
    ActorTokenNotInSignIn "actor_token_not_in_sign_in_code" BAD_REQUEST "An actor token is for signing in";
    ActorTokenSubjectNotFound "actor_token_subject_not_found" NOT_FOUND "The user does not exist any more";
    ActorTokenCannotBeRevoked "actor_token_cannot_be_revoked_code" BAD_REQUEST "The actor token cannot be revoked";
    ReservedClaim "jwt_template_reserved_claim" BAD_REQUEST "A reserved claim was used";
    SigningKeyRotationUnderWay "signing_key_rotation_under_way" CONFLICT "A signing key is being rotated already";
    SecretKeyCannotBeRevoked "secret_key_cannot_be_revoked" CONFLICT "The secret key cannot be revoked";
    WebhookEndpointDisabled "webhook_endpoint_disabled" CONFLICT "The webhook endpoint is disabled";
    WebhookEndpointsFull "webhook_endpoint_limit_exceeded" CONFLICT "There are too many webhook endpoints";
    WebhookDeliveryUnderWay "webhook_delivery_under_way" CONFLICT "The webhook is being sent";
    SettingPinned "setting_pinned" CONFLICT "The setting is pinned";
    // Ours
    MailCannotBeRetried "mail_cannot_be_retried" CONFLICT "The mail is not sent again";
    MailUnavailable "mail_unavailable" SERVICE_UNAVAILABLE "Mail cannot be sent now";
    ServiceUnavailable "service_unavailable" SERVICE_UNAVAILABLE "Cannot answer now";
    OutcomeUnknown "outcome_unknown" SERVICE_UNAVAILABLE "Whether it was done is not known";
    InternalError "internal_clerk_error" INTERNAL_SERVER_ERROR "Something went wrong on our side";
}

/// An error as it is answered. What happened is `message`; why and what to do
/// next is `long_message`.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: ErrorCode,
    message: Option<String>,
    long_message: Option<String>,
    meta: Map<String, Value>,
    /// What stands beside the errors, for the browser as a whole.
    context: Option<api::ErrorContext>,
    cookies: Vec<HeaderValue>,
    retry_after_seconds: Option<u64>,
    /// Told to the log, never to the caller (LOG-03).
    cause: Option<String>,
}

/// What a person may read of an error.
#[derive(Clone, Debug)]
pub struct ErrorTexts {
    pub code: &'static str,
    pub message: String,
    /// Why, and what to do next.
    pub reason: String,
    pub trace_id: String,
}

impl ApiError {
    /// An error with the table's texts.
    pub fn new(code: ErrorCode) -> Self {
        Self(Box::new(Parts {
            code,
            message: None,
            long_message: None,
            meta: Map::new(),
            context: None,
            cookies: Vec::new(),
            retry_after_seconds: None,
            cause: None,
        }))
    }

    /// An error about one parameter.
    pub fn param(code: ErrorCode, name: &str) -> Self {
        // JavaScript reads `param_name`, the published catalogue shows `name`.
        // Compat: clerk/javascript packages/shared/src/errors/clerkApiError.ts
        Self::new(code).meta("param_name", name).meta("name", name)
    }

    /// Nothing of that name, for everyone who may not see it either (AUZ-01).
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::ResourceNotFound).why(format!("There is no such {what}. Check the id."))
    }

    /// A fault of ours, told to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let mut error = Self::new(ErrorCode::InternalError);
        error.0.cause = Some(cause.to_string());
        error
    }

    /// Why, and what to do next.
    #[must_use]
    pub fn why(mut self, text: impl Into<String>) -> Self {
        self.0.long_message = Some(text.into());
        self
    }

    /// What happened, where the table's text is not enough.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.0.message = Some(text.into());
        self
    }

    /// A detail for programs.
    #[must_use]
    pub fn meta(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.meta.insert(name.to_owned(), value.into());
        self
    }

    /// The client as it is now, so that the browser needs no second request.
    /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Base.ts
    #[must_use]
    pub fn with_client(mut self, client: Option<api::BrowserClient>, cookies: Vec<HeaderValue>) -> Self {
        self.context().client = client;
        self.0.cookies = cookies;
        self
    }

    /// How the session ended that was asked for, beside the client. Browsers take
    /// nothing but `client` from there, so it disturbs none.
    /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Base.ts _updateClient
    #[must_use]
    pub fn with_session_end(mut self, notice: api::SessionEndNotice) -> Self {
        self.context().session_end = Some(notice);
        self
    }

    fn context(&mut self) -> &mut api::ErrorContext {
        self.0.context.get_or_insert(api::ErrorContext { client: None, session_end: None })
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// Logs the error under the id of its request, and returns what a person may read of it.
    pub(crate) fn log(&self) -> ErrorTexts {
        let code = self.0.code.as_str();
        let trace_id = RequestId::current().to_string();
        if self.0.code.status().is_server_error() {
            let cause = self.0.cause.as_deref().unwrap_or("unknown");
            tracing::error!(trace_id, code, cause, "request failed");
        } else {
            tracing::debug!(trace_id, code, "request refused");
        }
        let message = self.0.message.as_deref().unwrap_or(self.0.code.message()).to_owned();
        let reason = self.0.long_message.clone().unwrap_or_else(|| message.clone());
        ErrorTexts { code, message, reason, trace_id }
    }

    /// The error as a part of a response that is none as a whole.
    pub(crate) fn item(&self) -> api::ErrorItem {
        let texts = self.log();
        self.item_of(&texts)
    }

    fn item_of(&self, texts: &ErrorTexts) -> api::ErrorItem {
        api::ErrorItem {
            code: texts.code.to_owned(),
            message: texts.message.clone(),
            long_message: texts.reason.clone(),
            meta: self.0.meta.clone(),
        }
    }

    pub(crate) fn body(&self, texts: &ErrorTexts) -> api::ErrorAnswer {
        let item = self.item_of(texts);
        let trace_id = texts.trace_id.clone();
        api::ErrorAnswer { errors: vec![item], clerk_trace_id: trace_id, meta: self.0.context.clone() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let texts = self.log();
        let mut response = (self.0.code.status(), Json(self.body(&texts))).into_response();
        // For the page that a navigating browser gets instead.
        response.extensions_mut().insert(texts);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for cookie in self.0.cookies {
            headers.append(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl From<StoreError> for ApiError {
    /// A store that does not answer is 503, never "allowed" (LOG-04).
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) => ErrorCode::ServiceUnavailable,
            StoreError::Corrupt { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::OlderSchema { .. }
            | StoreError::Unusable { .. } => ErrorCode::InternalError,
        };
        let mut answer =
            Self::new(code).why("The database cannot be reached right now. Try again in a moment.");
        answer.0.cause = Some(error.to_string());
        if code == ErrorCode::ServiceUnavailable { answer.retry_after(1) } else { answer }
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::new(ErrorCode::Conflict)
                .why("Another request changed the same thing at the same time. Try again."),
            CommitError::Taken("email_address") => {
                Self::param(ErrorCode::FormIdentifierExists, "email_address")
            }
            CommitError::Taken(name) => Self::param(ErrorCode::FormIdentifierExists, name)
                .message(format!("That {name} is taken. Please try another.")),
            CommitError::OutcomeUnknown { .. } => {
                let mut answer = Self::new(ErrorCode::OutcomeUnknown).why(
                    "The database did not say whether the change was made. Read what it was about to find out, or send the same request again with the same Idempotency-Key.",
                );
                answer.0.cause = Some(error.to_string());
                answer
            }
            CommitError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sojourn_core::{id::CommitId, testing::SeededRng, time::Timestamp};

    use super::*;

    #[tokio::test]
    async fn an_unknown_outcome_says_how_to_find_out() {
        let commit_id = CommitId::generate(Timestamp::from_secs(1_800_000_000), &mut SeededRng::new(1));
        let answer = ApiError::from(CommitError::OutcomeUnknown { commit_id }).into_response();
        assert_eq!(answer.status(), 503);
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.expect("a body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["errors"][0]["code"], "outcome_unknown");
        let why = body["errors"][0]["long_message"].as_str().expect("a text");
        assert!(why.contains("Idempotency-Key"), "{why}");
    }
}
