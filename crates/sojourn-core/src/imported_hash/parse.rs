//! The parsers of the digests. Each accepts the form that the hasher's own library writes, and
//! nothing else: a digest that is misread could never be verified.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Argon2Variant, BcryptInput, Digest, Recipe, SaltOrder, ScryptFinish};

/// Padding is optional where libraries differ about it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
/// 22 characters hold 16 bytes and 4 bits that mean nothing, which some libraries set.
const BCRYPT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::BCRYPT, LENIENT.with_decode_allow_trailing_bits(true));

/// The alphabet of phpass and crypt(3), in the order of its values.
const CRYPT: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How to verify a digest of one of the known hashers; `None` if its form is another.
pub(super) fn recipe(digest: &str, hasher: &str) -> Option<Recipe> {
    match hasher {
        "argon2i" => argon2(digest, "argon2i", Argon2Variant::I),
        "argon2id" => argon2(digest, "argon2id", Argon2Variant::Id),
        "bcrypt" => bcrypt(digest, BcryptInput::Password),
        "bcrypt_peppered" => {
            // A bcrypt hash has 60 characters; the pepper may hold any, `$` too.
            let (hash, pepper) = digest.split_at_checked(60)?;
            let pepper = pepper.strip_prefix('$').filter(|pepper| !pepper.is_empty())?;
            bcrypt(hash, BcryptInput::Peppered(pepper.to_owned()))
        }
        "bcrypt_sha256_django" => bcrypt(digest.strip_prefix("bcrypt_sha256$")?, BcryptInput::Sha256Hex),
        "wordpress" => bcrypt(digest.strip_prefix("$wp")?, BcryptInput::WordPress),
        "ldap_ssha" => ldap_ssha(digest),
        "md5" => unsalted(digest, Digest::Md5),
        "sha256" => unsalted(digest, Digest::Sha256),
        "md5_salted" => salted(digest, Digest::Md5),
        "sha256_salted" => salted(digest, Digest::Sha256),
        "pbkdf2_sha1" => pbkdf2_sha1(digest),
        "pbkdf2_sha256" => pbkdf2(digest, "pbkdf2_sha256", Digest::Sha256, base64, base64),
        "pbkdf2_sha256_django" => pbkdf2(digest, "pbkdf2_sha256", Digest::Sha256, plain, base64),
        "pbkdf2_sha512" => pbkdf2(digest, "pbkdf2_sha512", Digest::Sha512, plain, hexadecimal),
        "pbkdf2_sha512_hex" => pbkdf2(digest, "pbkdf2_sha512_hex", Digest::Sha512, hexadecimal, hexadecimal),
        "aspnet_identity_v3" => aspnet_identity(digest),
        "phpass" => phpass(digest, false),
        "md5_phpass" => phpass(digest, true),
        "scrypt_firebase" => scrypt_firebase(digest),
        "scrypt_werkzeug" => scrypt_werkzeug(digest),
        "better_auth" => better_auth(digest),
        "sha512_symfony" => symfony(digest),
        _ => None,
    }
}

fn argon2(digest: &str, ident: &str, variant: Argon2Variant) -> Option<Recipe> {
    let parts: Vec<&str> = digest.split('$').collect();
    let ["", name, "v=19", params, salt, hash] = parts[..] else { return None };
    let params: Vec<&str> = params.split(',').collect();
    let [memory, passes, lanes] = params[..] else { return None };
    let memory_kib = number(memory.strip_prefix("m=")?)?;
    let (passes, lanes) = (number(passes.strip_prefix("t=")?)?, number(lanes.strip_prefix("p=")?)?);
    let (salt, expected) = (base64(salt)?, base64(hash)?);
    // RFC 9106 3.1: at least 8 blocks of memory per lane, and 8 bytes of salt.
    let is_whole = name == ident
        && passes > 0
        && lanes > 0
        && u64::from(memory_kib) >= 8 * u64::from(lanes)
        && (8..=48).contains(&salt.len())
        && (16..=64).contains(&expected.len());
    is_whole.then_some(Recipe::Argon2 { variant, memory_kib, passes, lanes, salt, expected })
}

/// `$2x$` is left out: it marks hashes that a faulty version made.
fn bcrypt(digest: &str, input: BcryptInput) -> Option<Recipe> {
    let parts: Vec<&str> = digest.split('$').collect();
    let ["", "2a" | "2b" | "2y", cost, rest] = parts[..] else { return None };
    let (salt, hash) = rest.split_at_checked(22)?;
    let cost = number(Some(cost).filter(|cost| cost.len() == 2)?)?;
    let salt: [u8; 16] = BCRYPT.decode(salt).ok()?.try_into().ok()?;
    let expected = BCRYPT.decode(hash).ok()?;
    let is_whole = (4..=31).contains(&cost) && expected.len() == 23;
    is_whole.then_some(Recipe::Bcrypt { input, cost, salt, expected })
}

/// RFC 2307 names `{SHA}`; the salted form is OpenLDAP's.
fn ldap_ssha(digest: &str) -> Option<Recipe> {
    let (scheme, text) = digest.split_at_checked("{SSHA}".len())?;
    let mut expected = base64(text)?;
    let salt = expected.split_off_checked(20)?;
    let is_whole = scheme.eq_ignore_ascii_case("{SSHA}") && (1..=64).contains(&salt.len());
    is_whole.then_some(Recipe::Fast { digest: Digest::Sha1, salt, order: SaltOrder::AfterPassword, expected })
}

fn unsalted(digest: &str, algorithm: Digest) -> Option<Recipe> {
    let expected = hexadecimal(digest).filter(|hash| hash.len() as u64 == algorithm.bytes())?;
    Some(Recipe::Fast { digest: algorithm, salt: Vec::new(), order: SaltOrder::AfterPassword, expected })
}

/// The vendor documents `salt$hash`, and `hash$salt` in an earlier version.
fn salted(digest: &str, algorithm: Digest) -> Option<Recipe> {
    let hash = |text| hexadecimal(text).filter(|hash| hash.len() as u64 == algorithm.bytes());
    let behind = digest.rsplit_once('$').and_then(|(salt, text)| Some((salt, hash(text)?)));
    let before = || digest.split_once('$').and_then(|(text, salt)| Some((salt, hash(text)?)));
    let (salt, expected) = behind.or_else(before)?;
    let salt = plain(salt)?;
    Some(Recipe::Fast { digest: algorithm, salt, order: SaltOrder::Either, expected })
}

fn pbkdf2(
    digest: &str,
    prefix: &str,
    algorithm: Digest,
    salt_of: fn(&str) -> Option<Vec<u8>>,
    hash_of: fn(&str) -> Option<Vec<u8>>,
) -> Option<Recipe> {
    let parts: Vec<&str> = digest.split('$').collect();
    let [name, iterations, salt, hash] = parts[..] else { return None };
    let (salt, expected) = (salt_of(salt)?, hash_of(hash)?);
    (name == prefix).then_some(())?;
    pbkdf2_of(algorithm, number(iterations)?, salt, expected)
}

fn pbkdf2_of(digest: Digest, iterations: u32, salt: Vec<u8>, expected: Vec<u8>) -> Option<Recipe> {
    let is_whole = iterations > 0 && (1..=1024).contains(&salt.len()) && (16..=128).contains(&expected.len());
    is_whole.then_some(Recipe::Pbkdf2 { digest, iterations, salt, expected })
}

/// The salt is decoded if it is hexadecimal; the vendor documents it so.
fn pbkdf2_sha1(digest: &str) -> Option<Recipe> {
    let (rest, key_length) = match digest.split('$').count() {
        5 => digest.rsplit_once('$').and_then(|(rest, length)| Some((rest, Some(number(length)?))))?,
        _ => (digest, None),
    };
    let salt = |text: &str| hexadecimal(text).or_else(|| plain(text));
    let recipe = pbkdf2(rest, "pbkdf2_sha1", Digest::Sha1, salt, hexadecimal)?;
    let Recipe::Pbkdf2 { expected, .. } = &recipe else { return None };
    key_length.is_none_or(|length| length as usize == expected.len()).then_some(recipe)
}

/// The format marker 1; then, as four bytes each, most significant first: the function (0 SHA-1,
/// 1 SHA-256, 2 SHA-512), the iterations and the length of the salt; then the salt, then the key.
/// Source: dotnet/aspnetcore src/Identity/Extensions.Core/src/PasswordHasher.cs
fn aspnet_identity(digest: &str) -> Option<Recipe> {
    let bytes = base64(digest)?;
    let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let algorithm = match word(1)? {
        0 => Digest::Sha1,
        1 => Digest::Sha256,
        2 => Digest::Sha512,
        _ => return None,
    };
    let (salt, key) = bytes.get(13..)?.split_at_checked(word(9)? as usize)?;
    (bytes[0] == 1 && salt.len() >= 16).then_some(())?;
    pbkdf2_of(algorithm, word(5)?, salt.to_vec(), key.to_vec())
}

/// Source: the portable hashes of Openwall's phpass 0.5, `crypt_private`.
fn phpass(digest: &str, of_md5: bool) -> Option<Recipe> {
    let rest = digest.strip_prefix("$P$").or_else(|| digest.strip_prefix("$H$"))?;
    let (settings, hash) = Some(rest).filter(|rest| rest.len() == 31)?.split_at_checked(9)?;
    let (rounds, salt) = settings.split_at_checked(1)?;
    let rounds_log2 = value(rounds.bytes().next()?)?;
    let is_whole = (7..=30).contains(&rounds_log2) && salt.bytes().all(|c| value(c).is_some());
    let expected = crypt_bytes(hash)?;
    is_whole.then(|| Recipe::Phpass { rounds_log2, salt: salt.into(), of_md5, expected })
}

/// 16 bytes of 22 characters: six bits each, the lowest first.
fn crypt_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for (index, c) in group.iter().enumerate() {
            bits |= u32::from(value(*c)?) << (6 * index);
        }
        let bits = bits.to_le_bytes();
        let (whole, rest) = bits.split_at(group.len() * 6 / 8);
        rest.iter().all(|byte| *byte == 0).then_some(())?;
        bytes.extend_from_slice(whole);
    }
    (bytes.len() == 16).then_some(bytes)
}

fn value(c: u8) -> Option<u8> {
    CRYPT.iter().position(|known| *known == c).and_then(|at| u8::try_from(at).ok())
}

/// The hash is the project's signer key, encrypted with a key that scrypt makes of the password and
/// of the salt with the project's separator behind it.
/// Source: the README of firebase/scrypt.
fn scrypt_firebase(digest: &str) -> Option<Recipe> {
    let parts: Vec<&str> = digest.split('$').collect();
    let [hash, salt, signer, separator, rounds, memory] = parts[..] else { return None };
    let either = |text: &str| base64(text).or_else(|| URL_SAFE.decode(text).ok());
    let (expected, mut salt, signer) = (either(hash)?, either(salt)?, either(signer)?);
    salt.extend(either(separator)?);
    let (r, log_n) = (number(rounds)?, u8::try_from(number(memory)?).ok()?);
    (expected.len() == signer.len() && signer.len() >= 16).then_some(())?;
    scrypt(log_n, r, 1, salt, ScryptFinish::Encrypts(signer), expected)
}

/// The vendor's document shows a `$` in front, Werkzeug writes none.
fn scrypt_werkzeug(digest: &str) -> Option<Recipe> {
    let parts: Vec<&str> = digest.strip_prefix('$').unwrap_or(digest).split('$').collect();
    let [method, salt, hash] = parts[..] else { return None };
    let method: Vec<&str> = method.split(':').collect();
    let ["scrypt", n, r, p] = method[..] else { return None };
    let n: u32 = number(n).filter(|n: &u32| n.is_power_of_two())?;
    let expected = hexadecimal(hash).filter(|hash| hash.len() == 64)?;
    let log_n = u8::try_from(n.trailing_zeros()).ok()?;
    scrypt(log_n, number(r)?, number(p)?, plain(salt)?, ScryptFinish::Nothing, expected)
}

/// N = 16384, r = 16, p = 1; the salt is used as the text that it is.
/// Source: the package `@better-auth/utils`, `password`.
fn better_auth(digest: &str) -> Option<Recipe> {
    let (salt, hash) = digest.split_once(':')?;
    let expected = hexadecimal(hash).filter(|hash| hash.len() == 64)?;
    hexadecimal(salt)?;
    scrypt(14, 16, 1, plain(salt)?, ScryptFinish::Nfkc, expected)
}

fn scrypt(
    log_n: u8,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    finish: ScryptFinish,
    expected: Vec<u8>,
) -> Option<Recipe> {
    // RFC 7914 2: N is less than 2 to the power of 16 r.
    let is_sane = (1..=64).contains(&r)
        && (1..=24.min(16 * r - 1)).contains(&u32::from(log_n))
        && (1..=64).contains(&p);
    is_sane.then_some(Recipe::Scrypt { log_n, r, p, salt, finish, expected })
}

fn symfony(digest: &str) -> Option<Recipe> {
    let parts: Vec<&str> = digest.split('$').collect();
    let ["sha512_symfony", iterations, salt, hash] = parts[..] else { return None };
    let iterations = number(iterations).filter(|iterations| *iterations > 0)?;
    let expected = base64(hash).filter(|hash| hash.len() == 64)?;
    // Symfony refuses salts with braces, because it joins password and salt by them.
    let is_whole = !salt.contains(['{', '}']);
    is_whole.then(|| Recipe::Symfony { iterations, salt: salt.to_owned(), expected })
}

fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Whole bytes, at least one.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| !bytes.is_empty())
}

fn plain(text: &str) -> Option<Vec<u8>> {
    (!text.is_empty()).then(|| text.as_bytes().to_vec())
}

/// Decimal digits only: `parse` would accept a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `Vec::split_off` for a position that may lie behind the end.
trait SplitOffChecked {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>>;
}

impl SplitOffChecked for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>> {
        (at <= self.len()).then(|| self.split_off(at))
    }
}
