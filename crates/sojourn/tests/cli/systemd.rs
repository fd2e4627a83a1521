//! What a service manager sees: sockets that it passes on, and messages about the state.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Running, connect, sojourn, stderr};
use crate::tls::{Authority, health};

/// Listens for messages as systemd does, in `folder`.
fn notify_socket(folder: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(folder.join("notify")).expect("bound");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    socket
}

fn message(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).expect("a message");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// The first message that has the line.
fn wait_for(socket: &UnixDatagram, line: &str) -> String {
    loop {
        let message = message(socket);
        if message.lines().any(|told| told == line) {
            return message;
        }
    }
}

#[test]
fn the_service_manager_hears_of_ready_alive_and_stopping() {
    let home = tempfile::tempdir().expect("temporary folder");
    let socket = notify_socket(home.path());
    let mut command = sojourn(home.path());
    command
        .args(["serve", "--port", "0", "--log-format", "json"])
        .env("NOTIFY_SOCKET", home.path().join("notify"))
        .env("WATCHDOG_USEC", "200000");
    let server = Running::start(&mut command);
    let ready = wait_for(&socket, "READY=1");
    assert!(ready.contains(&format!("STATUS=Serving {}", server.text("base_url"))), "{ready}");
    wait_for(&socket, "WATCHDOG=1");
    wait_for(&socket, "WATCHDOG=1");
    // `systemctl reload` without anything to read again.
    server.signal("-HUP");
    wait_for(&socket, "WATCHDOG=1");
    server.signal("-TERM");
    wait_for(&socket, "STOPPING=1");
    let (code, _, prose) = server.wait();
    assert_eq!(code, Some(0), "{prose}");
}

/// A shell that hands its standard input on as the socket with number 3, as systemd does.
fn with_passed_socket(folder: &Path, socket: &TcpListener, name: &str) -> Command {
    let plain = sojourn(folder);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\""]);
    shell.arg(plain.get_program()).args(["serve", "--port", "0", "--log-format", "json"]);
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    let passed = OwnedFd::from(socket.try_clone().expect("a second handle"));
    shell.current_dir(folder).env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name).stdin(passed);
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn a_passed_socket_is_served_and_outlives_the_server() {
    let home = tempfile::tempdir().expect("temporary folder");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("address");
    let server = Running::start(&mut with_passed_socket(home.path(), &socket, "http"));
    assert_eq!(server.text("base_url"), format!("http://localhost:{}", address.port()));
    health(&mut connect(&address.to_string()));
    server.signal("-TERM");
    assert_eq!(server.wait().0, Some(0));
    // A connection that comes between two servers waits for the second.
    let mut waiting = connect(&address.to_string());
    let _second = Running::start(&mut with_passed_socket(home.path(), &socket, "http"));
    health(&mut waiting);
}

#[test]
fn a_passed_socket_named_tls_speaks_it() {
    let home = tempfile::tempdir().expect("temporary folder");
    let authority = Authority::new(home.path());
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut command = with_passed_socket(home.path(), &socket, "tls");
    command.envs(authority.variables());
    let _server = Running::start(&mut command);
    health(&mut authority.connect_to(socket.local_addr().expect("address")));
}

#[test]
fn a_passed_socket_is_held_to_the_same_rules() {
    let home = tempfile::tempdir().expect("temporary folder");
    let open = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let refused = with_passed_socket(home.path(), &open, "http").output().expect("ran");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("leaves this machine"), "{}", stderr(&refused));
    let loopback = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let refused = with_passed_socket(home.path(), &loopback, "tls").output().expect("ran");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("there is no certificate"), "{}", stderr(&refused));
}
