//! Password hashes: Argon2id in a small pool of its own, so that many concurrent sign-ins do not
//! slow down token refreshes (AUT-03). One hash costs as much CPU time as about 65 refreshes.
//!
//! The memory of each worker is allocated once and reused. If it were allocated per hash, the
//! allocator would keep its 19 MiB for each thread that ever computed a hash.

mod imported;

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use sojourn_core::{
    imported_hash::{self, Argon2Variant, Recipe},
    password::Password,
    user::PasswordHash,
};
use sojourn_metrics::{PASSWORD_HASHES, PASSWORDS_REFUSED, PASSWORDS_WAITING, Stopwatch};
use tokio::sync::Semaphore;

/// Why a password could not be hashed or verified.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// A stored hash cannot be parsed, or the hasher failed.
    #[error("{0}")]
    Broken(String),
}

fn broken(error: impl std::fmt::Display) -> PasswordsError {
    PasswordsError::Broken(error.to_string())
}

/// OWASP's parameters: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// The number of requests that may wait; more are refused.
const QUEUE: usize = 64;

/// Hashes and verifies passwords with bounded concurrency.
#[derive(Clone, Debug)]
pub struct Passwords {
    working: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    arenas: Arc<Arenas>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// One worker less than the number of processors, and at least one.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_sub(1).max(1);
        Self {
            working: Arc::new(Semaphore::new(workers)),
            admitted: Arc::new(Semaphore::new(workers + QUEUE)),
            arenas: Arc::default(),
        }
    }

    /// The hash to store for a password.
    ///
    /// # Errors
    /// [`PasswordsError::Busy`] if the queue is full.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordsError> {
        self.run(move |arena| new_hash(&password, arena)).await
    }

    /// Whether `password` matches `hash`. Without a hash it does the same work, so that the
    /// response time does not reveal which accounts exist (AUT-13).
    ///
    /// # Errors
    /// [`PasswordsError::Busy`] if the queue is full.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, PasswordsError> {
        self.run(move |arena| match hash {
            Some(hash) => matches(&password, &hash, arena),
            None => new_hash(&password, arena).map(|_| false),
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Arena) -> Result<T, PasswordsError> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let Ok(_place) = self.admitted.clone().try_acquire_owned() else {
            PASSWORDS_REFUSED.inc();
            return Err(PasswordsError::Busy);
        };
        let _waiting = PASSWORDS_WAITING.enter();
        let worker = self.working.clone().acquire_owned().await.map_err(broken)?;
        // The permit moves into the task: a worker stays occupied even if its request is cancelled.
        let arenas = self.arenas.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            let started = Stopwatch::start();
            let done = arenas.lend(work);
            PASSWORD_HASHES.observe(0, started.elapsed());
            done
        });
        done.await.map_err(broken)?
    }
}

/// The memory for one hash.
#[derive(Debug, Default)]
struct Arena(Vec<Block>);

impl Arena {
    fn fill(
        &mut self,
        hasher: &Argon2<'_>,
        password: &Password,
        salt: &[u8],
        out: &mut [u8],
    ) -> argon2::Result<()> {
        let wanted = hasher.params().block_count();
        let own = block_count();
        if wanted > own {
            // An imported hash with larger parameters is rare, so its memory is freed.
            let mut once = vec![Block::new(); wanted];
            return hasher.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut once);
        }
        self.0.resize(own, Block::new());
        let filled = hasher.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut self.0);
        // Erases memory that was derived from the password.
        self.0.fill(Block::new());
        filled
    }
}

/// The idle arenas: at most one per worker.
#[derive(Debug, Default)]
struct Arenas(Mutex<Vec<Arena>>);

impl Arenas {
    fn lend<T>(&self, work: impl FnOnce(&mut Arena) -> T) -> T {
        let mut arena = self.idle().pop().unwrap_or_default();
        let done = work(&mut arena);
        self.idle().push(arena);
        done
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Arena>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_hash(password: &Password, arena: &mut Arena) -> Result<PasswordHash, PasswordsError> {
    let (hasher, salt) = (hasher(), Salt::generate());
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    arena.fill(&hasher, password, salt.as_ref(), &mut out).map_err(broken)?;
    let hash = Phc {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(hasher.params()).map_err(broken)?,
        salt: Some(salt),
        hash: Some(Output::new(&out).map_err(broken)?),
    };
    Ok(PasswordHash(hash.to_string()))
}

fn matches(password: &Password, hash: &PasswordHash, arena: &mut Arena) -> Result<bool, PasswordsError> {
    let recipe = imported_hash::recipe(hash);
    let recipe = recipe.ok_or_else(|| PasswordsError::Broken("a stored hash cannot be read".to_owned()))?;
    let Recipe::Argon2 { variant, memory_kib, passes, lanes, salt, expected } = &recipe else {
        let is_right = imported::matches(password, &recipe)?;
        if !is_right {
            // An imported hash may be a fast one; a wrong password takes as long as an unknown
            // address (AUT-13).
            new_hash(password, arena)?;
        }
        return Ok(is_right);
    };
    let variant = match variant {
        Argon2Variant::I => Algorithm::Argon2i,
        Argon2Variant::Id => Algorithm::Argon2id,
    };
    let params = Params::new(*memory_kib, *passes, *lanes, Some(expected.len())).map_err(broken)?;
    let mut out = vec![0; expected.len()];
    arena.fill(&Argon2::new(variant, Version::V0x13, params), password, salt, &mut out).map_err(broken)?;
    Ok(verify_slices_are_equal(&out, expected).is_ok())
}

/// Whether a hash has our current algorithm and parameters.
pub fn is_ours(hash: &PasswordHash) -> bool {
    let Ok(parsed) = Phc::new(&hash.0) else { return false };
    let Ok(params) = Params::try_from(&parsed) else { return false };
    let cost = (params.m_cost(), params.t_cost(), params.p_cost());
    parsed.algorithm.as_str() == "argon2id"
        && parsed.version == Some(Version::V0x13 as u32)
        && cost == (MEMORY_KIB, PASSES, 1)
        && parsed.salt.is_some_and(|salt| salt.len() >= 16)
        && parsed.hash.is_some_and(|hash| hash.len() >= 32)
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params())
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, 1, None).expect("OWASP's parameters are valid")
}

fn block_count() -> usize {
    params().block_count()
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;

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

    #[tokio::test]
    async fn hashes_of_other_strength_are_checked_too() {
        let passwords = Passwords::new();
        for (memory, passes, lanes) in [(8, 1, 1), (MEMORY_KIB, 3, 1), (2 * MEMORY_KIB, 1, 2)] {
            let params = Params::new(memory, passes, lanes, None).expect("parameters");
            let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = hasher.hash_password_with_salt(b"correct horse", b"somesaltsomesalt").expect("hashed");
            let hash = PasswordHash(hash.to_string());
            let right = passwords.verify(Password::present("correct horse"), Some(hash.clone())).await;
            assert!(right.expect("checked"), "{}", hash.0);
            let wrong = passwords.verify(Password::present("battery staple"), Some(hash)).await;
            assert!(!wrong.expect("checked"));
        }
    }

    #[tokio::test]
    async fn memory_is_one_arena_per_worker_and_holds_no_trace() {
        let passwords = Passwords::new();
        let workers = passwords.working.available_permits();
        let hashes: Vec<_> = (0..3 * workers + 2)
            .map(|n| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash(Password::present(&format!("password {n}"))).await })
            })
            .collect();
        for hash in hashes {
            hash.await.expect("no panic").expect("hashed");
        }
        let arenas = passwords.arenas.idle();
        assert!((1..=workers).contains(&arenas.len()), "{} for {workers}", arenas.len());
        for arena in &*arenas {
            assert_eq!(arena.0.len(), block_count());
            assert!(arena.0.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        }
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
