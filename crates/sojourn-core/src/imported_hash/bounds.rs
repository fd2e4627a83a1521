//! How much one verification of an imported hash may cost: about a second of one core, and the
//! memory of a few of our own hashes (AUT-03). Whoever signs in can make the server do this work.

use super::{Digest, Recipe};

/// A parameter of a hash that is above its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooExpensive {
    /// What is too large, with its unit.
    pub what: &'static str,
    pub value: u64,
    pub limit: u64,
}

/// Cost 14 takes 0.8 s; PHP, Devise and Laravel use 12 or less.
const MAX_BCRYPT_COST: u64 = 14;
/// Times the number of blocks of output. Django 6.0 uses 1,200,000 with SHA-256.
const MAX_PBKDF2_ITERATIONS: u64 = 2_000_000;
const MAX_PBKDF2_SHA512_ITERATIONS: u64 = 1_000_000;
/// Better Auth and Werkzeug use 32 MiB.
const MAX_SCRYPT_MEMORY_KIB: u64 = 64 * 1024;
/// Memory times lanes, which run one after the other.
const MAX_SCRYPT_WORK_KIB: u64 = 256 * 1024;
const MAX_ARGON2_MEMORY_KIB: u64 = 256 * 1024;
const MAX_ARGON2_PASSES: u64 = 10;
const MAX_ARGON2_LANES: u64 = 8;
/// Memory times passes.
const MAX_ARGON2_WORK_KIB: u64 = 1024 * 1024;
/// WordPress uses 13; phpass itself allows 30, which is five minutes.
const MAX_PHPASS_ROUNDS_LOG2: u64 = 19;
/// Symfony's default is 5,000.
const MAX_SYMFONY_ITERATIONS: u64 = 500_000;

/// Whether every parameter is within its limit.
///
/// # Errors
/// The first that is not.
pub(super) fn check(recipe: &Recipe) -> Result<(), TooExpensive> {
    let within = |what, value: u64, limit| match value <= limit {
        true => Ok(()),
        false => Err(TooExpensive { what, value, limit }),
    };
    match recipe {
        Recipe::Argon2 { memory_kib, passes, lanes, .. } => {
            let (memory, passes) = (u64::from(*memory_kib), u64::from(*passes));
            within("memory m in KiB", memory, MAX_ARGON2_MEMORY_KIB)?;
            within("passes t", passes, MAX_ARGON2_PASSES)?;
            within("lanes p", (*lanes).into(), MAX_ARGON2_LANES)?;
            within("memory m in KiB times passes t", memory * passes, MAX_ARGON2_WORK_KIB)
        }
        Recipe::Bcrypt { cost, .. } => within("cost of bcrypt", (*cost).into(), MAX_BCRYPT_COST),
        Recipe::Pbkdf2 { digest, iterations, expected, .. } => {
            let blocks = (expected.len() as u64).div_ceil(digest.bytes());
            let limit = match digest {
                Digest::Sha512 => MAX_PBKDF2_SHA512_ITERATIONS,
                _ => MAX_PBKDF2_ITERATIONS,
            };
            within("iterations times blocks of output", u64::from(*iterations) * blocks, limit)
        }
        Recipe::Scrypt { log_n, r, p, .. } => {
            // 128 N r bytes. The parser admits N up to 2^24 and r up to 64, so nothing overflows.
            let memory_kib = (u64::from(*r) << log_n) / 8;
            within("memory of scrypt in KiB", memory_kib, MAX_SCRYPT_MEMORY_KIB)?;
            within("memory of scrypt in KiB times p", memory_kib * u64::from(*p), MAX_SCRYPT_WORK_KIB)
        }
        Recipe::Fast { .. } => Ok(()),
        Recipe::Phpass { rounds_log2, .. } => {
            within("logarithm of the rounds of phpass", (*rounds_log2).into(), MAX_PHPASS_ROUNDS_LOG2)
        }
        Recipe::Symfony { iterations, .. } => {
            within("iterations", (*iterations).into(), MAX_SYMFONY_ITERATIONS)
        }
    }
}

impl Digest {
    /// The length of the output.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}
