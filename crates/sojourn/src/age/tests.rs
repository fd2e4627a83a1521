use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Made by age 1.3.2 (filippo.io/age), with `age-keygen` and `age -r`.
const THEIR_KEY: &str = "AGE-SECRET-KEY-1CC73DY778HLAM272AVL9D8932SL73HQND77F3RKG9KH2W6P0WDJS34X0UW";
const THEIR_RECIPIENT: &str = "age17fjxmjmzjzxqujspzjytuthxcwfwykzn9wsk5r3yw4hy5ve9judsek0gem";
const FOR_THEIR_KEY: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBZQVo4YnRpTzN1QURMU01YQmRRU2JOWU5XcHFkeGU5S3NlU2xNNDBMUXdVCitVNlh3UHpNa3luNDF6VTdvOGhHRkp0Q2gvdjI4T1gwZlhnajB2R3QreGcKLS0tIEw4bS9pbTc0Y2xFSTUveXV6Z2ZjUEphazdKK3FJRXQwc2YvQ2NLMkpGU1kK9IKXNDJ8rOAtNOzuKw5hk74sTYO0KCf/6+Fa4xitmb6CtrPOFOzFDhzFIrGZX1TLW27/zBDXiHf5lvc=";
/// The same, with the passphrase "correct horse".
const BY_PASSPHRASE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBRS01IZHBoN3phZG5UNE5rcW93RU1nIDEwCmdLQ2k4TzZwOWNDZlVLRTcwUDJPai8raGE5NU9pRHJTY1U1ek82VVdTUEUKLS0tIGg2OS9jR2JXaUljb3ZDYmF6QzlLK0oxY0FaRGlzbTFxY3ZaTVRkZFkvUlEK8RDN2rieW/2uSXUgni5R4h8uFuoKA21royWVE/nwRo2YY2ibPzLkA0AMbqab+fj6/kF71Q==";

fn passphrase(text: &str) -> Passphrase {
    Passphrase(text.to_owned())
}

fn opened(identity: &Identity, file: &[u8]) -> Result<Vec<u8>, AgeError> {
    let mut content = Vec::new();
    decrypt(identity, Cursor::new(file.to_vec()))?.read_to_end(&mut content)?;
    Ok(content)
}

fn sealed(recipients: &[Recipient], content: &[u8]) -> Vec<u8> {
    let mut encryptor = encrypt(recipients, Vec::new()).expect("memory");
    encryptor.write_all(content).expect("memory");
    encryptor.finish().expect("memory")
}

fn of_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

#[test]
fn files_of_the_age_tool_are_decrypted() {
    let key = SecretKey::parse(THEIR_KEY).expect("a key");
    assert_eq!(key.recipient().to_string(), THEIR_RECIPIENT);
    assert_eq!(key.text(), THEIR_KEY);
    let content = opened(&Identity::Keys(vec![key]), &of_base64(FOR_THEIR_KEY)).expect("decrypted");
    assert_eq!(content, b"hello from another program\n");
    let content = opened(&Identity::Passphrase(passphrase("correct horse")), &of_base64(BY_PASSPHRASE));
    assert_eq!(content.expect("decrypted"), b"hello by passphrase\n");
}

#[test]
fn a_file_of_any_length_is_decrypted_by_each_recipient() {
    let keys = [SecretKey::generate().expect("random"), SecretKey::generate().expect("random")];
    let recipients = keys.each_ref().map(SecretKey::recipient);
    assert_eq!(Recipient::parse(&recipients[0].to_string()).as_ref(), Some(&recipients[0]));
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let content: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
        let file = sealed(&recipients, &content);
        for key in keys.clone() {
            assert!(opened(&Identity::Keys(vec![key]), &file).expect("decrypted") == content, "{length}");
        }
    }
}

#[test]
fn another_key_and_another_passphrase_are_refused() {
    let key = SecretKey::generate().expect("random");
    let file = sealed(&[key.recipient()], b"secret");
    let other = Identity::Keys(vec![SecretKey::generate().expect("random")]);
    let by_phrase = of_base64(BY_PASSPHRASE);
    for (identity, file) in [
        (other, &file),
        (Identity::Passphrase(passphrase("correct horse")), &file),
        (Identity::Passphrase(passphrase("correct house")), &by_phrase),
        (Identity::Keys(vec![key]), &by_phrase),
    ] {
        let refused = opened(&identity, file).expect_err("refused");
        assert!(matches!(refused, AgeError::WrongKey(_)), "{refused:?}");
    }
}

#[test]
fn a_changed_or_cut_file_is_refused() {
    let key = SecretKey::generate().expect("random");
    let content = vec![7; 150_000];
    let whole = sealed(&[key.recipient()], &content);
    let identity = Identity::Keys(vec![key]);
    let header = whole.len() - (150_000 + 3 * 16 + 16);
    let chunk = 65_552;
    for length in
        (0..header + 20).chain([1, 2].map(|chunks| header + 16 + chunks * chunk)).chain([whole.len() - 1])
    {
        opened(&identity, &whole[..length]).expect_err("cut");
    }
    for at in (0..header + 40).chain([whole.len() - 1]) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        opened(&identity, &changed).expect_err("changed");
    }
    // Two chunks in the other order.
    let mut moved = whole.clone();
    moved[header + 16..header + 16 + 2 * chunk].rotate_left(chunk);
    opened(&identity, &moved).expect_err("moved");
    opened(&identity, &[whole, vec![0]].concat()).expect_err("longer");
}

#[test]
fn a_file_that_is_not_encrypted_is_named_so() {
    for foreign in [&b"{\"sojourn_archive\":1}\n"[..], b"age-encryption.org/v2\n", b"x"] {
        let refused = opened(&Identity::Keys(Vec::new()), foreign).expect_err("foreign");
        assert!(matches!(refused, AgeError::Foreign), "{refused:?}");
    }
}

#[test]
fn a_key_file_has_keys_and_comments_and_nothing_else() {
    let file = format!("# created: today\n\n{THEIR_KEY}\n");
    assert_eq!(SecretKey::parse_file(&file).expect("a key").len(), 1);
    for wrong in ["", "# nothing\n", THEIR_RECIPIENT, &THEIR_KEY[..70], &THEIR_KEY.replace('C', "D")] {
        assert!(SecretKey::parse_file(wrong).is_none(), "{wrong}");
    }
    for wrong in [THEIR_KEY, "age1", &THEIR_RECIPIENT.replace("fj", "jf")] {
        assert_eq!(Recipient::parse(wrong), None);
    }
}

#[test]
fn neither_key_nor_passphrase_is_printed() {
    let printed = format!(
        "{:?} {:?}",
        SecretKey::parse(THEIR_KEY).expect("a key"),
        Recipient::Passphrase(passphrase("correct horse"))
    );
    assert_eq!(printed, "SecretKey(***) Passphrase(Passphrase(***))");
}
