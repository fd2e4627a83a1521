//! Password hashes: Argon2id in a small pool of its own, so that a storm of
//! sign-ins leaves the token refreshes alone (AUT-03): one hash costs as
//! much CPU time as some 65 refreshes.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash as Phc},
};
use sojourn_core::{password::Password, user::PasswordHash};
use tokio::sync::Semaphore;

/// A password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The queue is full.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// A stored hash cannot be read, or the hasher fails.
    #[error("{0}")]
    Broken(String),
}

/// A hash that was made elsewhere and cannot be used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefused {
    /// Only Argon2id is known.
    #[error("the hasher is unknown")]
    Hasher,
    /// It is incomplete, or too expensive to check.
    #[error("the digest is not one that can be checked")]
    Digest,
}

fn broken(error: impl std::fmt::Display) -> PasswordsError {
    PasswordsError::Broken(error.to_string())
}

/// OWASP's parameters: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Requests that may wait for a place; more are turned away.
const QUEUE: usize = 64;

/// Hashes and checks passwords, a few at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    working: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// A pool one smaller than the machine, and at least of one.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_sub(1).max(1);
        Self {
            working: Arc::new(Semaphore::new(workers)),
            admitted: Arc::new(Semaphore::new(workers + QUEUE)),
        }
    }

    /// The hash to store for a password.
    ///
    /// # Errors
    /// [`PasswordsError::Busy`] when the queue is full.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordsError> {
        self.run(move || {
            let hash = hasher().hash_password(password.as_bytes()).map_err(broken)?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// Whether `password` is the one behind `hash`. Without a hash the same
    /// work is done for nothing, so that time does not tell which accounts
    /// exist (AUT-13).
    ///
    /// # Errors
    /// [`PasswordsError::Busy`] when the queue is full.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, PasswordsError> {
        self.run(move || match hash {
            Some(hash) => {
                let parsed = Phc::new(&hash.0).map_err(broken)?;
                Ok(hasher().verify_password(password.as_bytes(), &parsed).is_ok())
            }
            None => hasher().hash_password(password.as_bytes()).map(|_| false).map_err(broken),
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordsError> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let _place = self.admitted.clone().try_acquire_owned().map_err(|_| PasswordsError::Busy)?;
        let worker = self.working.clone().acquire_owned().await.map_err(broken)?;
        // The permit goes along: a request that was given up still occupies its worker.
        let done = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            work()
        });
        done.await.map_err(broken)?
    }
}

/// A hash that was made elsewhere. Only Argon2id, and none that would cost
/// more to check than a request may.
///
/// # Errors
/// [`ImportRefused`].
pub fn imported(digest: &str, hasher: &str) -> Result<PasswordHash, ImportRefused> {
    if hasher != "argon2id" {
        return Err(ImportRefused::Hasher);
    }
    let bad = || ImportRefused::Digest;
    let parsed = Phc::new(digest).map_err(|_| bad())?;
    let params = argon2::Params::try_from(&parsed).map_err(|_| bad())?;
    let affordable = params.m_cost() <= 262_144 && params.t_cost() <= 10 && params.p_cost() <= 8;
    let is_argon2id = parsed.algorithm.as_str() == "argon2id" && parsed.version == Some(19);
    let is_whole = parsed.salt.is_some() && parsed.hash.is_some();
    if is_argon2id && affordable && is_whole { Ok(PasswordHash(digest.to_owned())) } else { Err(bad()) }
}

/// Whether a hash is made as ours are today.
pub fn is_ours(hash: &PasswordHash) -> bool {
    let Ok(parsed) = Phc::new(&hash.0) else { return false };
    let Ok(params) = argon2::Params::try_from(&parsed) else { return false };
    let cost = (params.m_cost(), params.t_cost(), params.p_cost());
    parsed.algorithm.as_str() == "argon2id"
        && parsed.version == Some(Version::V0x13 as u32)
        && cost == (MEMORY_KIB, PASSES, 1)
        && parsed.salt.is_some_and(|salt| salt.len() >= 16)
        && parsed.hash.is_some_and(|hash| hash.len() >= 32)
}

fn hasher() -> Argon2<'static> {
    let params = argon2::Params::new(MEMORY_KIB, PASSES, 1, None).expect("OWASP's parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_another_is_not() {
        let passwords = Passwords::new();
        let hash = passwords.hash(Password::present("correct horse")).await.expect("hashed");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(is_ours(&hash));
        assert!(
            passwords.verify(Password::present("correct horse"), Some(hash.clone())).await.expect("checked")
        );
        assert!(!passwords.verify(Password::present("battery staple"), Some(hash)).await.expect("checked"));
        assert!(!passwords.verify(Password::present("anything"), None).await.expect("checked"));
    }

    #[test]
    fn aut_03_a_hash_of_other_strength_is_none_of_ours() {
        let (salt, tag) = ("c29tZXNhbHRzb21lc2FsdA", "A".repeat(43));
        let hash = |what: &str, salt: &str, tag: &str| PasswordHash(format!("$argon2id${what}${salt}${tag}"));
        assert!(is_ours(&hash("v=19$m=19456,t=2,p=1", salt, &tag)));
        for what in
            ["v=19$m=19456,t=1,p=1", "v=19$m=65536,t=3,p=4", "v=16$m=19456,t=2,p=1", "m=19456,t=2,p=1"]
        {
            assert!(!is_ours(&hash(what, salt, &tag)), "{what}");
        }
        assert!(!is_ours(&hash("v=19$m=19456,t=2,p=1", "c29tZXNhbHQ", &tag)), "a short salt");
        assert!(!is_ours(&hash("v=19$m=19456,t=2,p=1", salt, &"A".repeat(22))), "a short hash");
        assert!(!is_ours(&PasswordHash("$2b$10$abcdefghijklmnopqrstuv".to_owned())));
    }
}
