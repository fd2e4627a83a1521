//! From the errors of the use cases to the codes of answers: one `match` per enum.

use std::convert::Infallible;

use sojourn_core::{
    client::SignInRefused,
    factor::CodeRefusal,
    imported_hash::{FORMS, ImportRefused, TooExpensive},
    password::{Password, PasswordRefusal},
    signing_key::{MAXIMUM_WAIT, RotationRefused},
    user::{EmailRefusal, MAX_EMAIL_ADDRESSES},
    webhook::MAX_ENDPOINTS,
};
use sojourn_service::{
    account::AccountError,
    factors::AuthError,
    idempotency::CreationError,
    mail::MailError,
    outcome::Failure,
    passwords::PasswordsError,
    rate_limits::RateLimited,
    secret_keys::SecretKeyError,
    sessions::{SignedOut, backend::BackendError},
    signing_keys::SigningKeyError,
    users::UserError,
    webhooks::{UrlRefusal, WebhookError},
};

use crate::{
    auth::browser::signed_out,
    wire::{ApiError, ApiResult, ErrorCode, Params, params::metadata_too_large, session_end},
};

impl From<RateLimited> for ApiError {
    fn from(limited: RateLimited) -> Self {
        Self::new(ErrorCode::TooManyRequests)
            .why("This was asked too often from here. Wait a moment and try again.")
            .retry_after(limited.retry_after_seconds)
    }
}

impl From<PasswordsError> for ApiError {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => Self::new(ErrorCode::TooManyRequests)
                .why("Too many people are signing in at this moment. Try again in a few seconds.")
                .retry_after(2),
            PasswordsError::Broken(cause) => Self::internal(cause),
        }
    }
}

impl From<ImportRefused> for ApiError {
    fn from(refused: ImportRefused) -> Self {
        match refused {
            ImportRefused::Hasher => {
                let known: Vec<&str> = FORMS.iter().map(|(name, _)| *name).collect();
                Self::param(ErrorCode::FormParamValueInvalid, "password_hasher").why(format!(
                    "password_hasher is unknown. Known here: {}. Let users of other hashes choose a new password.",
                    known.join(", ")
                ))
            }
            ImportRefused::NotOffered(why) => Self::param(ErrorCode::FormParamValueInvalid, "password_hasher")
                .why(format!("{why} Let these users choose a new password, with skip_password_requirement.")),
            ImportRefused::Digest(form) => {
                Self::param(ErrorCode::FormPasswordDigestInvalid, "password_digest")
                    .why(format!("password_digest does not have the form of its hasher: {form}."))
            }
            ImportRefused::TooExpensive(TooExpensive { what, value, limit }) => {
                Self::param(ErrorCode::FormPasswordDigestInvalid, "password_digest").why(format!(
                    "Verifying this hash would cost too much at each sign-in: {what} is {value}, the limit is {limit}. Let this user choose a new password, with skip_password_requirement."
                ))
            }
        }
    }
}

/// The password that somebody chose in the field `name`.
///
/// # Errors
/// What the rules for passwords say against it.
pub fn chosen_password(params: &Params, name: &str) -> ApiResult<Password> {
    Password::choose(&params.required(name)?).map_err(|refusal| match refusal {
        PasswordRefusal::TooShort => ApiError::param(ErrorCode::FormPasswordTooShort, name),
        PasswordRefusal::TooLong => ApiError::param(ErrorCode::FormPasswordTooLong, name),
        PasswordRefusal::ControlCharacter => ApiError::param(ErrorCode::FormPasswordValidationFailed, name)
            .why("The password holds a character that keyboards do not give. Type it again."),
    })
}

impl From<SignedOut> for ApiError {
    fn from(refused: SignedOut) -> Self {
        let ended = refused.ended.as_deref();
        let notice = ended.and_then(|session| Some(session_end::notice(session, &session.closed?)));
        match notice {
            Some(notice) => signed_out().with_session_end(notice),
            None => signed_out(),
        }
    }
}

impl<R: Into<Self>> From<CreationError<R>> for ApiError {
    fn from(error: CreationError<R>) -> Self {
        match error {
            CreationError::KeyReused => Self::new(ErrorCode::IdempotencyKeyReused)
                .why("Another request was sent with this Idempotency-Key. Use a new key for each creation."),
            CreationError::Refused(reason) => reason.into(),
        }
    }
}

impl From<Infallible> for ApiError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<SignInRefused> for ApiError {
    fn from(refused: SignInRefused) -> Self {
        match refused {
            SignInRefused::SessionExists => Self::new(ErrorCode::SessionExists).why(
                "Somebody is signed in here. Sign out first; several accounts at once are not allowed by the settings.",
            ),
            // Browsers switch to the session named. Compat: clerk/javascript packages/ui SignInStart
            SignInRefused::AlreadySignedIn(session_id) => {
                Self::param(ErrorCode::IdentifierAlreadySignedIn, "identifier")
                    .why("This account is signed in here already. Switch to it.")
                    .meta("session_id", session_id.to_string())
            }
            SignInRefused::TooManySessions => Self::new(ErrorCode::TooManySessions)
                .why("This browser holds as many accounts as it may. Sign out of one first."),
        }
    }
}

impl From<CodeRefusal> for ApiError {
    fn from(refusal: CodeRefusal) -> Self {
        match refusal {
            CodeRefusal::Incorrect => Self::param(ErrorCode::FormCodeIncorrect, "code"),
            CodeRefusal::Spent => Self::new(ErrorCode::VerificationFailed)
                .why("The code was used already or answered too often. Ask for a new one."),
            CodeRefusal::Expired => Self::new(ErrorCode::VerificationExpired)
                .why("The code is older than ten minutes. Ask for a new one."),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        // Compat: the vendor's catalogue of Frontend API errors has a code of its own
        // for what is wrong with an actor token.
        let either = |acts, actors, users| Self::new(if acts { actors } else { users });
        match error {
            AuthError::SignedOut => signed_out(),
            AuthError::NotAdmitted(refused) => refused.into(),
            AuthError::NoSignIn => Self::not_found("sign-in attempt of this browser"),
            AuthError::NoSignUp => Self::not_found("sign-up attempt of this browser"),
            AuthError::OutOfOrder => Self::new(ErrorCode::SignInOutOfOrder)
                .why("The attempt is not at this step. Read it again, or begin anew."),
            AuthError::IdentifierInvalid => Self::param(ErrorCode::FormParamFormatInvalid, "identifier")
                .message("Identifier is invalid.")
                .why("Enter an e-mail address such as name@example.com."),
            AuthError::IdentifierUnknown => Self::param(ErrorCode::FormIdentifierNotFound, "identifier")
                .why("There is no account with this e-mail address. Check it, or sign up."),
            AuthError::EmailInvalid => Self::param(ErrorCode::FormParamFormatInvalid, "email_address")
                .message("Email address must be a valid email address.")
                .why("Enter an e-mail address such as name@example.com."),
            AuthError::EmailMissing => Self::param(ErrorCode::FormParamMissing, "email_address"),
            AuthError::EmailTaken => Self::param(ErrorCode::FormIdentifierExists, "email_address"),
            AuthError::NoAddress => Self::param(ErrorCode::FormParamValueInvalid, "email_address_id"),
            AuthError::CodeMissing => {
                Self::new(ErrorCode::VerificationMissing).why("Ask for a code first.")
            }
            AuthError::Code(refusal) => refusal.into(),
            AuthError::PasswordIncorrect => Self::param(ErrorCode::FormPasswordIncorrect, "password"),
            AuthError::PasswordOrIdentifierIncorrect => {
                Self::param(ErrorCode::FormPasswordOrIdentifierIncorrect, "password")
            }
            AuthError::NoPassword => Self::param(ErrorCode::StrategyForUserInvalid, "strategy").why(
                "This account has no password. Use another way to sign in, for instance a code by e-mail.",
            ),
            AuthError::Locked { seconds } => Self::new(ErrorCode::UserLocked)
                .why(format!(
                    "Too many wrong answers. The account is locked for another {} minutes; sessions that are open stay open.",
                    seconds.div_ceil(60)
                ))
                .meta("lockout_expires_in_seconds", seconds),
            AuthError::Banned => Self::new(ErrorCode::UserBanned)
                .why("This account may not sign in. Ask the people who run the application."),
            AuthError::TicketUnknown => {
                Self::new(ErrorCode::TicketInvalid).why("The link is not one of ours. Ask for a new one.")
            }
            AuthError::TicketUsed { acts } => either(acts, ErrorCode::ActorTokenUsed, ErrorCode::TicketUsed)
                .why("The link is good for one use and was used. Ask for a new one."),
            AuthError::TicketRevoked { acts } => {
                either(acts, ErrorCode::ActorTokenRevoked, ErrorCode::TicketInvalid)
                    .why("The link was taken back. Ask for a new one.")
            }
            AuthError::TicketExpired => {
                Self::new(ErrorCode::TicketExpired).why("The link is too old. Ask for a new one.")
            }
            AuthError::TicketWithoutUser { acts } => {
                either(acts, ErrorCode::ActorTokenSubjectNotFound, ErrorCode::TicketInvalid)
                    .why("The account of this link does not exist any more.")
            }
            AuthError::ActorSignsUp => Self::new(ErrorCode::ActorTokenNotInSignIn)
                .why("Who acts as an account signs in. Open the link on the sign-in page."),
            AuthError::RateLimited(limited) => limited.into(),
            AuthError::Passwords(error) => error.into(),
            AuthError::Mail(error) => error.into(),
        }
    }
}

impl From<MailError> for ApiError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::NotConfigured => Self::new(ErrorCode::MailUnavailable)
                .why("This server has no mail server to send the code by. Sign in with a password, or ask whoever runs it."),
            MailError::QueueFull => Self::new(ErrorCode::MailUnavailable)
                .why("Too many mails are waiting to be sent. Try again in some minutes, or sign in with a password.")
                .retry_after(60),
            MailError::Text(error) => Self::internal(error),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::SignedOut(refused) => refused.into(),
            // The vendor names no code for this, and this is its code for what a caller
            // may not do. Never 401, which signs the browser out.
            AccountError::OwnerOnly => Self::new(ErrorCode::AuthorizationInvalid)
                .message("This is for the account's owner only")
                .why("You are signed in as somebody else. Passwords, e-mail addresses, other sessions and the account itself can be changed by the account's owner only. Use the Backend API, or ask them."),
            AccountError::NoSession => Self::not_found("session of this account"),
            AccountError::Email(EmailRefusal::Unknown) => Self::not_found("e-mail address of this account"),
            AccountError::Email(refusal) => email_refused(refusal, "email_address"),
            AccountError::User(error) => error.into(),
            AccountError::DeletionDisabled => Self::new(ErrorCode::AuthorizationInvalid)
                .message("This account cannot be deleted by its owner")
                .why("The people who run the application do not allow that. Ask them to delete the account."),
            AccountError::NoPassword => {
                Self::new(ErrorCode::NoPasswordSet).why("This account has no password.")
            }
            AccountError::LastWayIn => Self::new(ErrorCode::StrategyForUserInvalid)
                .message("The password is the only way to sign in.")
                .why(
                    "The password is the only way to sign in to this account. Verify an e-mail address first.",
                ),
            AccountError::CurrentPasswordMissing => {
                Self::param(ErrorCode::FormParamMissing, "current_password")
                    .why("current_password has to be given.")
            }
            AccountError::CurrentPasswordIncorrect => {
                Self::param(ErrorCode::FormPasswordIncorrect, "current_password")
            }
            AccountError::Auth(error) => error.into(),
        }
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        let primary = "primary_email_address_id";
        match error {
            UserError::Unknown => Self::not_found("user"),
            UserError::Primary(EmailRefusal::Unknown) => {
                Self::param(ErrorCode::FormResourceNotFound, primary)
                    .why("The account has no e-mail address of this id.")
            }
            UserError::Primary(refusal) => email_refused(refusal, primary),
            UserError::NoPassword => Self::new(ErrorCode::NoPasswordSet).why("This account has no password."),
            UserError::MetadataTooLarge(name, bytes) => metadata_too_large(name, bytes),
            UserError::Passwords(error) => error.into(),
        }
    }
}

impl From<BackendError> for ApiError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::NoSession => Self::not_found("session"),
            BackendError::SessionOver => Self::new(ErrorCode::AuthenticationInvalid)
                .why("The session is over, so there is no token for it. The user has to sign in again."),
            BackendError::NotItsToken => Self::new(ErrorCode::InvalidSessionToken)
                .why("The token is not one of this session, or one of the two is over."),
            BackendError::NoClient => Self::not_found("client"),
            BackendError::NoHandshake => Self::not_found("handshake nonce"),
            BackendError::NoUser => Self::not_found("user"),
            BackendError::Banned => Self::new(ErrorCode::UserBanned)
                .message("The user is banned")
                .why("A banned user has no sessions. Unban the user first."),
            BackendError::NotAdmitted => Self::internal("an empty client admits nobody"),
        }
    }
}

impl From<SecretKeyError> for ApiError {
    fn from(error: SecretKeyError) -> Self {
        let must_stay = |why| Self::new(ErrorCode::SecretKeyCannotBeRevoked).why(why);
        match error {
            SecretKeyError::Unknown => Self::not_found("secret key"),
            SecretKeyError::Printed => must_stay(
                "It is the key that this development server prints at its start, and the command line uses. Begin with another data folder to have another one.",
            ),
            SecretKeyError::Last => {
                must_stay("It is the last one, and nobody could make another. Create one first.")
            }
        }
    }
}

impl From<SigningKeyError> for ApiError {
    fn from(error: SigningKeyError) -> Self {
        match error {
            SigningKeyError::Refused(RotationRefused::UnderWay { signs_from }) => {
                Self::new(ErrorCode::SigningKeyRotationUnderWay)
                    .meta("signs_from", signs_from.as_millis())
                    .why("The key of the last rotation does not sign yet. Wait until it does, or rotate with emergency=true if a key is in the wrong hands.")
            }
            SigningKeyError::Refused(RotationRefused::TooLong) => {
                Self::new(ErrorCode::FormParamValueInvalid).why(format!(
                    "wait_seconds and keep_seconds may be {} at most.",
                    MAXIMUM_WAIT.as_secs()
                ))
            }
            SigningKeyError::Unusable(cause) => Self::internal(cause),
        }
    }
}

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::UnknownEndpoint => Self::not_found("webhook endpoint"),
            WebhookError::UnknownDelivery => {
                Self::not_found("webhook delivery").why("There is no such webhook delivery. They are kept for seven days.")
            }
            WebhookError::Url(refusal) => url_refused(&refusal),
            WebhookError::TooMany => Self::new(ErrorCode::WebhookEndpointsFull)
                .why(format!("An instance may have {MAX_ENDPOINTS} webhook endpoints. Delete one first.")),
            WebhookError::Disabled => Self::new(ErrorCode::WebhookEndpointDisabled)
                .why("Nothing is sent to a disabled endpoint. Enable it first, with {\"enabled\": true}."),
            WebhookError::UnderWay => Self::new(ErrorCode::WebhookDeliveryUnderWay)
                .why("An attempt is under way. Read the delivery in half a minute, then request another attempt if it is still needed."),
        }
    }
}

fn url_refused(refusal: &UrlRefusal) -> ApiError {
    let why = match refusal {
        UrlRefusal::Malformed => "url has to be an absolute URL of at most 2048 bytes, such as https://example.com/webhooks.".to_owned(),
        UrlRefusal::Credentials => "url must have no user name, password or fragment. Receivers verify the signature instead.".to_owned(),
        UrlRefusal::Scheme => "url has to be https. http is accepted only towards this machine in development, and towards the networks in webhooks.allowed_networks of the configuration.".to_owned(),
        UrlRefusal::Address(address) => format!("{address} is not a public address. Use a public one, or add its network to webhooks.allowed_networks in the configuration of the server."),
    };
    ApiError::param(ErrorCode::FormParamValueInvalid, "url").why(why)
}

/// For the Backend API, whose answers show no client.
impl<R: Into<Self>> From<Failure<R>> for ApiError {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Refused(reason, _) => reason.into(),
            Failure::Storage(error) => error.into(),
        }
    }
}

/// Why the addresses of an account stay as they are; `name` is the field.
fn email_refused(refusal: EmailRefusal, name: &str) -> ApiError {
    match refusal {
        EmailRefusal::Unknown => ApiError::not_found("e-mail address of this account"),
        EmailRefusal::Present => ApiError::param(ErrorCode::FormIdentifierExists, name)
            .message("This address is in the account already.")
            .why("This address is in your account already. Verify it there."),
        EmailRefusal::TooMany => {
            let text = format!("An account may have {MAX_EMAIL_ADDRESSES} e-mail addresses.");
            ApiError::param(ErrorCode::FormParamValueInvalid, name)
                .why(format!("{text} Remove one to add another."))
                .message(text)
        }
        EmailRefusal::Unverified => ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .message("The address is not verified.")
            .why("Only a verified address can be the primary one. Verify it first."),
        EmailRefusal::Verified => ApiError::new(ErrorCode::VerificationAlreadyVerified)
            .why("The address is verified already. There is nothing left to do."),
        EmailRefusal::Primary => ApiError::new(ErrorCode::IdentificationDeletionFailed).why(
            "The primary address cannot be removed. Make another verified address the primary one first.",
        ),
        EmailRefusal::Code(Some(refusal)) => refusal.into(),
        EmailRefusal::Code(None) => {
            ApiError::new(ErrorCode::VerificationMissing).why("Ask for a code first.")
        }
    }
}
