//! What an application needs to use a running server: variables in the names its SDK reads, and code
//! where variables are not enough.
//!
//! An SDK that is not told an address offers the secret key to the vendor's host. What is printed here is
//! tried with the real SDKs in `sdks/`.

mod code;

use serde_json::{Value, json};

/// For whom the lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stack {
    /// Next.js, plain http on one host name
    Next,
    /// Next.js that passes /__clerk on to the server
    NextProxy,
    /// @clerk/express
    Express,
    /// @clerk/fastify
    Fastify,
    /// @clerk/hono
    Hono,
    /// @clerk/react with Vite
    React,
    /// @clerk/vue with Vite
    Vue,
    /// @clerk/react-router
    ReactRouter,
    /// @clerk/tanstack-react-start
    Tanstack,
    /// @clerk/astro
    Astro,
    /// @clerk/nuxt
    Nuxt,
    /// svelte-clerk with SvelteKit
    Svelte,
    /// clerk-backend-api from PyPI
    Python,
    /// github.com/clerk/clerk-sdk-go
    Go,
    /// com.clerk:backend-api from Maven
    Java,
    /// clerk-rs with axum
    Rust,
    /// All of it for programs
    Json,
}

/// What an application must know about a running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Without a slash at the end.
    pub base_url: String,
    /// Where application servers reach the Backend API, if it is elsewhere.
    pub api_url: Option<String>,
    pub publishable_key: String,
    /// Not known of a production instance, once it was shown.
    pub secret_key: Option<String>,
    /// The public key as PEM.
    pub jwt_key: String,
    /// Of a production instance browsers reach the host in the publishable key, and need no other address.
    pub is_production: bool,
}

const CLERK_JS: &str = "/npm/@clerk/clerk-js@6/dist/clerk.browser.js";
const CLERK_UI: &str = "/npm/@clerk/ui@1/dist/ui.browser.js";
/// Where applications pass requests of browsers on to the server.
const PROXY_PATH: &str = "/__clerk";

/// The text for stdout: pasteable as it stands, comments included.
pub fn lines(stack: Stack, access: &Access) -> String {
    if stack == Stack::Json {
        return facts(access).to_string();
    }
    let variables =
        variables(stack, access).into_iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    let missing = match (stack, &access.secret_key) {
        (Stack::React | Stack::Vue, _) | (_, Some(_)) => "",
        (_, None) => "the secret key is told once, when it is made; another one: sojourn keys create\n",
    };
    let code = format!("{missing}{}", code::code(stack, access));
    let comments =
        code.lines().map(|line| if line.is_empty() { "#".to_owned() } else { format!("# {line}") });
    variables.chain(comments).collect::<Vec<_>>().join("\n")
}

/// The same for programs.
pub fn document(stack: Stack, access: &Access) -> Value {
    if stack == Stack::Json {
        return facts(access);
    }
    let variables: serde_json::Map<String, Value> =
        variables(stack, access).into_iter().map(|(name, value)| (name, value.into())).collect();
    json!({ "variables": variables, "code": code::code(stack, access) })
}

/// Where the lines go, for stderr.
pub fn hint(stack: Stack) -> Option<String> {
    use clap::ValueEnum as _;
    let file = match stack {
        Stack::Json => return None,
        Stack::Next | Stack::NextProxy | Stack::React | Stack::Vue => ".env.local",
        _ => ".env",
    };
    let name = stack.to_possible_value()?;
    Some(format!("append to {file}: sojourn env --for {} >> {file}", name.get_name()))
}

fn facts(access: &Access) -> Value {
    let Access { base_url, publishable_key, secret_key, jwt_key, .. } = access;
    let api_url = access.api_url();
    json!({
        "base_url": base_url,
        "publishable_key": publishable_key,
        "secret_key": secret_key,
        "jwt_key": jwt_key,
        "api_url": api_url,
        "server_url": format!("{api_url}/v1"),
        "proxy_url": base_url,
        "jwks_url": format!("{base_url}/.well-known/jwks.json"),
        "clerk_js_url": format!("{base_url}{CLERK_JS}"),
        "clerk_ui_url": format!("{base_url}{CLERK_UI}"),
        "sign_in_url": format!("{base_url}/sign-in"),
        "sign_up_url": format!("{base_url}/sign-up"),
    })
}

/// Shells and dotenv files read a value with blanks only in quotes.
fn quoted(value: String) -> String {
    if value.contains(char::is_whitespace) { format!("\"{value}\"") } else { value }
}

/// Variables by name and value, in the order in which they are printed.
fn variables(stack: Stack, access: &Access) -> Vec<(String, String)> {
    let sheet = Sheet { access, lines: Vec::new() };
    let sheet = match stack {
        Stack::Next => sheet
            .keys("NEXT_PUBLIC_CLERK_", "CLERK_")
            .api_url("CLERK_API_URL")
            .browser("NEXT_PUBLIC_CLERK_")
            .pages("NEXT_PUBLIC_CLERK_")
            .switches("NEXT_PUBLIC_CLERK_"),
        Stack::NextProxy => sheet
            .keys("NEXT_PUBLIC_CLERK_", "CLERK_")
            .api_url("CLERK_API_URL")
            .line("CLERK_FAPI_URL", &access.base_url)
            .line("NEXT_PUBLIC_CLERK_PROXY_URL", PROXY_PATH)
            .pages("NEXT_PUBLIC_CLERK_")
            .switches("NEXT_PUBLIC_CLERK_"),
        Stack::Express | Stack::Fastify => sheet.server_only(),
        Stack::Hono => sheet.server_only().line("CLERK_FAPI_URL", &access.base_url),
        Stack::React | Stack::Vue => {
            sheet.line("VITE_CLERK_PUBLISHABLE_KEY", &access.publishable_key).pages("VITE_CLERK_")
        }
        // Compat: clerk/javascript packages/{react-router,tanstack-react-start}/src/utils/env.ts
        Stack::ReactRouter | Stack::Tanstack => sheet
            .keys("VITE_CLERK_", "CLERK_")
            .api_url("CLERK_API_URL")
            .line("CLERK_JWT_KEY", &access.jwt_key_on_one_line())
            .browser("VITE_CLERK_")
            .pages("VITE_CLERK_")
            .switches("VITE_CLERK_"),
        // Compat: clerk/javascript packages/astro/src/server/get-safe-env.ts
        Stack::Astro => sheet
            .keys("PUBLIC_CLERK_", "CLERK_")
            .api_url("CLERK_API_URL")
            .browser("PUBLIC_CLERK_")
            .pages("PUBLIC_CLERK_")
            .switches("PUBLIC_CLERK_"),
        // Compat: clerk/javascript packages/nuxt/src/module.ts; versions before 3 read only the public
        // name of the address, and ask the vendor without it.
        Stack::Nuxt => sheet
            .keys("NUXT_PUBLIC_CLERK_", "NUXT_CLERK_")
            .api_url("NUXT_CLERK_API_URL")
            .api_url("NUXT_PUBLIC_CLERK_API_URL")
            .line("NUXT_CLERK_JWT_KEY", &access.jwt_key_on_one_line())
            .browser("NUXT_PUBLIC_CLERK_")
            .pages("NUXT_PUBLIC_CLERK_")
            .switches("NUXT_PUBLIC_CLERK_"),
        // Compat: svelte-clerk src/lib/server/constants.ts reads the address by its public name only. It has
        // no variable for the address of the interface's script, so the path through the application is used.
        Stack::Svelte => sheet
            .keys("PUBLIC_CLERK_", "CLERK_")
            .api_url("PUBLIC_CLERK_API_URL")
            .line("CLERK_JWT_KEY", &access.jwt_key_on_one_line())
            .proxy("PUBLIC_CLERK_PROXY_URL", PROXY_PATH)
            .pages("PUBLIC_CLERK_")
            .line("PUBLIC_CLERK_TELEMETRY_DISABLED", "1"),
        Stack::Python | Stack::Java => sheet
            .secret("CLERK_SECRET_KEY")
            .api_url("CLERK_API_URL")
            .line("CLERK_JWT_KEY", &access.jwt_key_on_one_line()),
        // Compat: clerk-sdk-go http/middleware.go, JSONWebKey: PEM has to have its line breaks there, or
        // neither header nor footer.
        Stack::Go => sheet
            .secret("CLERK_SECRET_KEY")
            .api_url("CLERK_API_URL")
            .line("CLERK_JWT_KEY", &access.jwt_key_without_frame()),
        Stack::Rust => sheet.secret("CLERK_SECRET_KEY").api_url("CLERK_API_URL"),
        Stack::Json => sheet,
    };
    sheet.lines
}

impl Access {
    fn api_url(&self) -> &str {
        self.api_url.as_deref().unwrap_or(&self.base_url)
    }

    /// The SDKs for JavaScript, Python and Java remove line breaks, and dotenv files differ in how they
    /// write them.
    fn jwt_key_on_one_line(&self) -> String {
        self.jwt_key.replace('\n', "")
    }

    fn jwt_key_without_frame(&self) -> String {
        self.jwt_key.lines().filter(|line| !line.starts_with("-----")).collect()
    }
}

struct Sheet<'a> {
    access: &'a Access,
    lines: Vec<(String, String)>,
}

impl Sheet<'_> {
    fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    fn keys(self, public: &str, private: &str) -> Self {
        let publishable_key = &self.access.publishable_key;
        self.line(&format!("{public}PUBLISHABLE_KEY"), publishable_key)
            .secret(&format!("{private}SECRET_KEY"))
    }

    fn secret(self, name: &str) -> Self {
        match &self.access.secret_key {
            Some(secret_key) => self.line(name, secret_key),
            None => self,
        }
    }

    fn api_url(self, name: &str) -> Self {
        let api_url = self.access.api_url();
        self.line(name, api_url)
    }

    /// Where browsers reach the server, where that is not in the publishable key.
    fn proxy(self, name: &str, url: &str) -> Self {
        if self.access.is_production { self } else { self.line(name, url) }
    }

    /// Compat: the script loader forces https on an absolute proxy URL, so the two scripts have URLs of
    /// their own. clerk/javascript packages/shared/src/loadClerkJsScript.ts
    fn browser(self, public: &str) -> Self {
        let base_url = &self.access.base_url;
        if self.access.is_production {
            return self;
        }
        self.line(&format!("{public}PROXY_URL"), base_url)
            .line(&format!("{public}JS_URL"), &format!("{base_url}{CLERK_JS}"))
            .line(&format!("{public}UI_URL"), &format!("{base_url}{CLERK_UI}"))
    }

    fn pages(self, public: &str) -> Self {
        let base_url = &self.access.base_url;
        self.line(&format!("{public}SIGN_IN_URL"), &format!("{base_url}/sign-in"))
            .line(&format!("{public}SIGN_UP_URL"), &format!("{base_url}/sign-up"))
    }

    fn switches(self, public: &str) -> Self {
        self.line(&format!("{public}TELEMETRY_DISABLED"), "1").line(&format!("{public}KEYLESS_DISABLED"), "1")
    }

    fn server_only(self) -> Self {
        let Access { base_url, .. } = self.access;
        let jwt_key = self.access.jwt_key_on_one_line();
        self.keys("CLERK_", "CLERK_")
            .api_url("CLERK_API_URL")
            .proxy("CLERK_PROXY_URL", base_url)
            .line("CLERK_JWT_KEY", &jwt_key)
            .line("CLERK_SIGN_IN_URL", &format!("{base_url}/sign-in"))
            .line("CLERK_TELEMETRY_DISABLED", "1")
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
            api_url: None,
            secret_key: Some("sk_test_sojourn_0123456789abcdef0123456789abcdef0123456789abcdef".to_owned()),
            jwt_key: "-----BEGIN PUBLIC KEY-----\nMIIB\nIDAQAB\n-----END PUBLIC KEY-----\n".to_owned(),
            is_production: false,
        }
    }

    pub fn production() -> Access {
        Access {
            base_url: "https://clerk.example.com".to_owned(),
            publishable_key: "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k".to_owned(),
            secret_key: None,
            is_production: true,
            ..sample()
        }
    }

    #[test]
    fn production_needs_fewer_lines_and_repeats_no_secret() {
        let stacks = [
            Stack::Next,
            Stack::NextProxy,
            Stack::Express,
            Stack::Fastify,
            Stack::Hono,
            Stack::React,
            Stack::Svelte,
        ];
        let access = Access { api_url: Some("http://10.0.0.5:4001".to_owned()), ..production() };
        let all: Vec<String> =
            stacks.iter().map(|stack| format!("--- {stack:?}\n{}", lines(*stack, &access))).collect();
        insta::assert_snapshot!(all.join("\n"));
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
        for stack in Stack::value_variants().iter().filter(|stack| **stack != Stack::Json) {
            for line in lines(*stack, &sample()).lines() {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                let comment = line == "#" || line.starts_with("# ");
                let in_quotes = value.len() > 2 && value.starts_with('"') && value.ends_with('"');
                let assignment = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
                    && !value.is_empty()
                    && (in_quotes || !value.contains(char::is_whitespace));
                assert!(comment || assignment, "{line}");
            }
        }
    }

    #[test]
    fn who_gets_the_secret_key_gets_the_address_too() {
        for stack in Stack::value_variants() {
            let names: Vec<String> = variables(*stack, &sample()).into_iter().map(|(name, _)| name).collect();
            let secret = names.iter().any(|name| name.ends_with("SECRET_KEY"));
            let address = names.iter().any(|name| name.ends_with("CLERK_API_URL"));
            assert_eq!(secret, address, "{stack:?}: {names:?}");
        }
    }
}
