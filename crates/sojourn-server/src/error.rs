//! From the errors of the use cases to the codes of answers: one `match` per enum.

use sojourn_core::password::{Password, PasswordRefusal};
use sojourn_service::{
    passwords::{ImportRefused, PasswordsError},
    rate_limits::RateLimited,
};

use crate::wire::{ApiError, ApiResult, ErrorCode, Params};

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
            ImportRefused::Hasher => Self::param(ErrorCode::FormParamValueInvalid, "password_hasher")
                .why("password_hasher has to be argon2id. Let users of other hashes choose a new password."),
            ImportRefused::Digest => Self::param(ErrorCode::FormPasswordDigestInvalid, "password_digest").why(
                "password_digest has to read $argon2id$v=19$m=…,t=…,p=…$salt$hash, with m up to 262144, t up to 10 and p up to 8.",
            ),
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
