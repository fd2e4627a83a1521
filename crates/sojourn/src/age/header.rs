//! The header: who can decrypt the file key, authenticated with the file key.

use std::io::{self, BufRead};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::key::{Identity, Passphrase, Recipient, SecretKey};
use super::{AgeError, derive, random, unwrap, wrap};

/// The first line.
pub const MAGIC: &[u8] = b"age-encryption.org/v1\n";

const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const SCRYPT_SALT: &[u8] = b"age-encryption.org/v1/scrypt";
/// The base-2 logarithm of the work factor of scrypt: 64 MB of memory, for a fraction of a second.
const WORK: u8 = 16;
/// A file must not make its reader work longer than this.
const MOST_WORK: u8 = 20;
/// The maximum length of a header in bytes.
const LONGEST: usize = 64 << 10;

/// One `-> …` with its body.
struct Stanza {
    arguments: Vec<String>,
    body: Vec<u8>,
}

pub fn write(recipients: &[Recipient], file_key: &[u8; 16]) -> io::Result<Vec<u8>> {
    let alone = recipients.len() == 1 || recipients.iter().all(|one| matches!(one, Recipient::Key(_)));
    if recipients.is_empty() || !alone {
        return Err(io::Error::other("a file is encrypted for keys, or for one passphrase"));
    }
    let mut header = MAGIC.to_vec();
    for recipient in recipients {
        let Stanza { arguments, body } = match recipient {
            Recipient::Key(key) => to_key(key, file_key)?,
            Recipient::Passphrase(passphrase) => to_passphrase(passphrase, file_key)?,
        };
        // The body has 32 bytes, so it is one line.
        header.extend(format!("-> {}\n{}\n", arguments.join(" "), BASE64.encode(body)).bytes());
    }
    header.extend(b"---");
    let mac = hmac::sign(&mac_key(file_key), &header);
    header.extend(format!(" {}\n", BASE64.encode(mac)).bytes());
    Ok(header)
}

fn mac_key(file_key: &[u8; 16]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &derive(file_key, b"", b"header"))
}

fn to_key(public: &[u8; 32], file_key: &[u8; 16]) -> io::Result<Stanza> {
    let ephemeral = SecretKey::generate()?;
    let shared = ephemeral.agree(public).ok_or_else(|| io::Error::other("the recipient is no valid key"))?;
    let share = ephemeral.public();
    let body = wrap(&derive(&shared, &[share, *public].concat(), X25519_INFO), file_key);
    Ok(Stanza { arguments: vec!["X25519".to_owned(), BASE64.encode(share)], body })
}

fn to_passphrase(passphrase: &Passphrase, file_key: &[u8; 16]) -> io::Result<Stanza> {
    let salt: [u8; 16] = random()?;
    let body = wrap(&stretched(passphrase, &salt, WORK), file_key);
    Ok(Stanza { arguments: vec!["scrypt".to_owned(), BASE64.encode(salt), WORK.to_string()], body })
}

fn stretched(passphrase: &Passphrase, salt: &[u8; 16], work: u8) -> [u8; 32] {
    let params = scrypt::Params::new(work, 8, 1).expect("parameters within their ranges");
    let mut key = [0; 32];
    scrypt::scrypt(passphrase.0.as_bytes(), &[SCRYPT_SALT, salt].concat(), &params, &mut key)
        .expect("32 bytes are within what scrypt gives");
    key
}

/// Reads the header and decrypts the file key.
pub fn read(identity: &Identity, input: &mut impl BufRead) -> Result<[u8; 16], AgeError> {
    let (stanzas, header, mac) = parse(input)?;
    let is_passphrase = stanzas.iter().any(|stanza| stanza.arguments[0] == "scrypt");
    if is_passphrase && stanzas.len() != 1 {
        return Err(AgeError::Damaged);
    }
    let file_key = match (identity, is_passphrase) {
        (Identity::Passphrase(_), false) => {
            return Err(AgeError::WrongKey("it is encrypted for a key, not with a passphrase"));
        }
        (Identity::Keys(_), true) => {
            return Err(AgeError::WrongKey("it is encrypted with a passphrase, not for a key"));
        }
        (Identity::Passphrase(passphrase), true) => {
            let found = of_passphrase(passphrase, &stanzas[0])?;
            found.ok_or(AgeError::WrongKey("the passphrase is not the one that it was encrypted with"))?
        }
        (Identity::Keys(keys), false) => {
            let pairs = keys.iter().flat_map(|key| stanzas.iter().map(move |stanza| (key, stanza)));
            let found = pairs.into_iter().find_map(|(key, stanza)| of_key(key, stanza));
            found.ok_or(AgeError::WrongKey("it is not encrypted for any of the keys in that file"))?
        }
    };
    hmac::verify(&mac_key(&file_key), &header, &mac).map_err(|_| AgeError::Damaged)?;
    Ok(file_key)
}

fn of_key(key: &SecretKey, stanza: &Stanza) -> Option<[u8; 16]> {
    let ["X25519", share] = stanza.arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return None;
    };
    let share: [u8; 32] = BASE64.decode(share).ok()?.try_into().ok()?;
    let shared = key.agree(&share)?;
    unwrap(&derive(&shared, &[share, key.public()].concat(), X25519_INFO), &stanza.body)
}

fn of_passphrase(passphrase: &Passphrase, stanza: &Stanza) -> Result<Option<[u8; 16]>, AgeError> {
    let ["scrypt", salt, work] = stanza.arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return Err(AgeError::Damaged);
    };
    let salt: [u8; 16] =
        BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(AgeError::Damaged)?;
    let work = work.parse().ok().filter(|work| (1..=63).contains(work)).ok_or(AgeError::Damaged)?;
    if work > MOST_WORK {
        return Err(AgeError::Unsupported("its passphrase needs more work and memory than is allowed here"));
    }
    Ok(unwrap(&stretched(passphrase, &salt, work), &stanza.body))
}

type Parsed = (Vec<Stanza>, Vec<u8>, Vec<u8>);

/// The stanzas, the bytes that are authenticated, and their authentication code.
fn parse(input: &mut impl BufRead) -> Result<Parsed, AgeError> {
    let mut header = Vec::new();
    let mut stanzas = Vec::new();
    line(input, &mut header)?;
    if header != MAGIC {
        return Err(AgeError::Foreign);
    }
    loop {
        let begin = header.len();
        let first = line(input, &mut header)?;
        if let Some(mac) = first.strip_prefix("--- ") {
            let mac = BASE64.decode(mac).map_err(|_| AgeError::Damaged)?;
            header.truncate(begin + 3);
            return if stanzas.is_empty() { Err(AgeError::Damaged) } else { Ok((stanzas, header, mac)) };
        }
        let arguments: Vec<String> =
            first.strip_prefix("-> ").ok_or(AgeError::Damaged)?.split(' ').map(str::to_owned).collect();
        let mut body = String::new();
        loop {
            let part = line(input, &mut header)?;
            body += &part;
            // A body ends with a line that is shorter than 64 characters.
            match part.len() {
                64 => {}
                0..64 => break,
                _ => return Err(AgeError::Damaged),
            }
        }
        let body = BASE64.decode(body).map_err(|_| AgeError::Damaged)?;
        stanzas.push(Stanza { arguments, body });
    }
}

/// Appends the next line to `header`, and returns it without its end.
fn line(input: &mut impl BufRead, header: &mut Vec<u8>) -> Result<String, AgeError> {
    let begin = header.len();
    let room = LONGEST.saturating_sub(begin) as u64;
    io::Read::take(&mut *input, room).read_until(b'\n', header)?;
    match header[begin..].strip_suffix(b"\n") {
        Some(line) => String::from_utf8(line.to_vec()).map_err(|_| AgeError::Damaged),
        // What does not begin as it must is no file of this format, however short it is.
        None if begin == 0 && !MAGIC.starts_with(header) => Err(AgeError::Foreign),
        None => Err(AgeError::Truncated),
    }
}
