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
    pub certificate: CertificateFiles,
    pub minimum_version: MinimumVersion,
}

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
        let certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => CertificateFiles { certificate, key },
            (Some(given), None) => {
                return Err(missing("tls.certificate_file", &given.origin, "tls.key_file"));
            }
            (None, Some(given)) => {
                return Err(missing("tls.key_file", &given.origin, "tls.certificate_file"));
            }
            (None, None) => {
                let without = [
                    ("tls.listen", listen.as_ref().map(|given| &given.origin)),
                    ("tls.minimum_version", minimum_version.as_ref().map(|given| &given.origin)),
                ];
                return match without.into_iter().find_map(|(key, origin)| Some((key, origin?))) {
                    Some((key, origin)) => Err(missing(key, origin, "tls.certificate_file and tls.key_file")),
                    None => Ok(None),
                };
            }
        };
        let minimum_version = minimum_version.map_or(MinimumVersion::Tls12, |given| given.value);
        Ok(Some(Self { listen, certificate, minimum_version }))
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
