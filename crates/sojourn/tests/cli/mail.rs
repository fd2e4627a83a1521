//! Mail from the binary: configured by a file, sent by a real mail server, and not lost by `kill -9`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sojourn_service::mail::Encryption;
use sojourn_testkit::{MAIL_USER, MailServer};

use crate::support::{Running, eventually, sojourn, stderr, stdout};

fn configure(folder: &Path, more: &str) {
    fs::write(folder.join("sojourn.toml"), format!("data = \"data\"\nport = 0\n{more}")).expect("written");
}

fn serve(folder: &Path) -> Running {
    Running::start(sojourn(folder).args(["serve", "--log-format", "json"]))
}

fn mail(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = sojourn(folder);
    command.arg("mail").args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = mail(folder, arguments).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn message_id(mail: &Value) -> String {
    let data = mail["data"].as_str().expect("a text");
    let line = data.lines().find(|line| line.starts_with("Message-ID: ")).expect("a Message-ID");
    line.to_owned()
}

#[test]
fn r_18_a_mail_that_was_under_way_at_kill_9_is_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = MailServer::start();
    let port = server.port();
    configure(
        folder.path(),
        &format!(
            "[mail]\nfrom = \"no-reply@acme.example\"\n[mail.smtp]\nhost = \"127.0.0.1\"\nport = {port}\n\
             encryption = \"none\"\ntimeout_seconds = 4\n"
        ),
    );
    let mut running = serve(folder.path());
    run(folder.path(), &["send-test", "slow@example.com"]);
    // The server has the mail and does not answer: nobody knows whether it was taken.
    eventually("the mail server has the mail", || server.mails().len() == 1);
    running.child.kill().expect("SIGKILL");
    running.child.wait().expect("gone");
    let restarted = serve(folder.path());
    eventually("its claim is over, and it is sent again", || server.mails().len() >= 2);
    let mails = server.mails();
    assert_eq!(message_id(&mails[0]), message_id(&mails[1]));
    drop(restarted);
}

#[test]
fn a_test_mail_goes_by_starttls_with_a_password_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = MailServer::encrypted(Encryption::StartTls);
    fs::write(folder.path().join("password"), format!("{}\n", MAIL_USER.1)).expect("written");
    fs::create_dir(folder.path().join("mails")).expect("made");
    fs::write(folder.path().join("mails/test.de.txt"), "Subject: Probe\n\nVon {{ application_name }}\n")
        .expect("written");
    configure(
        folder.path(),
        &format!(
            "[mail]\nfrom = \"Acme <no-reply@acme.example>\"\ntemplates = \"mails\"\n[mail.smtp]\nhost = \"localhost\"\n\
             port = {}\nusername = \"{}\"\npassword_file = \"password\"\nca_file = \"{}\"\n",
            server.port(),
            MAIL_USER.0,
            server.ca_file().display()
        ),
    );
    let running = serve(folder.path());
    let id = run(folder.path(), &["send-test", "ada@example.com", "--locale", "de"]);
    eventually("it arrived", || server.mails().len() == 1);
    assert!(server.mails()[0]["data"].as_str().is_some_and(|data| data.contains("Subject: Probe")));
    eventually("it is noted", || run(folder.path(), &["list", "--status", "sent"]).contains(id.trim()));
    let preview = run(folder.path(), &["preview", "verification_code", "--locale", "de"]);
    assert!(preview.starts_with("Subject: 424242 ist Ihr Code"), "{preview}");
    assert!(run(folder.path(), &["preview"]).contains("new_device_sign_in"));
    let again = mail(folder.path(), &["retry", id.trim()]).output().expect("it runs");
    assert!(stderr(&again).contains("The mail server has taken it"), "{}", stderr(&again));
    running.signal("-TERM");
    let (code, _, log) = running.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("mail.sent"), "{log}");
    for secret in [MAIL_USER.1, "ada@example.com"] {
        assert!(!log.contains(secret), "LOG-01: {secret} in {log}");
    }
}

#[test]
fn a_template_that_cannot_be_is_refused_with_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("mails")).expect("made");
    let file = folder.path().join("mails/verification_code.en.html");
    fs::write(&file, "<p>\n{{ kode }}\n</p>").expect("written");
    configure(folder.path(), "[mail]\ntemplates = \"mails\"\n");
    let output = sojourn(folder.path()).arg("serve").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(
        told.contains("verification_code.en.html, line 2") && told.contains("did you mean code?"),
        "{told}"
    );
}
