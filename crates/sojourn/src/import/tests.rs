use std::io::Cursor;

use serde_json::{Value, json};

use super::*;

fn read_all(text: &str, format: Format, options: &Options) -> (Vec<Parsed>, Result<(), ReadError>) {
    let mut all = Vec::new();
    let input = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let read = read(input, format, options, |parsed| {
        all.push(parsed);
        true
    });
    (all, read)
}

/// The rows of a text that can be read.
fn rows(text: &str, format: Format, options: &Options) -> Vec<Parsed> {
    let (all, read) = read_all(text, format, options);
    read.expect("readable");
    all
}

fn body(parsed: &Parsed) -> &Value {
    &parsed.row.as_ref().unwrap_or_else(|refusal| panic!("{refusal:?}")).body
}

fn refusal(parsed: &Parsed) -> &RowRefusal {
    parsed.row.as_ref().expect_err("refused")
}

const CLERK: &str = include_str!("../../tests/import_samples/clerk.csv");
const WORDPRESS: &str = include_str!("../../tests/import_samples/wordpress.csv");

#[test]
fn a_row_of_clerk_keeps_addresses_id_and_hash() {
    let all = rows(CLERK, Format::ClerkCsv, &Options::default());
    let user = &body(&all[0])["user"];
    assert_eq!(
        user["email_address"],
        json!(["ada@example.com", "countess@example.com", "unproved@example.com"])
    );
    assert_eq!(user["email_address_identification_status"], json!(["verified", "verified", "unverified"]));
    assert_eq!((&user["password_hasher"], &user["first_name"]), (&json!("argon2id"), &json!("Ada")));
    assert_eq!(user["external_id"], "user_2fFyZGKaMQrtuGTQzmkLYuKXi8X");
    assert_eq!(
        all[0].left_out,
        ["primary_phone_number", "totp_secret", "username", "verified_phone_numbers"]
    );
    assert_eq!(refusal(&all[2]).field, "email_address");
    // The second record has a line end in a cell.
    assert_eq!(all.iter().map(|parsed| parsed.place).collect::<Vec<_>>(), [2, 3, 5]);

    let kept = rows(CLERK, Format::ClerkCsv, &Options { keep_ids: true, ..Options::default() });
    assert_eq!(body(&kept[0])["id"], "user_2fFyZGKaMQrtuGTQzmkLYuKXi8X");
    assert_eq!(body(&kept[0])["user"]["external_id"], Value::Null);
}

#[test]
fn what_has_no_field_is_kept_on_request_but_no_secret() {
    let options = Options { keep_unknown: true, ..Options::default() };
    let all = rows(CLERK, Format::ClerkCsv, &options);
    let kept = &body(&all[0])["user"]["private_metadata"]["imported"];
    assert_eq!(
        *kept,
        json!({"primary_phone_number": "+15550100", "username": "ada", "verified_phone_numbers": "+15550100"})
    );
}

#[test]
fn a_hash_that_cannot_be_used_is_refused_or_dropped() {
    let all = rows(WORDPRESS, Format::Wordpress, &Options::default());
    assert_eq!(body(&all[0])["user"]["password_hasher"], "phpass");
    assert_eq!(body(&all[1])["user"]["password_hasher"], "wordpress");
    assert_eq!(body(&all[0])["user"]["email_address_identification_status"], json!(["reserved"]));
    assert_eq!(refusal(&all[2]).field, "password");

    let options = Options { drop_unknown_passwords: true, assume_verified: true, ..Options::default() };
    let all = rows(WORDPRESS, Format::Wordpress, &options);
    let user = &body(&all[2])["user"];
    assert_eq!((&user["password_digest"], &user["created_at"]), (&Value::Null, &Value::Null));
    assert_eq!(user["email_address_identification_status"], json!(["verified"]));
    assert_eq!(all[2].left_out, ["user_login", "user_registered", "password"]);

    let header = "primary_email_address,password_digest,password_hasher\n";
    let expensive = format!("{header}ada@example.com,$2b$31${},bcrypt\n", "a".repeat(53));
    let all = rows(&expensive, Format::ClerkCsv, &Options::default());
    assert!(refusal(&all[0]).why.contains("cost of bcrypt is 31, the limit is 14"), "{all:?}");
}

#[test]
fn passwords_of_auth0_come_from_a_file_of_their_own() {
    let hashes = "{\"_id\":{\"$oid\":\"1\"},\"email\":\"ada@example.com\",\"passwordHash\":\"$2b$06$eHBLiIagwR/ZYbdG7Ei3xelIzBRIlQRt1XxdRAkWpJspQU4RcR3ky\"}\n";
    let auth0 = Auth0Passwords::read(Box::new(Cursor::new(hashes.as_bytes().to_vec()))).expect("hashes");
    let text = "{\"user_id\":\"auth0|1\",\"email\":\"ada@example.com\"}\n{\"user_id\":\"auth0|2\",\"email\":\"bob@example.com\"}\n";
    let all = rows(text, Format::Auth0, &Options { auth0, ..Options::default() });
    assert_eq!(body(&all[0])["user"]["password_hasher"], "bcrypt");
    assert_eq!(body(&all[1])["user"]["password_hasher"], Value::Null);
}

#[test]
fn marks_line_ends_and_delimiters_of_spreadsheets_are_read() {
    for (text, places) in [
        ("\u{feff}id,primary_email_address\r\n1,ada@example.com\r\n2,bob@example.com\r\n", [2, 3]),
        ("id;primary_email_address\n1;ada@example.com\n\n2;bob@example.com", [2, 4]),
        ("id\tprimary_email_address\n1\t\" ada@example.com \"\n2\tBOB@example.com\n", [2, 3]),
    ] {
        let all = rows(text, Format::ClerkCsv, &Options::default());
        assert_eq!(all.iter().map(|parsed| parsed.place).collect::<Vec<_>>(), places, "{text}");
        assert_eq!(body(&all[0])["user"]["email_address"], json!(["ada@example.com"]), "{text}");
        assert_eq!(body(&all[1])["user"]["email_address"], json!(["bob@example.com"]), "{text}");
    }
}

#[test]
fn an_account_that_a_file_has_twice_is_refused_the_second_time() {
    let text = "id,primary_email_address\n1,ada@bücher.example\n2,ADA@xn--bcher-kva.example\n1,other@example.com\n\
                3,third@example.com\n";
    let all = rows(text, Format::ClerkCsv, &Options::default());
    assert!(refusal(&all[1]).why.contains("line 2"), "{all:?}");
    assert_eq!(
        (refusal(&all[1]).field.as_str(), refusal(&all[2]).field.as_str()),
        ("email_address", "external_id")
    );
    assert!(all[3].row.is_ok());
}

#[test]
fn a_broken_file_is_read_up_to_its_fault() {
    let cases: &[(&str, Format, usize, &str)] = &[
        ("id,primary_email_address\n1,ada@example.com\n2,bob@example.com,x\n", Format::ClerkCsv, 1, "line 3"),
        ("id,primary_email_address\n1,ada@example.com\n2\n", Format::ClerkCsv, 1, "line 3"),
        (
            "id,primary_email_address\n1,ada@example.com\n2,\"bob@example.com\n3,eve@example.com\n",
            Format::ClerkCsv,
            1,
            "line 3",
        ),
        ("id,primary_email_address\n1,ada@example.com\n\"2,bob@example.com\n", Format::ClerkCsv, 1, "line 3"),
        ("[{\"email\":\"ada@example.com\"},{\"email\":}]", Format::Auth0, 1, "record 2"),
        ("[{\"email\":\"ada@example.com\"}", Format::Auth0, 1, "record 2"),
        ("[{\"email\":\"ada@example.com\"},7]", Format::Auth0, 1, "record 2"),
        ("{\"user_id\":\"1\",\"email\":\"ada@example.com\"}\nnonsense\n", Format::Auth0, 1, "line 2"),
        ("{\"nothing\":[]}", Format::Keycloak, 0, "record 1"),
        ("", Format::Keycloak, 0, "record 1"),
    ];
    for (text, format, good, place) in cases {
        let (all, read) = read_all(text, *format, &Options::default());
        assert_eq!(all.len(), *good, "{text}");
        let error = read.expect_err("malformed").to_string();
        assert!(error.starts_with(place), "{text}: {error}");
    }
    let endless = format!("id,primary_email_address\n1,\"{}", "x\n".repeat(3 << 20));
    let (_, refused) = read_all(&endless, Format::ClerkCsv, &Options::default());
    assert!(refused.expect_err("too long").to_string().contains("quotation mark"));
    let mut latin1 = b"id,primary_email_address,first_name\n1,ada@example.com,".to_vec();
    latin1.extend([0xe9, b'\n']);
    let read = read(Box::new(Cursor::new(latin1)), Format::ClerkCsv, &Options::default(), |_| true);
    assert!(read.expect_err("not UTF-8").to_string().contains("UTF-8"));
}

#[test]
fn a_verified_address_goes_before_an_unverified_primary_one() {
    let text = "primary_email_address,verified_email_addresses\nnew@example.com,old@example.com\n";
    let all = rows(text, Format::ClerkCsv, &Options::default());
    let user = &body(&all[0])["user"];
    assert_eq!(user["email_address"], json!(["old@example.com", "new@example.com"]));
    assert_eq!(user["email_address_identification_status"], json!(["verified", "unverified"]));
}

#[test]
fn a_file_of_any_size_is_read_record_by_record() {
    // Reading stops when nobody takes more, long before the end of this endless list.
    let record = b"{\"email\":\"ada@example.com\"},";
    let endless = Cursor::new(b"[".to_vec()).chain(Repeat { record, at: 0 });
    let mut taken = 0;
    let input = Box::new(std::io::BufReader::new(endless));
    let read = read(input, Format::Auth0, &Options::default(), |_| {
        taken += 1;
        taken < 10_000
    });
    assert!(matches!(read, Err(ReadError::Stopped)), "{read:?}");
}

/// A record again and again.
struct Repeat {
    record: &'static [u8],
    at: usize,
}

use std::io::Read as _;

impl std::io::Read for Repeat {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in &mut *buffer {
            *byte = self.record[self.at];
            self.at = (self.at + 1) % self.record.len();
        }
        Ok(buffer.len())
    }
}

#[test]
fn line_ends_are_the_same_wherever_the_buffer_ends() {
    let text = "id,primary_email_address,last_name\r\n1,ada@example.com,\"a\rb\"\r\n2,bob@example.com,c\r\n";
    // The header has to be in the first buffer, because it names the delimiter.
    for capacity in 40..110 {
        let input = std::io::BufReader::with_capacity(capacity, Cursor::new(text.as_bytes().to_vec()));
        let mut all = Vec::new();
        let read = read(Box::new(input), Format::ClerkCsv, &Options::default(), |parsed| {
            all.push((parsed.place, body(&parsed)["user"]["last_name"].clone()));
            true
        });
        read.expect("readable");
        assert_eq!(all, [(2, json!("a\rb")), (3, json!("c"))], "{capacity}");
    }
}
