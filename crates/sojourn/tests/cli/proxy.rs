//! Proxies for tests: the files of `examples/` with other paths and ports, each a process that ends with its
//! test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::generate_simple_self_signed;

use crate::support::eventually;

pub const HOST: &str = "clerk.example.com";

/// A certificate for the host, in files.
pub struct Site {
    folder: PathBuf,
    pub certificate: String,
}

impl Site {
    pub fn new(folder: &Path) -> Self {
        let pair = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
        for (name, text) in
            [("cert.pem", &certificate), ("key.pem", &key), ("both.pem", &format!("{certificate}{key}"))]
        {
            fs::write(folder.join(name), text).expect("written");
        }
        Self { folder: folder.to_owned(), certificate }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.folder.join(name), text).expect("written");
        self.path(name)
    }
}

/// A proxy of its own that ends with the test.
pub struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Proxy {
    fn start(command: &mut Command, port: u16) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let proxy = Self(started.expect("the proxy starts"));
        eventually("the proxy listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        proxy
    }
}

fn program(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: scripts/install-proxies"))
}

/// An example file with other paths and ports. Each text to replace must be there.
fn example(name: &str, replacements: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let mut text = fs::read_to_string(path).expect("the example");
    for (from, to) in replacements {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

pub fn nginx(site: &Site, port: u16, upstream: u16) -> Proxy {
    nginx_with(site, port, &example_nginx(site, port, upstream))
}

/// The example for nginx with this site's files and ports.
pub fn example_nginx(site: &Site, port: u16, upstream: u16) -> String {
    example(
        "nginx/sojourn.conf",
        &[
            ("/etc/sojourn/tls/fullchain.pem", site.path("cert.pem")),
            ("/etc/sojourn/tls/privkey.pem", site.path("key.pem")),
            ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("127.0.0.1:4000 ", format!("127.0.0.1:{upstream} ")),
        ],
    )
}

/// nginx with a file of `conf.d`.
pub fn nginx_with(site: &Site, port: u16, sites: &str) -> Proxy {
    let here = site.folder.display();
    let config = site.write(
        "nginx.conf",
        &format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log;\nevents {{}}\n\
             http {{\naccess_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;\n\
             fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n\
             {sites}}}\n"
        ),
    );
    let error_log = site.path("error.log");
    Proxy::start(Command::new(program("nginx")).args(["-e", &error_log, "-c", &config]), port)
}

pub fn haproxy(site: &Site, port: u16, upstream: u16) -> Proxy {
    let config = example(
        "haproxy/haproxy.cfg",
        &[
            ("/etc/sojourn/tls/fullchain-and-key.pem", site.path("both.pem")),
            ("bind :443", format!("bind 127.0.0.1:{port}")),
            ("127.0.0.1:4000", format!("127.0.0.1:{upstream}")),
        ],
    );
    let config = site.write("haproxy.cfg", &config);
    Proxy::start(Command::new(program("haproxy")).args(["-f", &config]), port)
}

pub fn haproxy_passing_tls_through(site: &Site, port: u16, upstream: u16) -> Proxy {
    let config = example(
        "haproxy/passthrough.cfg",
        &[
            ("bind :443", format!("bind 127.0.0.1:{port}")),
            ("127.0.0.1:4443", format!("127.0.0.1:{upstream}")),
        ],
    );
    let config = site.write("haproxy.cfg", &config);
    Proxy::start(Command::new(program("haproxy")).args(["-f", &config]), port)
}

pub fn caddy(site: &Site, port: u16, upstream: u16) -> Proxy {
    let example = example(
        "caddy/Caddyfile",
        &[
            (
                "clerk.example.com {",
                format!("clerk.example.com {{\n\ttls {} {}", site.path("cert.pem"), site.path("key.pem")),
            ),
            ("127.0.0.1:4000", format!("127.0.0.1:{upstream}")),
        ],
    );
    // No certificates by ACME, no port 80, no administration.
    let config = format!(
        "{{\n\tadmin off\n\tauto_https off\n\thttps_port {port}\n\tdefault_bind 127.0.0.1\n}}\n{example}"
    );
    let config = site.write("Caddyfile", &config);
    let home = site.path("");
    let mut command = Command::new(program("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config", &config]);
    Proxy::start(command.env("HOME", &home).env("XDG_DATA_HOME", &home).env("XDG_CONFIG_HOME", &home), port)
}
