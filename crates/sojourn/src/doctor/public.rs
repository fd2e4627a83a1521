//! The way of a browser: DNS, TLS, the proxy, and the cookies that the application shares.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::tls::TlsInfo;
use serde_json::Value;
use sojourn_core::host::registrable_domain;
use sojourn_service::Clock as _;
use url::Url;
use x509_cert::der::Decode as _;

use super::{Check, Options};
use crate::clock::SystemClock;
use crate::config::{Config, is_loopback};
use crate::server_file::ServerFile;

const TIMEOUT: Duration = Duration::from_secs(10);
/// An address of RFC 5737 that no client has: whoever shows it believes what strangers write.
const FORGED: &str = "203.0.113.254";
/// A handshake carries a session token in its address.
const LONG_QUERY_BYTES: usize = 12_000;
/// Cookies of an application and of several instances add up to this.
const LONG_COOKIE_BYTES: usize = 12_000;
const DAY_MS: i64 = 86_400_000;

pub(super) async fn check(config: &Config, options: &Options, server: Option<&ServerFile>) -> Vec<Check> {
    let Some(url) = config.public_url.as_ref().map(|url| url.value.clone()) else { return Vec::new() };
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut checks = vec![cookies(config, &host)];
    if options.offline {
        checks.push(Check::skipped("public way", "not tried: --offline"));
        return checks;
    }
    match options.connect_to {
        Some(address) => checks.push(Check::skipped("DNS", format!("not asked: --connect-to {address}"))),
        None => {
            let resolved = addresses(&host).await;
            let is_resolved = resolved.is_ok();
            checks.push(dns(&host, resolved));
            if !is_resolved {
                return checks;
            }
        }
    }
    let client = match client(options, &host) {
        Ok(client) => client,
        Err(why) => {
            checks.push(Check::failed("certificate", "the given authority cannot be used").because(why));
            return checks;
        }
    };
    let environment = format!("{}/v1/environment", url.origin().ascii_serialization());
    match client.get(&environment).send().await {
        Ok(answer) => {
            checks.push(certificate(&host, answer.extensions().get::<TlsInfo>()));
            checks.push(reached(
                &host,
                answer.status(),
                answer.headers().contains_key("strict-transport-security"),
            ));
            checks.push(header_sizes(&client, &environment).await);
            checks.push(proxy(&client, &url, server).await);
        }
        Err(error) => checks.push(no_connection(&host, &error)),
    }
    checks
}

fn client(options: &Options, host: &str) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sojourn-doctor/", env!("CARGO_PKG_VERSION")));
    let builder = match options.connect_to {
        Some(address) => builder.no_proxy().resolve(host, address),
        None => builder,
    };
    let builder = match &options.authority {
        None => builder,
        Some(pem) => {
            let authorities =
                reqwest::Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
            builder.tls_certs_merge(authorities)
        }
    };
    builder.build().map_err(|error| error.to_string())
}

async fn addresses(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, 443))).await;
    let found = found.map_err(|_| "the resolver did not answer".to_owned())?;
    let mut found: Vec<IpAddr> =
        found.map_err(|error| error.to_string())?.map(|address| address.ip()).collect();
    found.sort();
    found.dedup();
    if found.is_empty() { Err("the name has no address".to_owned()) } else { Ok(found) }
}

fn dns(host: &str, resolved: Result<Vec<IpAddr>, String>) -> Check {
    match resolved {
        Ok(found) => {
            let list: Vec<String> = found.iter().map(ToString::to_string).collect();
            let check = Check::ok("DNS", format!("{host} is {}", list.join(", ")));
            match found.iter().all(IpAddr::is_loopback) {
                // Such as an entry in /etc/hosts.
                true => check.next("that is this machine; look from another one as well"),
                false => check,
            }
        }
        Err(why) => Check::failed("DNS", format!("{host} is not found")).because(why).next(format!(
            "make an A or AAAA record for {host} that leads to the proxy (or to this server); new ones take minutes"
        )),
    }
}

fn no_connection(host: &str, error: &reqwest::Error) -> Check {
    let chain = crate::client::chain(error);
    let is_tls =
        ["certificate", "tls", "handshake"].iter().any(|word| chain.to_ascii_lowercase().contains(word));
    match is_tls {
        true => Check::failed("certificate", format!("no trusted TLS connection to {host}"))
            .because(chain)
            .next("the certificate must name the host, be current, and come with its whole chain;\nfor an authority of your own: --ca-file"),
        false => Check::failed("public way", format!("nothing answers at https://{host}"))
            .because(chain)
            .next("start the proxy, open port 443 in the firewall, and check where the name leads"),
    }
}

fn certificate(host: &str, info: Option<&TlsInfo>) -> Check {
    let der = info.and_then(TlsInfo::peer_certificate);
    let Some(certificate) = der.and_then(|der| x509_cert::Certificate::from_der(der).ok()) else {
        return Check::ok("certificate", format!("trusted for {host}"));
    };
    let end = certificate.tbs_certificate.validity.not_after.to_unix_duration().as_millis();
    let left = i64::try_from(end).unwrap_or(i64::MAX).saturating_sub(SystemClock.now().as_millis()) / DAY_MS;
    let message = format!("trusted for {host}, {left} days left");
    match left {
        14.. => Check::ok("certificate", message),
        _ => Check::warning("certificate", message).next("check that its renewal works"),
    }
}

fn reached(host: &str, status: StatusCode, has_hsts: bool) -> Check {
    let name = "public way";
    match status.as_u16() {
        200 if has_hsts => Check::ok(name, format!("https://{host} leads to the instance")),
        200 => Check::warning(name, format!("https://{host} answers without Strict-Transport-Security"))
            .because("the server sends it; a proxy takes it away, or something else answers")
            .next("let the proxy pass response headers on"),
        421 => Check::failed(name, "the server is asked for another host (421)")
            .because("the proxy puts a name of its own in place of the one that the browser asked for")
            .next("pass the host on: proxy_set_header Host $host (nginx)"),
        403 => Check::failed(name, "the server takes the connection for plain http (403)")
            .because("the proxy says that the browser came by http")
            .next("proxy_set_header X-Forwarded-Proto $scheme (nginx), in the server that ends TLS"),
        502..=504 => Check::failed(name, format!("the proxy does not reach the server ({status})"))
            .next("check the address in its configuration against `listen`, and that the server runs"),
        _ => Check::failed(name, format!("https://{host}/v1/environment answers {status}"))
            .because("that is not this server, or a proxy lets only some paths through")
            .next("pass all paths of the host on"),
    }
}

async fn header_sizes(client: &reqwest::Client, environment: &str) -> Check {
    let name = "header limits";
    let query = client.get(format!("{environment}?doctor={}", "x".repeat(LONG_QUERY_BYTES)));
    let cookies =
        client.get(environment).header("cookie", format!("doctor={}", "x".repeat(LONG_COOKIE_BYTES)));
    for (request, what, hint) in [
        (query, "a long address", "large_client_header_buffers 4 32k (nginx), tune.bufsize 65536 (HAProxy)"),
        (cookies, "many cookies", "large_client_header_buffers 4 32k (nginx), tune.bufsize 65536 (HAProxy)"),
    ] {
        let problem = match request.send().await {
            Ok(answer) if answer.status() == StatusCode::OK => continue,
            Ok(answer) => format!("{} bytes are answered with {}", LONG_QUERY_BYTES, answer.status()),
            Err(error) => crate::client::chain(&error),
        };
        return Check::failed(name, format!("the proxy refuses {what}"))
            .because(problem)
            .next(format!("{hint}: a handshake carries a session token in its address"));
    }
    Check::ok(name, format!("addresses and cookies of {} kB pass", LONG_QUERY_BYTES / 1000))
}

/// What the server sees of a request that claims to come from somewhere else.
async fn proxy(client: &reqwest::Client, url: &Url, server: Option<&ServerFile>) -> Check {
    let name = "proxy";
    let Some(file) = server else {
        return Check::skipped(name, "no server on this machine answers, so nobody tells what it sees");
    };
    // The key of this process, which ends with it. TLS has proved who gets it.
    let request = client
        .get(format!("{}/v1/instance/received_request", url.origin().ascii_serialization()))
        .bearer_auth(&file.secret_key)
        .header("x-forwarded-for", FORGED)
        .header("forwarded", format!("for={FORGED}"));
    let (status, seen) = match request.send().await {
        Ok(answer) => (answer.status(), answer.json::<Value>().await.unwrap_or_default()),
        Err(error) => return Check::skipped(name, "no answer").because(crate::client::chain(&error)),
    };
    match status {
        StatusCode::OK => judge(&seen),
        StatusCode::NOT_FOUND => {
            Check::skipped(name, "the Backend API is not on the public address, so nobody tells what it sees")
        }
        StatusCode::UNAUTHORIZED => {
            Check::skipped(name, "another node than the one on this machine answered")
                .next("run this on each node, with the others out of the balancer")
        }
        _ => Check::skipped(name, format!("the server answered {status}")),
    }
}

fn judge(seen: &Value) -> Check {
    let name = "proxy";
    let client = seen["client_address"].as_str().unwrap_or("nobody");
    if client == FORGED {
        return Check::failed(name, "a client can claim any address")
            .because("the proxy passes on what the client wrote into X-Forwarded-For, and the server believes the proxy")
            .next("write the header anew: proxy_set_header X-Forwarded-For $remote_addr (nginx)");
    }
    if seen["forwarding_headers"] == "ignored" {
        return match client.parse::<IpAddr>().is_ok_and(|address| !is_private(address)) {
            // Without a proxy the client's own headers arrive, and are ignored as they should be.
            true => Check::ok(name, format!("none that is declared; the server sees {client}")),
            false => Check::failed(name, format!("the proxy at {client} is not declared"))
                .because("all its clients count as one, and five sign-ins in ten seconds are all there are")
                .next(format!("trusted_proxies = [\"{client}\"]")),
        };
    }
    Check::ok(name, format!("the server sees {client}, and not what a client claims"))
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// Whether browsers bring the cookies of this host to the applications.
fn cookies(config: &Config, host: &str) -> Check {
    let name = "cookies";
    let origins = &config.allowed_origins.value;
    if origins.is_empty() {
        return Check::failed(name, "no application is allowed: allowed_origins.list is empty")
            .because("every request of a browser is refused by CORS")
            .next("allowed_origins.list = [\"https://app.example.com\"]");
    }
    let own = registrable_domain(host);
    let apart: Vec<&str> = origins
        .iter()
        .filter(|origin| {
            let url = Url::parse(origin).ok().filter(|url| !is_loopback(url));
            url.and_then(|url| registrable_domain(url.host_str()?).map(str::to_owned)).as_deref() != own
        })
        .map(String::as_str)
        .collect();
    if apart.is_empty() {
        return Check::ok(name, format!("shared with {} below {}", origins.join(", "), own.unwrap_or(host)));
    }
    Check::warning(name, format!("{} shares no cookies with {host}", apart.join(", ")))
        .because("browsers send cookies of one domain to no other: the application's server does not see who signed in")
        .next(format!(
            "serve the instance on a host below the application's domain,\n\
             or pass {}/__clerk on to it: sojourn env --for next-proxy",
            apart[0]
        ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Status;

    #[test]
    fn what_the_server_sees_of_a_proxy_is_judged() {
        let seen = |client: &str, headers: &str| {
            judge(&json!({"client_address": client, "forwarding_headers": headers}))
        };
        assert_eq!(seen("198.51.100.7", "believed").status, Status::Ok);
        assert_eq!(seen("198.51.100.7", "absent").status, Status::Ok);
        assert_eq!(seen("198.51.100.7", "ignored").status, Status::Ok);
        assert_eq!(seen(FORGED, "believed").status, Status::Failed);
        let undeclared = seen("10.0.0.5", "ignored");
        assert_eq!(undeclared.status, Status::Failed);
        assert_eq!(undeclared.hint.as_deref(), Some("trusted_proxies = [\"10.0.0.5\"]"));
    }

    #[test]
    fn each_wrong_answer_of_a_proxy_has_its_remedy() {
        let check =
            |status: u16| reached("clerk.example.com", StatusCode::from_u16(status).expect("a status"), true);
        assert_eq!(check(200).status, Status::Ok);
        for (status, remedy) in
            [(421, "Host $host"), (403, "X-Forwarded-Proto"), (502, "listen"), (404, "paths")]
        {
            let check = check(status);
            assert_eq!(check.status, Status::Failed);
            assert!(check.hint.is_some_and(|hint| hint.contains(remedy)), "{status}");
        }
        let bare = reached("clerk.example.com", StatusCode::OK, false);
        assert_eq!(bare.status, Status::Warning);
    }
}
