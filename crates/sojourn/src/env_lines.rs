//! The lines an application needs, in the names its SDK reads.
//!
//! Compat: the names are those that each SDK reads; an absolute http proxy URL needs the two
//! script URLs beside it, because the script loader forces https on an absolute proxy URL.

use serde_json::json;

/// For whom the lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stack {
    /// Next.js, plain http on one host name (setup A)
    Next,
    /// Next.js that passes /__clerk on to the server (setup B)
    NextProxy,
    /// Express, Fastify, Hono
    Express,
    /// clerk-backend-api for Python
    Python,
    /// All of it for programs
    Json,
}

/// What an application must know about a running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Without a slash at the end.
    pub base_url: String,
    pub publishable_key: String,
    pub secret_key: String,
}

const CLERK_JS: &str = "/npm/@clerk/clerk-js@6/dist/clerk.browser.js";
const CLERK_UI: &str = "/npm/@clerk/ui@1/dist/ui.browser.js";

/// The text for stdout: pasteable as it stands, comments included.
pub fn lines(stack: Stack, access: &Access) -> String {
    let Access { base_url, publishable_key, secret_key } = access;
    match stack {
        Stack::Next => [
            format!("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY={publishable_key}"),
            format!("CLERK_SECRET_KEY={secret_key}"),
            format!("CLERK_API_URL={base_url}"),
            format!("NEXT_PUBLIC_CLERK_PROXY_URL={base_url}"),
            format!("NEXT_PUBLIC_CLERK_JS_URL={base_url}{CLERK_JS}"),
            format!("NEXT_PUBLIC_CLERK_UI_URL={base_url}{CLERK_UI}"),
            format!("NEXT_PUBLIC_CLERK_SIGN_IN_URL={base_url}/sign-in"),
            format!("NEXT_PUBLIC_CLERK_SIGN_UP_URL={base_url}/sign-up"),
            "NEXT_PUBLIC_CLERK_TELEMETRY_DISABLED=1".to_owned(),
            "NEXT_PUBLIC_CLERK_KEYLESS_DISABLED=1".to_owned(),
        ]
        .join("\n"),
        Stack::NextProxy => [
            "# in the middleware: clerkMiddleware({ frontendApiProxy: { enabled: true } })".to_owned(),
            format!("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY={publishable_key}"),
            format!("CLERK_SECRET_KEY={secret_key}"),
            format!("CLERK_API_URL={base_url}"),
            format!("CLERK_FAPI_URL={base_url}"),
            "NEXT_PUBLIC_CLERK_PROXY_URL=/__clerk".to_owned(),
            format!("NEXT_PUBLIC_CLERK_SIGN_IN_URL={base_url}/sign-in"),
            format!("NEXT_PUBLIC_CLERK_SIGN_UP_URL={base_url}/sign-up"),
            "NEXT_PUBLIC_CLERK_TELEMETRY_DISABLED=1".to_owned(),
            "NEXT_PUBLIC_CLERK_KEYLESS_DISABLED=1".to_owned(),
        ]
        .join("\n"),
        Stack::Express => [
            format!("CLERK_PUBLISHABLE_KEY={publishable_key}"),
            format!("CLERK_SECRET_KEY={secret_key}"),
            format!("CLERK_API_URL={base_url}"),
            format!("CLERK_PROXY_URL={base_url}"),
            format!("CLERK_JS_URL={base_url}{CLERK_JS}"),
            format!("CLERK_UI_URL={base_url}{CLERK_UI}"),
            format!("CLERK_SIGN_IN_URL={base_url}/sign-in"),
            format!("CLERK_SIGN_UP_URL={base_url}/sign-up"),
            "CLERK_TELEMETRY_DISABLED=1".to_owned(),
        ]
        .join("\n"),
        Stack::Python => [
            format!("CLERK_SECRET_KEY={secret_key}"),
            "# the Python SDK reads no address from the environment; give it in code:".to_owned(),
            format!("# Clerk(bearer_auth=os.environ[\"CLERK_SECRET_KEY\"], server_url=\"{base_url}/v1\")"),
            "# and verify a session token with:".to_owned(),
            format!(
                "# verify_token(token, VerifyTokenOptions(secret_key=os.environ[\"CLERK_SECRET_KEY\"], \
                 api_url=\"{base_url}\"))"
            ),
        ]
        .join("\n"),
        Stack::Json => json!({
            "base_url": base_url,
            "publishable_key": publishable_key,
            "secret_key": secret_key,
            "api_url": base_url,
            "server_url": format!("{base_url}/v1"),
            "proxy_url": base_url,
            "jwks_url": format!("{base_url}/.well-known/jwks.json"),
            "clerk_js_url": format!("{base_url}{CLERK_JS}"),
            "clerk_ui_url": format!("{base_url}{CLERK_UI}"),
            "sign_in_url": format!("{base_url}/sign-in"),
            "sign_up_url": format!("{base_url}/sign-up"),
        })
        .to_string(),
    }
}

/// Where the lines go, for stderr.
pub fn hint(stack: Stack) -> Option<&'static str> {
    match stack {
        Stack::Next | Stack::NextProxy => Some("append to .env.local: sojourn env --for … >> .env.local"),
        Stack::Express => Some("append to .env: sojourn env --for express >> .env"),
        Stack::Python => Some("append to .env: sojourn env --for python >> .env"),
        Stack::Json => None,
    }
}

#[cfg(test)]
pub mod tests {
    use clap::ValueEnum as _;

    use super::*;

    pub fn sample() -> Access {
        Access {
            base_url: "http://localhost:4000".to_owned(),
            publishable_key: "pk_live_Y2xlcmsuMmtYOWJ2cTEubG9jYWxob3N0JA".to_owned(),
            secret_key: "sk_test_0123456789abcdefghijABCDEFGHIJ0123456789ab".to_owned(),
        }
    }

    #[test]
    fn each_stack_gets_the_lines_its_sdk_reads() {
        let all: Vec<String> = Stack::value_variants()
            .iter()
            .map(|stack| format!("--- {stack:?}\n{}", lines(*stack, &sample())))
            .collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn every_line_can_be_pasted() {
        for stack in [Stack::Next, Stack::NextProxy, Stack::Express, Stack::Python] {
            for line in lines(stack, &sample()).lines() {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                let comment = line.starts_with("# ");
                let assignment = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
                    && !value.is_empty()
                    && !value.contains(char::is_whitespace);
                assert!(comment || assignment, "{line}");
            }
        }
    }
}
