//! A throw-away PostgreSQL for tests: one server per test binary, one schema
//! per test. It is stopped and removed when the test process is gone, however
//! it went. `DATABASE_URL` names a server to use instead.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// What the server runs under: it obeys words on its standard input, and
/// takes everything away when that ends.
const KEEPER: &str = r#"
bin=$1 folder=$2 fsync=$3 more=$4
trap '' INT TERM HUP
control() { "$bin/pg_ctl" -s -D "$folder/data" "$@" >>"$folder/log" 2>&1; }
start() {
  control start -w -t 60 -l "$folder/server.log" \
    -o "-k $folder -c listen_addresses='' -c max_connections=600 -c shared_buffers=64MB -c track_commit_timestamp=on -c fsync=$fsync $more"
}
tell() { if "$@"; then echo done; else tail -n 3 "$folder"/*log | tr '\n' ' '; echo; fi }
"$bin/initdb" -D "$folder/data" -U sojourn -A trust -E UTF8 --locale=C --no-sync >>"$folder/log" 2>&1
tell start
while read -r word; do
  case $word in
    start) tell start ;;
    crash) tell control stop -m immediate ;;
  esac
done
control stop -m immediate
rm -rf "$folder"
"#;

/// A server of our own.
#[derive(Debug)]
pub struct Server {
    keeper: Mutex<(Child, BufReader<process::ChildStdout>)>,
    folder: PathBuf,
    /// Where it listens beside its socket.
    port: Option<u16>,
}

/// What a server shows of itself, as PEM.
#[derive(Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Server {
    /// Starts one.
    ///
    /// # Panics
    /// PostgreSQL is not installed, or does not start.
    pub fn start(durable: bool) -> Self {
        Self::with(durable, None)
    }

    /// Starts one that listens on 127.0.0.1, with TLS if it has a certificate.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn on_the_network(identity: Option<&Identity>) -> Self {
        Self::with(false, Some(identity))
    }

    fn with(durable: bool, network: Option<Option<&Identity>>) -> Self {
        let programs = programs().unwrap_or_else(|| {
            panic!(
                "these tests need PostgreSQL: install the Debian package postgresql (scripts/install-postgresql), \
                 or name a server in DATABASE_URL"
            )
        });
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("sojourn-pg-{}-{number}", process::id()));
        fs::create_dir(&folder).expect("a folder");
        let port = network.map(|_| free_port());
        let mut more =
            port.map(|port| format!("-c listen_addresses=127.0.0.1 -p {port}")).unwrap_or_default();
        let mut files = vec![folder.clone()];
        if let Some(identity) = network.flatten() {
            let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
            fs::write(&certificate, &identity.certificate).expect("written");
            fs::write(&key, &identity.key).expect("written");
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("private");
            more += &format!(
                " -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
                certificate.display(),
                key.display()
            );
            files.extend([certificate, key]);
        }
        let mut keeper = shell_that_owns(&files)
            .args(["-c", KEEPER, "keeper"])
            .args([&programs, &folder])
            .args([if durable { "on" } else { "off" }, &more])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv and sh");
        let answers = BufReader::new(keeper.stdout.take().expect("piped"));
        let server = Self { keeper: Mutex::new((keeper, answers)), folder, port };
        server.wait();
        server
    }

    fn wait(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = String::new();
        keeper.1.read_line(&mut answer).expect("an answer");
        assert_eq!(answer.trim_end(), "done", "PostgreSQL does not obey");
    }

    fn order(&self, word: &str) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let mut orders = keeper.0.stdin.as_ref().expect("piped");
        writeln!(orders, "{word}").expect("the keeper listens");
        drop(orders.flush());
        drop(keeper);
        self.wait();
    }

    /// Ends it as a crash does: without finishing or writing anything.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Starts it again.
    pub fn restart(&self) {
        self.order("start");
    }

    /// Lets every COMMIT wait for a standby of this name, which is not there; for none if it is
    /// empty.
    pub async fn wait_for_standby(&self, name: &str) {
        let operator = connect(&self.url()).await;
        let setting = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
        operator.batch_execute(&setting).await.expect("set");
        operator.batch_execute("SELECT pg_reload_conf()").await.expect("loaded");
        // Each process reads it when it is told to; the one that waits for standbys last.
        let mut found = None;
        while found.as_deref() != Some(name) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            let row = operator.query_one("SHOW synchronous_standby_names", &[]).await.expect("a row");
            found = Some(row.get::<_, String>(0));
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        match self.port {
            // The socket has the port in its name.
            Some(port) => format!("postgres://sojourn@{folder}:{port}/postgres"),
            None => format!("postgres://sojourn@{folder}/postgres"),
        }
    }

    /// Where it is for those who come over the network by this name.
    pub fn url_of(&self, host: &str) -> String {
        let port = self.port.expect("it listens");
        format!("postgres://sojourn@{host}:{port}/postgres")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(keeper.0.stdin.take());
        let _ = keeper.0.wait();
    }
}

/// A shell to which these files belong. It is not root's: initdb and PgBouncer refuse that.
fn shell_that_owns(files: &[PathBuf]) -> Command {
    let Some((user, group)) = unprivileged() else { return Command::new("sh") };
    for file in files {
        std::os::unix::fs::chown(file, Some(user), Some(group)).expect("its own");
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups", "--", "sh"]);
    command
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// What a pooler runs under: it ends with its standard input.
const POOLER: &str = r#"
"$1" -q "$2/pgbouncer.ini" &
while read -r _; do :; done
kill $!
wait
rm -rf "$2"
"#;

/// PgBouncer in front of a server, which hands out its connections by the transaction.
#[derive(Debug)]
pub struct Pooler {
    keeper: Child,
    port: u16,
}

impl Pooler {
    /// Starts one. It keeps `connections` to the server.
    ///
    /// # Panics
    /// PgBouncer is not installed, or does not start.
    pub async fn start(server: &Server, connections: u32) -> Self {
        let mut programs = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(Path::new).into_iter();
        let program = programs.find(|path| path.exists()).unwrap_or_else(|| {
            panic!(
                "this test needs PgBouncer: install the Debian package pgbouncer (scripts/install-postgresql)"
            )
        });
        let (folder, port) = (server.folder.with_extension("pooler"), free_port());
        fs::create_dir(&folder).expect("a folder");
        let settings = format!(
            "[databases]\n* = host={} user=sojourn\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n",
            server.folder.display()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).expect("written");
        let keeper = shell_that_owns(&[folder.clone(), file])
            .args(["-c", POOLER, "pooler"])
            .args([program, &folder])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv and sh");
        let pooler = Self { keeper, port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return pooler;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("PgBouncer does not start");
    }

    /// Where a database is through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://sojourn@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where `initdb` and `pg_ctl` are.
fn programs() -> Option<PathBuf> {
    let whole = |folder: &Path| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = env::split_paths(&path).find(|folder| whole(folder)) {
        // A link leads to where the rest of it is.
        return fs::canonicalize(folder.join("initdb")).ok()?.parent().map(Path::to_owned);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .map(|entry| (entry.file_name().to_string_lossy().parse().unwrap_or(0), entry.path().join("bin")))
        .filter(|(_, folder)| whole(folder))
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder)
}

/// Another user to run as, where this is root.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").map_or(1, |process| process.uid()) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("a user postgres or nobody"))
}

/// A schema of its own on the server of this test binary, or on a given one.
#[derive(Debug)]
pub struct Database {
    server: String,
    schema: String,
    given: bool,
}

impl Database {
    /// An empty one.
    pub async fn new() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let (server, given) = match env::var("DATABASE_URL") {
            Ok(url) => (url, true),
            Err(_) => (SERVER.get_or_init(|| Server::start(false)).url(), false),
        };
        Self::on(server, given).await
    }

    /// An empty one on this server.
    pub async fn on(server: String, given: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("sojourn_test_{}_{number}", process::id());
        run(&server, &format!("CREATE SCHEMA {schema}")).await;
        Self { server, schema, given }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url_with("")
    }

    /// Where it is, with further settings of its sessions, such as `-c%20name%3Dvalue`.
    pub fn url_with(&self, options: &str) -> String {
        let Self { server, schema, .. } = self;
        let with = if server.contains('?') { '&' } else { '?' };
        format!("{server}{with}options=-c%20search_path%3D{schema}%20{options}")
    }

    /// Runs statements there.
    pub async fn run(&self, statements: &str) {
        run(&self.url(), statements).await;
    }

    /// The one number that a statement answers.
    pub async fn number(&self, statement: &str) -> i64 {
        let client = connect(&self.url()).await;
        client.query_one(statement, &[]).await.expect("a row").get(0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Our own server goes as a whole.
        if self.given {
            let (server, drop) = (self.server.clone(), format!("DROP SCHEMA {} CASCADE", self.schema));
            let clean = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(run(&server, &drop));
            };
            let _ = std::thread::spawn(clean).join();
        }
    }
}

/// A connection for looking behind the store's back.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a server");
    tokio::spawn(connection);
    client
}

async fn run(url: &str, statements: &str) {
    connect(url).await.batch_execute(statements).await.expect("understood");
}
