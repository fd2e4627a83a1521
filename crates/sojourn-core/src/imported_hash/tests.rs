use proptest::prelude::*;

use super::*;

const BCRYPT_BODY: &str = "eHBLiIagwR/ZYbdG7Ei3xelIzBRIlQRt1XxdRAkWpJspQU4RcR3ky";

fn refused(digest: &str, hasher: &str) -> ImportRefused {
    import(digest, hasher).expect_err(&format!("{hasher}: {digest}"))
}

/// What is too large, its value and its limit.
fn too_expensive(digest: &str, hasher: &str) -> (u64, u64) {
    match refused(digest, hasher) {
        ImportRefused::TooExpensive(TooExpensive { value, limit, .. }) => (value, limit),
        other => panic!("{hasher}: {digest}: {other:?}"),
    }
}

fn is_read(digest: &str, hasher: &str) -> bool {
    !matches!(refused(digest, hasher), ImportRefused::Digest(_))
}

#[test]
fn a_stored_hash_names_its_hasher_and_argon2_names_itself() {
    let md5 = import("5f4dcc3b5aa765d61d8327deb882cf99", "md5").expect("imported");
    assert_eq!(md5.0, "md5:5f4dcc3b5aa765d61d8327deb882cf99");
    let text = "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
    assert_eq!(import(text, "argon2i").expect("imported").0, text);
    for stored in [&md5.0, text] {
        assert!(recipe(&PasswordHash(stored.to_owned())).is_some(), "{stored}");
    }
    for broken in ["", "$", "md5", "md5:", "unknown:x", "$argon2d$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA"] {
        assert!(recipe(&PasswordHash(broken.to_owned())).is_none(), "{broken}");
    }
}

#[test]
fn an_unknown_hasher_is_refused_and_a_known_one_says_why() {
    assert_eq!(refused("x", "rot13"), ImportRefused::Hasher);
    assert!(matches!(refused("x", "awscognito"), ImportRefused::NotOffered(_)));
    assert!(matches!(refused("x", "hmac_sha256_utf16_b64"), ImportRefused::NotOffered(_)));
}

#[test]
fn a_hash_of_another_form_is_refused() {
    let hex32 = "5f4dcc3b5aa765d61d8327deb882cf99";
    let wrong: &[(&str, &[String])] = &[
        (
            "argon2id",
            &[
                "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
                "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
                "$argon2id$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
                "$argon2id$v=19$m=64,t=1,p=9$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
                "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
                "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ".to_owned(),
                "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
            ],
        ),
        (
            "bcrypt",
            &[
                format!("$2x$10${BCRYPT_BODY}"),
                format!("$2$10${BCRYPT_BODY}"),
                format!("$2b$1${BCRYPT_BODY}"),
                format!("$2b$03${BCRYPT_BODY}"),
                format!("$2b$+9${BCRYPT_BODY}"),
                format!("$2b$10${}", &BCRYPT_BODY[1..]),
                format!("$2b$10$é{}", &BCRYPT_BODY[2..]),
                format!(" $2b$10${BCRYPT_BODY}"),
            ],
        ),
        ("bcrypt_peppered", &[format!("$2b$10${BCRYPT_BODY}"), format!("$2b$10${BCRYPT_BODY}$")]),
        ("bcrypt_sha256_django", &[format!("$2b$10${BCRYPT_BODY}")]),
        ("wordpress", &[format!("$2y$10${BCRYPT_BODY}"), format!("$wp$2y$10${}", &BCRYPT_BODY[1..])]),
        (
            "ldap_ssha",
            &[
                "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned(),
                "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned(),
                "{SSHA}W6ph".to_owned(),
                "é".to_owned(),
            ],
        ),
        ("md5", &[hex32[1..].to_owned(), format!("{hex32}00"), String::new(), "z".repeat(32)]),
        ("md5_salted", &[hex32.to_owned(), format!("${hex32}"), "salt$abc".to_owned()]),
        ("sha256", &[hex32.to_owned()]),
        (
            "pbkdf2_sha1",
            &[
                format!("pbkdf2_sha1$0$salt${hex32}"),
                format!("pbkdf2_sha1$1$salt${hex32}$20"),
                format!("pbkdf2_sha256$1$salt${hex32}"),
                format!("pbkdf2_sha1$1$salt${hex32}$16$"),
            ],
        ),
        (
            "pbkdf2_sha256",
            &[
                "pbkdf2_sha256$1$not base64$QUFBQUFBQUFBQUFBQUFBQQ==".to_owned(),
                "pbkdf2_sha256$1$c2FsdA==$QUFB".to_owned(),
            ],
        ),
        ("pbkdf2_sha512_hex", &[format!("pbkdf2_sha512_hex$1$salt${hex32}")]),
        (
            "aspnet_identity_v3",
            &[
                "AQAAAAEAACcQAAAAEA==".to_owned(),
                "AAAAAAEAACcQAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==".to_owned(),
                String::new(),
            ],
        ),
        (
            "phpass",
            &[
                format!("$P$B{}", "a".repeat(29)),
                format!("$S$B{}", "a".repeat(30)),
                format!("$P$4{}", "a".repeat(30)),
                format!("$P$Bsaltsalt{}z", "a".repeat(21)),
            ],
        ),
        ("scrypt_firebase", &["a$b$c".to_owned(), "QUFB$QUFB$QUFB$Bw==$8$14".to_owned()]),
        (
            "scrypt_werkzeug",
            &[
                format!("scrypt:1000:8:1$salt${}", "ab".repeat(64)),
                format!("scrypt:65536:1:1$salt${}", "ab".repeat(64)),
                format!("pbkdf2:sha256:1000$salt${}", "ab".repeat(32)),
            ],
        ),
        ("better_auth", &[format!("nothex:{}", "ab".repeat(64)), "abcd:abcd".to_owned()]),
        ("sha512_symfony", &["sha512_symfony$5000$a{b}$QUFB".to_owned()]),
    ];
    for (hasher, digests) in wrong {
        for digest in *digests {
            assert!(!is_read(digest, hasher), "{hasher}: {digest}");
        }
    }
    let long = format!("{}${hex32}", "a".repeat(MAX_DIGEST_BYTES));
    assert!(!is_read(&long, "md5_salted"), "a digest that is too long");
}

#[test]
fn aut_03_a_hash_that_costs_too_much_is_refused_with_its_limit() {
    let argon2 = |params: &str| format!("$argon2id$v=19${params}$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA");
    assert_eq!(too_expensive(&argon2("m=262145,t=1,p=1"), "argon2id"), (262_145, 262_144));
    assert_eq!(too_expensive(&argon2("m=64,t=11,p=1"), "argon2id"), (11, 10));
    assert_eq!(too_expensive(&argon2("m=128,t=1,p=9"), "argon2id"), (9, 8));
    assert_eq!(too_expensive(&argon2("m=262144,t=5,p=1"), "argon2id"), (1_310_720, 1_048_576));
    assert_eq!(too_expensive(&format!("$2b$15${BCRYPT_BODY}"), "bcrypt"), (15, 14));
    let pbkdf2 =
        |iterations: u64, bytes: usize| format!("pbkdf2_sha1$1{iterations:07}$salt${}", "ab".repeat(bytes));
    assert_eq!(too_expensive(&pbkdf2(5_000_000, 20), "pbkdf2_sha1"), (15_000_000, 2_000_000));
    assert_eq!(too_expensive(&pbkdf2(0, 20), "pbkdf2_sha1"), (10_000_000, 2_000_000));
    let sha512 = format!("pbkdf2_sha512$600000$salt${}", "ab".repeat(65));
    assert_eq!(too_expensive(&sha512, "pbkdf2_sha512"), (1_200_000, 1_000_000));
    let scrypt = |params: &str| format!("scrypt:{params}$salt${}", "ab".repeat(64));
    assert_eq!(too_expensive(&scrypt("131072:8:1"), "scrypt_werkzeug"), (131_072, 65_536));
    assert_eq!(too_expensive(&scrypt("65536:8:5"), "scrypt_werkzeug"), (327_680, 262_144));
    assert_eq!(too_expensive(&format!("$P$I{}", "a".repeat(29) + "."), "phpass"), (20, 19));
    let symfony = format!("sha512_symfony$500001$salt${}==", "A".repeat(86));
    assert_eq!(too_expensive(&symfony, "sha512_symfony"), (500_001, 500_000));
}

#[test]
fn a_secret_in_a_digest_is_not_printed() {
    let stored = import(&format!("$2b$10${BCRYPT_BODY}$pepper"), "bcrypt_peppered").expect("imported");
    let recipe = recipe(&stored).expect("a recipe");
    assert_eq!(format!("{stored:?} {recipe:?}"), "PasswordHash(***) Recipe(***)");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", prefix in 0..FORMS.len(), piece in "[$:,=0-9a-z{}]{0,20}") {
        let (hasher, _) = FORMS[prefix];
        for digest in [text.clone(), format!("{hasher}${piece}{text}"), format!("${hasher}{piece}${text}")] {
            if let Ok(stored) = import(&digest, hasher) {
                prop_assert!(recipe(&stored).is_some());
            }
        }
    }
}
