//! TLS that the process speaks itself: where, and with which certificate.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::check::refused;
use super::{Layers, Origin, Sourced};
use crate::failure::Failure;
use crate::net::tls::MinimumVersion;

#[derive(Debug, Clone, PartialEq)]
pub struct TlsConfig {
    /// None: all addresses on port 443, or loopback on 4443 where nobody else may reach the server.
    pub listen: Option<Sourced<Vec<SocketAddr>>>,
    pub certificate: CertificateSource,
    /// Whether connections of `trusted_proxies` begin with a header of the PROXY protocol.
    pub proxy_protocol: Sourced<bool>,
    pub minimum_version: MinimumVersion,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CertificateSource {
    Files(CertificateFiles),
    Acme(AcmeConfig),
}

/// How certificates are ordered for the host of `public_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// E-mail address that the server writes to.
    pub contact: Option<String>,
    pub directory_url: String,
    /// None: `acme` in the data folder.
    pub cache_dir: Option<PathBuf>,
    /// None: the roots that the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Let's Encrypt.
const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

#[derive(Debug, Clone, PartialEq)]
pub struct CertificateFiles {
    pub certificate: Sourced<PathBuf>,
    pub key: Sourced<PathBuf>,
}

/// The port for TLS on loopback, beside 4000 for plain http.
const LOOPBACK_PORT: u16 = 4443;

impl TlsConfig {
    pub(super) fn resolve(
        layers: &Layers,
        path: impl Fn(Sourced<String>) -> Sourced<PathBuf>,
    ) -> Result<Option<Self>, Failure> {
        let certificate = layers.text("tls.certificate_file").map(&path);
        let key = layers.text("tls.key_file").map(&path);
        let listen = layers.text("tls.listen").as_ref().map(addresses).transpose()?;
        let minimum_version = layers.get("tls.minimum_version", |word| match word.as_str()? {
            "1.3" => Some(MinimumVersion::Tls13),
            _ => Some(MinimumVersion::Tls12),
        });
        let proxy_protocol = layers.switch("tls.proxy_protocol");
        let acme = acme(layers, &path)?;
        let certificate = match (certificate, key, acme) {
            (Some(certificate), Some(key), None) => {
                CertificateSource::Files(CertificateFiles { certificate, key })
            }
            (None, None, Some(acme)) => CertificateSource::Acme(acme.value),
            (Some(given), _, Some(acme)) | (None, Some(given), Some(acme)) => {
                return Err(refused(format!(
                    "certificate files from {} and tls.acme.enabled from {} are both given",
                    given.origin.in_words(),
                    acme.origin.in_words()
                ))
                .because("there is one certificate")
                .next("leave one of them out"));
            }
            (Some(given), None, None) => {
                return Err(missing("tls.certificate_file", &given.origin, "tls.key_file"));
            }
            (None, Some(given), None) => {
                return Err(missing("tls.key_file", &given.origin, "tls.certificate_file"));
            }
            (None, None, None) => {
                let without = [
                    ("tls.listen", listen.as_ref().map(|given| &given.origin)),
                    ("tls.minimum_version", minimum_version.as_ref().map(|given| &given.origin)),
                    ("tls.proxy_protocol", proxy_protocol.as_ref().map(|given| &given.origin)),
                ];
                return match without.into_iter().find_map(|(key, origin)| Some((key, origin?))) {
                    Some((key, origin)) => Err(missing(key, origin, "tls.certificate_file and tls.key_file")),
                    None => Ok(None),
                };
            }
        };
        let minimum_version = minimum_version.map_or(MinimumVersion::Tls12, |given| given.value);
        let proxy_protocol = proxy_protocol.unwrap_or_else(|| Sourced::default_of(false));
        Ok(Some(Self { listen, certificate, proxy_protocol, minimum_version }))
    }

    /// The addresses to listen on, best first: where the first group cannot be bound because the
    /// machine has no IPv6, the next one is meant.
    pub fn addresses(&self, only_loopback: bool) -> Vec<Vec<SocketAddr>> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, LOOPBACK_PORT));
        match &self.listen {
            Some(given) => vec![given.value.clone()],
            None if only_loopback => {
                vec![vec![loopback, SocketAddr::from((Ipv6Addr::LOCALHOST, LOOPBACK_PORT))], vec![loopback]]
            }
            None => vec![
                vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 443))],
                vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443))],
            ],
        }
    }
}

fn acme(
    layers: &Layers,
    path: impl Fn(Sourced<String>) -> Sourced<PathBuf>,
) -> Result<Option<Sourced<AcmeConfig>>, Failure> {
    let enabled = layers.switch("tls.acme.enabled").filter(|enabled| enabled.value);
    let text = |key: &str| layers.text(key);
    let keys = ["tls.acme.contact", "tls.acme.directory_url", "tls.acme.cache_dir", "tls.acme.ca_file"];
    let Some(enabled) = enabled else {
        // A switch that is off turns the others off; without one they are a slip.
        let given = keys.into_iter().find_map(|key| Some((key, text(key)?.origin)));
        return match given.filter(|_| layers.switch("tls.acme.enabled").is_none()) {
            Some((key, origin)) => Err(missing(key, &origin, "tls.acme.enabled")),
            None => Ok(None),
        };
    };
    let Some(public_url) = text("public_url").filter(|url| url.value.starts_with("https://")) else {
        return Err(refused(format!(
            "tls.acme.enabled is true by {}, and public_url is no https address",
            enabled.origin.in_words()
        ))
        .because("certificates are ordered for the host of public_url")
        .next("public_url = \"https://clerk.example.com\""));
    };
    let directory = text("tls.acme.directory_url");
    if let Some(given) = directory.as_ref().filter(|given| !given.value.starts_with("https://")) {
        return Err(refused(format!(
            "tls.acme.directory_url \"{}\" from {} cannot be used",
            given.value,
            given.origin.in_words()
        ))
        .because("it is no https address")
        .next("give the address of the directory, or leave it out for that of Let's Encrypt"));
    }
    let is_local = url::Url::parse(&public_url.value).is_ok_and(|url| super::is_loopback(&url));
    if directory.is_none() && is_local {
        return Err(refused(format!(
            "no public server issues a certificate for {} from {}",
            public_url.value,
            public_url.origin.in_words()
        ))
        .because("the name means this machine everywhere")
        .next(
            "use certificate files, or a server of your own: tls.acme.directory_url and tls.acme.ca_file",
        ));
    }
    let value = AcmeConfig {
        contact: text("tls.acme.contact").map(|given| given.value.trim_start_matches("mailto:").to_owned()),
        directory_url: directory.map_or_else(|| DEFAULT_DIRECTORY.to_owned(), |given| given.value),
        cache_dir: text("tls.acme.cache_dir").map(|given| path(given).value),
        ca_file: text("tls.acme.ca_file").map(|given| path(given).value),
    };
    Ok(Some(Sourced { value, origin: enabled.origin }))
}

fn addresses(text: &Sourced<String>) -> Result<Sourced<Vec<SocketAddr>>, Failure> {
    let parse = |part: &str| {
        part.trim().parse().map_err(|_| {
            refused(format!("tls.listen \"{part}\" from {} cannot be used", text.origin.in_words()))
                .because("it is no IP address with a port")
                .next(
                    "give [::]:443 for all addresses of this machine, 0.0.0.0:443 for all IPv4 \
                     addresses, 127.0.0.1:4443 for this machine alone",
                )
        })
    };
    let value = text.value.split(',').map(parse).collect::<Result<_, Failure>>()?;
    Ok(Sourced { value, origin: text.origin.clone() })
}

fn missing(given: &str, origin: &Origin, missing: &str) -> Failure {
    refused(format!("{given} is given by {}, and {missing} is not", origin.in_words()))
        .because("TLS needs a certificate and its key, each in a file in PEM form")
        .next(format!("give {missing} as well, or leave {given} out"))
}
