//! What a production instance needs of its configuration.

use sojourn_core::environment::Environment;
use sojourn_core::host::PublicHost;
use url::Url;

use super::check::refused;
use super::value::example_in;
use super::{Config, Sourced, is_loopback};
use crate::failure::{Exit, Failure};

/// The host of a production instance.
pub fn host(public_url: &Url) -> Result<PublicHost, String> {
    PublicHost::parse(public_url.host_str().unwrap_or_default()).map_err(|error| error.to_string())
}

pub fn check(config: &Config) -> Result<(), Failure> {
    let Some(public_url) = &config.public_url else {
        return Err(Failure::new(
            Exit::Usage,
            "public_url_missing",
            "a production instance has no public_url",
        )
        .because("its host is part of the publishable key, of every token and of the cookies")
        .next("public_url = \"https://clerk.example.com\", or start with: sojourn init production --help"));
    };
    public_url_is_public(public_url)?;
    origins(&config.allowed_origins)?;
    let off = |given: &Sourced<bool>, key: &str, why: &str, next: &str| {
        Failure::new(
            Exit::Usage,
            "not_in_production",
            format!("{key} = {} from {} is not possible in production", given.value, given.origin.in_words()),
        )
        .because(why)
        .next(next)
    };
    if *config.expose_development {
        return Err(off(
            &config.expose_development,
            "expose_development",
            "it is about development instances",
            "leave it out",
        ));
    }
    if !*config.rate_limits_enabled {
        return Err(off(
            &config.rate_limits_enabled,
            "rate_limits.enabled",
            "an instance that others can reach must not let them guess passwords freely",
            "leave it out",
        ));
    }
    if config.allow_loopback_origins.is_pinned() && *config.allow_loopback_origins {
        return Err(off(
            &config.allow_loopback_origins,
            "allowed_origins.loopback",
            "any page on a user's machine could act for them",
            "leave it out, and name the origins of the application in allowed_origins.list",
        ));
    }
    for pin in &config.pins {
        if pin.setting.check(&pin.value, Environment::Production).is_err() {
            return Err(refused(format!(
                "{} cannot be used as it is given in {}",
                pin.setting.path,
                pin.origin.in_words()
            ))
            .because(format!("{} is not possible in a production instance", pin.value))
            .next(format!("give {}", example_in(pin.setting.kind, Environment::Production))));
        }
    }
    Ok(())
}

fn public_url_is_public(public_url: &Sourced<Url>) -> Result<(), Failure> {
    let refuse = |why: String| {
        refused(format!(
            "public_url {} from {} cannot be that of a production instance",
            public_url.value,
            public_url.origin.in_words()
        ))
        .because(why)
        .next("give https and a DNS name that browsers reach, such as https://clerk.example.com")
    };
    if public_url.scheme() != "https" {
        return Err(refuse("browsers keep the cookies of production over https only".to_owned()));
    }
    if public_url.port().is_some() {
        return Err(refuse(
            "it has a port; the SDKs reach the host in the publishable key on 443".to_owned(),
        ));
    }
    host(public_url).map(|_| ()).map_err(refuse)
}

fn origins(origins: &Sourced<Vec<String>>) -> Result<(), Failure> {
    for text in origins.iter() {
        origin(text).map_err(|why| {
            refused(format!("allowed_origins.list has {text} in {}", origins.origin.in_words()))
                .because(why)
                .next("give the https origin of the application, such as https://app.example.com")
        })?;
    }
    Ok(())
}

/// Whether a text is the origin of an application of production, or why it is not.
pub fn origin(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("it is no https address".to_owned());
    }
    if is_loopback(&url) {
        return Err("it is on a user's own machine, and any program there could answer".to_owned());
    }
    if url.scheme() == "http" {
        return Err("browsers send the cookies of production to https pages only".to_owned());
    }
    let origin = url.origin().ascii_serialization();
    if origin != text {
        return Err(format!("it is no bare origin; the origin of it is {origin}"));
    }
    Ok(())
}
