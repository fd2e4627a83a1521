//! Starts the HTTP application and stops it: the life of a serving process.

use std::sync::Arc;

use sojourn_service::StartError;
use sojourn_service::mail::MailOptions;
use sojourn_service::settings::{Pin, Pins};
use sojourn_store::{Database, MigrationMode};
use tokio::sync::watch;
use url::Url;

use crate::banner::Banner;
use crate::clock::{Stopwatch, SystemClock};
use crate::config::{self, Config};
use crate::data_folder::DataFolder;
use crate::database::{self, Opened, shown};
use crate::env_lines::Access;
use crate::failure::{Exit, Failure};
use crate::net::{self, ConnectionLimits, Listener, ListenerConfig, PortConflict, Transport};
use crate::output;
use crate::server_file::ServerFile;
use crate::shutdown::DRAIN;
use crate::systemd::{self, PassedSockets};

/// What differs between `serve` and `test-server`.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    pub migration: MigrationMode,
    pub port_conflict: PortConflict,
    pub rate_limits: bool,
    pub announce: fn(&Banner) -> String,
}

/// Serves until `stop` turns true, and returns when everything accepted is answered and stored.
pub async fn run(
    config: &Config,
    folder: DataFolder,
    serve_options: ServeOptions,
    passed: PassedSockets,
    stop: watch::Receiver<bool>,
    since: Stopwatch,
) -> Result<(), Failure> {
    check_passed(config, &passed)?;
    let bound = match passed.plain.is_empty() {
        true => net::bind(config.port.value, serve_options.port_conflict).await?,
        false => net::adopt(passed.plain)?,
    };
    if let Some(port) = bound.busy_port {
        output::note(&format!("port {port} is in use: listening on port {} instead", bound.port));
    }
    let plain = |socket| Listener { socket, transport: Transport::default() };
    let mut listeners: Vec<Listener> = bound.listeners.into_iter().map(plain).collect();
    let base_url = match &config.public_url {
        Some(url) => url.value.clone(),
        None => local_url(bound.port)?,
    };
    if let Some(tls) = &config.tls {
        let accepted = crate::tls::start(tls, base_url.host_str().unwrap_or("localhost"), folder.path())?;
        let sockets = match passed.tls.is_empty() {
            true => crate::tls::bind(tls, !*config.expose_development).await?,
            false => net::adopt(passed.tls)?.listeners,
        };
        for socket in sockets {
            let transport = Transport { tls: Some(accepted.clone()), ..Transport::default() };
            listeners.push(Listener { socket, transport });
        }
    } else {
        systemd::ignore_hangup();
    }
    let database = match &config.server {
        Some(server) => Database::Server(server.value.clone()),
        None => Database::File(folder.database()),
    };
    let mail = config.mail.options(base_url.host_str().unwrap_or("localhost"))?;
    let opened = database::open(database, config, &folder, serve_options.migration).await?;
    let failed = |error: StartError| start_failed(&opened, &error);
    let options = options(config, &opened, serve_options, base_url.clone(), mail);
    let app = sojourn_server::App::open(options).await.map_err(failed)?;
    let access = Access {
        base_url: base_url.origin().ascii_serialization(),
        publishable_key: app.publishable_key().to_owned(),
        secret_key: app.secret_key().unwrap_or_default().to_owned(),
        jwt_key: app.public_key_pem(),
    };
    let router = sojourn_server::router(&app);
    let listener =
        ListenerConfig::new(connection_limits(config), sojourn_server::connection_error_response, DRAIN);
    let mut stopped = stop.clone();
    let mut serving = tokio::spawn(net::serve(listeners, router, listener, stop));

    let jobs = tokio::spawn(sojourn_server::run_jobs(app.clone()));

    // From here on others may rely on the server, so it must already answer.
    let pid = std::process::id();
    let published = ServerFile {
        base_url: access.base_url.clone(),
        publishable_key: access.publishable_key.clone(),
        secret_key: access.secret_key.clone(),
        jwt_key: access.jwt_key.clone(),
        pid,
        database: database::name(&opened.database),
    }
    .publish(folder.path())?;
    let existing = match opened.existing {
        true => Some(app.counts().await.map_err(|error| database::failed(&opened.database, &error))?),
        false => None,
    };
    let exposed = *config.expose_development;
    let banner = Banner {
        access,
        pid,
        key_host: app.key_host().to_owned(),
        ready_in: since.elapsed(),
        mailbox_link: (!exposed).then(|| app.mailbox_link()),
        sends_mail: config.mail.is_smtp(),
        data: database::name(&opened.database),
        shared_key: config.server.as_ref().map(|_| opened.key_from.clone()),
        config: config.file.as_deref().map(shown),
        existing,
        busy_port: bound.busy_port,
        loopback_origins: *config.allow_loopback_origins,
        missing_bundles: sojourn_server::portal::bundles::missing(),
        exposed,
    };
    output::line(&(serve_options.announce)(&banner))?;
    systemd::ready(&banner.access.base_url);

    let drained = tokio::select! {
        drained = &mut serving => drained,
        _ = stopped.wait_for(|stopped| *stopped) => {
            systemd::stopping();
            serving.await
        }
    };
    let drained = drained.unwrap_or(false);
    jobs.abort();
    // Clients must not find a server that no longer answers.
    drop(published);
    app.close().await.map_err(|error| {
        Failure::new(Exit::Other, "stop_failed", "not everything could be written at the end")
            .because(error.to_string())
            .next("check the disk; what was acknowledged is safe, the last activity may be lost")
    })?;
    if !drained {
        tracing::warn!("some requests took too long and were not answered");
    }
    Ok(())
}

/// Sockets from outside are held to what the configuration may not do either.
fn check_passed(config: &Config, passed: &PassedSockets) -> Result<(), Failure> {
    if let Some(address) = passed.beyond_loopback()
        && !*config.expose_development
    {
        return Err(Failure::new(
            Exit::Usage,
            "development_exposed",
            format!("the socket {address} of the service manager leaves this machine"),
        )
        .because("a development instance has test codes that sign anyone in, and a mailbox")
        .next("add --expose-development, which switches those off, or listen on 127.0.0.1"));
    }
    if !passed.tls.is_empty() && config.tls.is_none() {
        return Err(Failure::new(Exit::Usage, "tls_missing", "the service manager passes a socket for TLS")
            .because("there is no certificate for it")
            .next("give tls.certificate_file and tls.key_file, or name the socket something else than tls"));
    }
    Ok(())
}

fn local_url(port: u16) -> Result<Url, Failure> {
    Url::parse(&format!("http://localhost:{port}")).map_err(|error| {
        Failure::new(Exit::Other, "url_invalid", "cannot name this server").because(error.to_string())
    })
}

fn start_failed(opened: &Opened, error: &StartError) -> Failure {
    let name = database::name(&opened.database);
    match error {
        StartError::Store(error) => database::failed(&opened.database, error),
        StartError::MasterKey(_) => Failure::new(
            Exit::Other,
            "master_key_wrong",
            format!("the master key from {} does not open what {name} holds", opened.key_from),
        )
        .because("the signing keys there were sealed with another one: the first node's")
        .next(
            "give this node the same key: master_key_file (SOJOURN_MASTER_KEY_FILE), \
             master_key (SOJOURN_MASTER_KEY), or the first node's master.key in the data folder",
        ),
        other => Failure::new(Exit::Other, "start_failed", "the server cannot start")
            .because(other.to_string())
            .next("correct this and start again; nothing was changed"),
    }
}

fn options(
    config: &Config,
    opened: &Opened,
    serve_options: ServeOptions,
    base_url: Url,
    mail: MailOptions,
) -> sojourn_server::Options {
    let pin = |pin: &config::Pin| Pin {
        setting: pin.setting,
        value: pin.value.clone(),
        origin: pin.origin.to_string(),
    };
    sojourn_server::Options {
        service: sojourn_service::Options {
            store: opened.store.clone(),
            master_key: sojourn_service::MasterKey::new(opened.master_key.0),
            previous_master_key: opened
                .previous_master_key
                .as_ref()
                .map(|key| sojourn_service::MasterKey::new(key.0)),
            clock: Arc::new(SystemClock),
            rng: sojourn_service::Rng::System,
            base_url,
            exposed: *config.expose_development,
            rate_limits: serve_options.rate_limits,
            mail,
            webhook_networks: config.webhook_networks.value.clone(),
            pins: Pins(config.pins.iter().map(pin).collect()),
        },
        allowed_origins: config.allowed_origins.value.clone(),
        allow_loopback: *config.allow_loopback_origins,
    }
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    ConnectionLimits {
        // Above the limit of the system no connection could be accepted anyway.
        total: count(*config.connections_total).min(net::open_file_limit()),
        per_address: count(*config.connections_per_address),
        on_loopback: false,
    }
}
