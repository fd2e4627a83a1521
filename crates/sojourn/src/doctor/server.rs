//! The server that runs: whether it answers, and what its administrator has to know.

use serde_json::Value;

use super::Check;
use crate::client::Client;
use crate::server_file::ServerFile;

/// Adds the checks, and returns whether the server answers.
pub(super) async fn check(file: &ServerFile, checks: &mut Vec<Check>) -> bool {
    let client = match Client::of_running(file) {
        Ok(client) => client,
        Err(failure) => {
            checks.push(Check::of_failure("server", failure));
            return false;
        }
    };
    let seen = match client.get("/v1/instance/received_request", &[]).await {
        Ok(seen) => seen,
        Err(refused) => {
            let failure = refused.while_doing("the server on this machine does not answer");
            checks.push(Check::of_failure("server", failure));
            return false;
        }
    };
    checks.push(version(&seen, file.pid));
    checks.push(keys(&client).await);
    true
}

fn version(seen: &Value, pid: u32) -> Check {
    let (running, here) = (seen["server_version"].as_str().unwrap_or("unknown"), env!("CARGO_PKG_VERSION"));
    match running == here {
        true => Check::ok("server", format!("version {running} answers (process {pid})")),
        false => Check::warning("server", format!("version {running} runs, and this program is {here}"))
            .because("the program was replaced, and the server was not started again")
            .next("restart the server"),
    }
}

async fn keys(client: &Client) -> Check {
    let keys = match client.get("/v1/instance/secret_keys", &[]).await {
        Ok(keys) => keys,
        Err(refused) => return Check::of_failure("secret keys", refused.while_doing("cannot list the keys")),
    };
    let none = Vec::new();
    let keys = keys["data"].as_array().unwrap_or(&none);
    let good = keys.iter().filter(|key| key["revoked_at"].is_null()).count();
    match good {
        0 => Check::failed("secret keys", "no application has a key that is good")
            .next("sojourn keys create --name my-application"),
        _ => Check::ok("secret keys", format!("{good} in use")),
    }
}
