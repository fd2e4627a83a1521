//! The hashers whose digests are accepted, each with its form.

/// Each hasher of the vendor's API, then ours, with the form of its digest.
/// Compat: clerk/javascript packages/backend/src/api/endpoints/UserApi.ts
pub const FORMS: &[(&str, &str)] = &[
    ("argon2i", "$argon2i$v=19$m=…,t=…,p=…$salt$hash"),
    ("argon2id", "$argon2id$v=19$m=…,t=…,p=…$salt$hash"),
    ("bcrypt", "$2a$, $2b$ or $2y$, two digits of cost, $, 53 characters of salt and hash"),
    ("bcrypt_peppered", "as bcrypt, then $ and the pepper"),
    ("bcrypt_sha256_django", "bcrypt_sha256$$2b$12$ and 53 characters, as Django stores it"),
    ("ldap_ssha", "{SSHA} and base64 of SHA-1 (20 bytes) and salt"),
    ("md5", "32 hexadecimal digits"),
    ("md5_phpass", "as phpass, but of the hexadecimal MD5 of the password"),
    ("md5_salted", "salt$hash with 32 hexadecimal digits"),
    ("pbkdf2_sha1", "pbkdf2_sha1$iterations$salt$hash, the hash hexadecimal, and $key-length if wanted"),
    ("pbkdf2_sha256", "pbkdf2_sha256$iterations$salt$hash, salt and hash in base64"),
    (
        "pbkdf2_sha256_django",
        "pbkdf2_sha256$iterations$salt$hash, only the hash in base64, as Django stores it",
    ),
    ("pbkdf2_sha512", "pbkdf2_sha512$iterations$salt$hash, only the hash hexadecimal"),
    ("pbkdf2_sha512_hex", "pbkdf2_sha512_hex$iterations$salt$hash, salt and hash hexadecimal"),
    ("phpass", "$P$ or $H$, one character of rounds, 8 of salt, 22 of hash"),
    ("scrypt_firebase", "hash$salt$signer key$salt separator$rounds$memory cost, the first four in base64"),
    ("scrypt_werkzeug", "scrypt:N:r:p$salt$hash, the hash hexadecimal, as Werkzeug stores it"),
    ("sha256", "64 hexadecimal digits"),
    ("sha256_salted", "salt$hash or hash$salt with 64 hexadecimal digits"),
    ("sha512_symfony", "sha512_symfony$iterations$salt$hash, the hash in base64"),
    // Ours:
    ("aspnet_identity_v3", "base64 that begins with byte 1, as ASP.NET Core Identity stores it"),
    ("better_auth", "salt:hash, the hash of 128 hexadecimal digits, as Better Auth stores it"),
    ("wordpress", "$wp$2y$, two digits of cost, $, 53 characters, as WordPress 6.8 stores it"),
];

/// Hashers of the vendor's API that cannot be verified here, and why.
pub(super) const NOT_OFFERED: &[(&str, &str)] = &[
    ("awscognito", "Its digest is no hash: the password would have to be sent to AWS at each sign-in."),
    ("hmac_sha256_utf16_b64", "The vendor does not document how its key is written."),
];
