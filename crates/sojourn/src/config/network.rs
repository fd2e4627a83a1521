//! Addresses to listen on, proxies to trust, and whether requests may come that way.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::check::refused;
use super::{Config, Sourced};
use crate::failure::{Exit, Failure};

/// `127.0.0.1:4000`, `[::1]:4000` and the like.
pub fn addresses(
    key: &str,
    texts: Option<Sourced<Vec<String>>>,
) -> Result<Sourced<Vec<SocketAddr>>, Failure> {
    let Some(texts) = texts else { return Ok(Sourced::default_of(Vec::new())) };
    let parse = |text: &String| {
        text.trim().parse().map_err(|_| {
            refused(format!("{key} \"{text}\" from {} cannot be used", texts.origin.in_words()))
                .because("it is no IP address with a port")
                .next(
                    "give 127.0.0.1:4000 for this machine, 0.0.0.0:4000 for all its IPv4 addresses, \
                     [::]:4000 for IPv6 and IPv4",
                )
        })
    };
    let value = texts.iter().map(parse).collect::<Result<_, Failure>>()?;
    Ok(Sourced { value, origin: texts.origin.clone() })
}

/// Networks in CIDR notation, and single addresses.
pub fn proxies(texts: Option<Sourced<Vec<String>>>) -> Result<Sourced<Vec<IpNet>>, Failure> {
    let Some(texts) = texts else { return Ok(Sourced::default_of(Vec::new())) };
    let parse = |text: &String| {
        let refuse = |why: &str| {
            refused(format!("trusted_proxies \"{text}\" from {} cannot be used", texts.origin.in_words()))
                .because(why)
                .next("give the addresses that your proxy connects from, such as 127.0.0.1/32 or 10.0.0.0/8")
        };
        let text = text.trim();
        let network = match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => IpNet::from(
                text.parse::<std::net::IpAddr>()
                    .map_err(|_| refuse("it is neither an IP address nor a network such as 10.0.0.0/8"))?,
            ),
        };
        if network.prefix_len() == 0 {
            return Err(refuse("it holds every address there is: anybody could claim to come from anywhere"));
        }
        if network.trunc() != network {
            return Err(refuse(&format!(
                "it has bits behind its prefix; the network is {}",
                network.trunc()
            )));
        }
        Ok(network)
    };
    let value = texts.iter().map(parse).collect::<Result<_, Failure>>()?;
    Ok(Sourced { value, origin: texts.origin.clone() })
}

/// Whether passwords, cookies and keys are encrypted on their way to every address that is listened on
/// without TLS. Addresses of `tls.listen` are, whatever they are.
///
/// # Errors
/// As [`acceptable_address`].
pub fn acceptable_transport(config: &Config) -> Result<(), Failure> {
    for (key, addresses) in [("listen", &config.listen), ("bapi_listen", &config.bapi_listen)] {
        for address in addresses.iter() {
            let what = format!("{key} {address} from {}", addresses.origin.in_words());
            acceptable_address(config, &what, *address)?;
        }
    }
    Ok(())
}

/// The one place that decides where plain http may be spoken: on loopback, and in production where a
/// declared proxy stands in front. `what` names the address and where it is from.
///
/// # Errors
/// Secrets would cross a network in plain text, or strangers would reach development tools.
pub fn acceptable_address(config: &Config, what: &str, address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    if !config.is_production() && !*config.expose_development {
        return Err(Failure::new(Exit::Usage, "development_exposed", format!("{what} leaves this machine"))
            .because("a development instance has test codes that sign anyone in, and a mailbox")
            .next("add --expose-development, which switches those off, or listen on 127.0.0.1"));
    }
    if config.is_production() && config.trusted_proxies.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "transport_insecure",
            format!("{what} would serve production over plain http"),
        )
        .because("passwords, cookies and keys would cross the network unencrypted")
        .next(
            "listen on 127.0.0.1 behind a proxy on this machine,\n\
             or declare the proxy in front: trusted_proxies = [\"10.0.0.0/8\"], the addresses it connects from,\n\
             or serve TLS: tls.certificate_file, tls.key_file and tls.listen",
        ));
    }
    Ok(())
}
