//! Starts the built binary, far away from the environment of whoever runs the tests.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

pub fn sojourn(working_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sojourn"));
    let foreign = |name: &str| {
        ["PORT", "DATABASE_URL"].contains(&name) || name.starts_with("SOJOURN_") || name.starts_with("CLERK_")
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(foreign) {
            command.env_remove(name);
        }
    }
    command.current_dir(working_dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server that dies with the test.
pub struct Running {
    pub child: Child,
    pub ready: Value,
    stdout: BufReader<std::process::ChildStdout>,
    /// Read from the start: a server that nobody listens to stops at a full pipe.
    prose: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts the command and waits for its ready line.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut stderr = child.stderr.take().expect("piped");
        let prose = std::thread::spawn(move || {
            let mut prose = String::new();
            stderr.read_to_string(&mut prose).expect("readable");
            prose
        });
        let mut line = String::new();
        stdout.read_line(&mut line).expect("readable");
        if line.is_empty() {
            panic!("not ready: {}", prose.join().expect("read"));
        }
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a ready line: {line}"));
        Self { child, ready, stdout, prose: Some(prose) }
    }

    pub fn text(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_default().to_owned()
    }

    pub fn signal(&self, signal: &str) {
        send(signal, self.child.id());
    }

    /// Waits for the end: the exit code, what else was on stdout, and stderr.
    pub fn wait(mut self) -> (Option<i32>, String, String) {
        let status = self.child.wait().expect("waited");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("readable");
        let prose = self.prose.take().map(|prose| prose.join().expect("read"));
        (status.code(), rest, prose.unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    assert!(sent.success(), "kill {signal} {pid}");
}

/// A connection to a server, plain or encrypted.
pub trait Stream: std::io::Read + std::io::Write {}

impl<S: std::io::Read + std::io::Write> Stream for S {}

pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Asks again and again for at most 10 s.
#[expect(clippy::disallowed_methods, reason = "waits for another process")]
pub fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("still not so after 10 s: {what}");
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
