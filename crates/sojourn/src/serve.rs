//! Starts the HTTP application and stops it: the life of a serving process.

use std::sync::Arc;

use sojourn_server::TrustedProxies;
use sojourn_service::mail::MailOptions;
use sojourn_service::settings::{Pin, Pins};
use sojourn_service::{Clock as _, InstanceKind, StartError};
use sojourn_store::MigrationMode;
use tokio::sync::watch;
use url::Url;

use crate::banner::{self, Banner};
use crate::clock::{Stopwatch, SystemClock};
use crate::config::{self, Config, ForwardedHeader};
use crate::data_folder::DataFolder;
use crate::database::{self, Opened, shown};
use crate::env_lines::Access;
use crate::failure::{Exit, Failure};
use crate::listening::{Addresses, Listening};
use crate::net::{self, ConnectionLimits, ListenerConfig, PortConflict};
use crate::output;
use crate::server_file::{Production, ServerFile};
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
    let mut listening = Listening::bind(config, serve_options.port_conflict, passed.plain).await?;
    if let Some(port) = listening.busy_port {
        output::note(&format!("port {port} is in use: listening on port {} instead", listening.port));
    }
    let base_url = match &config.public_url {
        Some(url) => url.value.clone(),
        None => local_url(listening.port)?,
    };
    if let Some(tls) = &config.tls {
        let host = base_url.host_str().unwrap_or("localhost");
        listening.add_tls(config, tls, host, folder.path(), passed.tls).await?;
    } else {
        systemd::ignore_hangup();
    }
    let addresses = listening.addresses.clone();
    let busy_port = listening.busy_port;
    let database = database::named(config, folder.path())?;
    let mail = config.mail.options(base_url.host_str().unwrap_or("localhost"))?;
    let opened = database::open(database, config, &folder, serve_options.migration).await?;
    let failed = |error: StartError| start_failed(&opened, &error);
    let local_key = config.is_production().then(local_key);
    let options = options(config, &opened, serve_options, base_url.clone(), mail, local_key.clone())?;
    let app = sojourn_server::App::open(options).await.map_err(failed)?;
    let access = Access {
        base_url: base_url.origin().ascii_serialization(),
        api_url: api_url(&addresses),
        publishable_key: app.publishable_key().to_owned(),
        secret_key: app.secret_key().map(str::to_owned),
        jwt_key: app.public_key_pem(),
        is_production: config.is_production(),
    };
    sojourn_metrics::START_TIME.set(0, SystemClock.now().as_secs());
    let listener =
        ListenerConfig::new(connection_limits(config), sojourn_server::connection_error_response, DRAIN);
    let mut stopped = stop.clone();
    let mut serving = tokio::spawn({
        let app = app.clone();
        async move { listening.serve(&app, listener, stop).await }
    });

    let jobs = tokio::spawn(sojourn_server::run_jobs(app.clone()));

    // From here on others may rely on the server, so it must already answer.
    let pid = std::process::id();
    let published = ServerFile {
        base_url: access.base_url.clone(),
        publishable_key: access.publishable_key.clone(),
        secret_key: access.secret_key.clone().or(local_key).unwrap_or_default(),
        jwt_key: access.jwt_key.clone(),
        pid,
        database: database::name(&opened.database),
        production: config.is_production().then(|| Production {
            local_url: format!("http://{}", addresses.local_api()),
            api_url: access.api_url.clone(),
        }),
    }
    .publish(folder.path())?;
    let existing = match opened.existing {
        true => Some(app.counts().await.map_err(|error| database::failed(&opened.database, &error))?),
        false => None,
    };
    let exposed = *config.expose_development;
    let production = match config.is_production() {
        true => Some(banner::Production {
            proxies: config.trusted_proxies.iter().map(ToString::to_string).collect(),
            origins: config.allowed_origins.value.clone(),
            has_secret_key: has_secret_key(&app, &opened).await?,
        }),
        false => None,
    };
    let banner = Banner {
        access,
        pid,
        key_host: app.key_host().to_owned(),
        ready_in: since.elapsed(),
        mailbox_link: (!exposed && production.is_none()).then(|| app.mailbox_link()),
        sends_mail: config.mail.is_smtp(),
        data: database::name(&opened.database),
        shared_key: config.server.as_ref().map(|_| opened.key_from.clone()),
        config: config.file.as_deref().map(shown),
        existing,
        busy_port,
        loopback_origins: *config.allow_loopback_origins,
        missing_bundles: sojourn_server::portal::bundles::missing(),
        exposed,
        addresses,
        production,
    };
    output::line(&(serve_options.announce)(&banner))?;
    systemd::ready(&banner.access.base_url);

    let drained = tokio::select! {
        // Without connections both branches are ready at once, and the message must not be lost.
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => {
            systemd::stopping();
            serving.await
        }
        drained = &mut serving => drained,
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

/// Where application servers reach the Backend API, if it is not the public address.
fn api_url(addresses: &Addresses) -> Option<String> {
    (!addresses.backend.is_empty()).then(|| format!("http://{}", addresses.local_api()))
}

/// For the command line on this machine, as long as this process lives. It is stored nowhere but in
/// `server.json`.
fn local_key() -> String {
    sojourn_service::secret_keys::text(sojourn_store::Environment::Production, &sojourn_service::Rng::System)
}

async fn has_secret_key(app: &sojourn_server::App, opened: &Opened) -> Result<bool, Failure> {
    let keys = sojourn_service::secret_keys::list(app).await;
    let keys = keys.map_err(|error| database::failed(&opened.database, &error))?;
    let wall = app.moment().wall;
    Ok(keys.iter().any(|key| key.is_good(wall)))
}

/// Sockets from outside are held to what the configuration may not do either.
fn check_passed(config: &Config, passed: &PassedSockets) -> Result<(), Failure> {
    // TLS of one's own protects production, and nothing protects test codes.
    let sockets = passed.plain.iter().chain(passed.tls.iter().filter(|_| !config.is_production()));
    for address in sockets.filter_map(|socket| socket.local_addr().ok()) {
        config::acceptable_address(config, &format!("the socket {address} of the service manager"), address)?;
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
        StartError::OtherEnvironment { found, wanted } => Failure::new(
            Exit::Usage,
            "environment_differs",
            format!("{name} holds a {} instance", found.as_str()),
        )
        .because(format!("the configuration asks for a {} instance", wanted.as_str()))
        .next(format!(
            "environment = \"{}\" and the rest of its configuration (--config), or another database",
            found.as_str()
        )),
        StartError::OtherHost { found, wanted } => {
            Failure::new(Exit::Usage, "host_differs", format!("{name} holds the instance of {found}"))
                .because(format!(
                    "public_url names {wanted}; the host is part of the publishable key and of every token, \
                     and cannot change"
                ))
                .next(format!("public_url = \"https://{found}\", or another database for {wanted}"))
        }
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
    local_key: Option<String>,
) -> Result<sojourn_server::Options, Failure> {
    let pin = |pin: &config::Pin| Pin {
        setting: pin.setting,
        value: pin.value.clone(),
        origin: pin.origin.to_string(),
    };
    Ok(sojourn_server::Options {
        service: sojourn_service::Options {
            instance: instance_kind(config, &base_url)?,
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
        trusted_proxies: TrustedProxies {
            networks: config.trusted_proxies.value.clone(),
            header: match *config.forwarded_header {
                ForwardedHeader::XForwarded => sojourn_server::ForwardedHeader::XForwarded,
                ForwardedHeader::Forwarded => sojourn_server::ForwardedHeader::Forwarded,
            },
        },
        local_key,
    })
}

fn instance_kind(config: &Config, base_url: &Url) -> Result<InstanceKind, Failure> {
    if !config.is_production() {
        return Ok(InstanceKind::Development);
    }
    // Checked when the configuration was read; what is wrong here would be our fault.
    config::production_host(base_url).map(InstanceKind::Production).map_err(|why| {
        Failure::new(Exit::Usage, "config_value_invalid", format!("public_url {base_url} cannot be used"))
            .because(why)
            .next("give https and a DNS name, such as https://clerk.example.com")
    })
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    ConnectionLimits {
        // Above the limit of the system no connection could be accepted anyway.
        total: count(*config.connections_total).min(net::open_file_limit()),
        per_address: count(*config.connections_per_address),
        on_loopback: false,
        // Once, and for as long as the process serves.
        proxies: Box::leak(config.trusted_proxies.value.clone().into_boxed_slice()),
    }
}
