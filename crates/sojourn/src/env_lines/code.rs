//! The code that an SDK needs beside its variables. `sdks/` runs the same lines.

use super::{Access, Stack};

/// Empty where variables are enough.
pub fn code(stack: Stack, access: &Access) -> String {
    match stack {
        Stack::NextProxy => NEXT_PROXY.to_owned(),
        // Browsers reach the host in the publishable key there, and need no path through the application.
        Stack::Fastify if access.is_production => without_lines(FASTIFY, "proxyUrl"),
        Stack::Hono if access.is_production => {
            without_lines(&without_lines(HONO, "proxyUrl"), "frontendApiProxy")
        }
        Stack::React if access.is_production => without_lines(REACT, "/__clerk"),
        Stack::Vue if access.is_production => without_lines(VUE, "/__clerk"),
        Stack::Svelte if access.is_production => String::new(),
        Stack::Fastify => FASTIFY.to_owned(),
        Stack::Hono => HONO.to_owned(),
        Stack::React => format!("{REACT}{}", vite(access)),
        Stack::Vue => format!("{VUE}{}", vite(access)),
        Stack::Svelte => vite(access),
        Stack::Python => PYTHON.to_owned(),
        Stack::Go => GO.to_owned(),
        Stack::Java => JAVA.to_owned(),
        Stack::Rust => RUST.to_owned(),
        _ => String::new(),
    }
}

fn without_lines(code: &str, part: &str) -> String {
    code.lines().filter(|line| !line.contains(part)).map(|line| format!("{line}\n")).collect()
}

const NEXT_PROXY: &str = "\
in the middleware:
clerkMiddleware({ frontendApiProxy: { enabled: true } })
";

// Compat: clerk/javascript packages/fastify/src/withClerkMiddleware.ts takes both from the options only.
const FASTIFY: &str = "\
in code, or requests go to the vendor's host:
app.register(clerkPlugin, {
  apiUrl: process.env.CLERK_API_URL,
  proxyUrl: process.env.CLERK_PROXY_URL,
})
";

// Compat: clerk/javascript packages/hono/src/clerkMiddleware.ts takes all three from the options only.
const HONO: &str = "\
in code:
app.use('*', clerkMiddleware({
  proxyUrl: process.env.CLERK_PROXY_URL,
  jwtKey: process.env.CLERK_JWT_KEY,
  signInUrl: process.env.CLERK_SIGN_IN_URL,
}))
or, so that browsers talk to the application only, in place of proxyUrl:
  frontendApiProxy: { enabled: true },
";

const REACT: &str = "\
in main.tsx:
<ClerkProvider
  publishableKey={import.meta.env.VITE_CLERK_PUBLISHABLE_KEY}
  proxyUrl=\"/__clerk\"
  signInUrl={import.meta.env.VITE_CLERK_SIGN_IN_URL}
  signUpUrl={import.meta.env.VITE_CLERK_SIGN_UP_URL}
>
with @clerk/clerk-react 5 also clerkJSUrl=\"/__clerk/npm/@clerk/clerk-js@5/dist/clerk.browser.js\"
";

const VUE: &str = "\
in main.ts:
app.use(clerkPlugin, {
  publishableKey: import.meta.env.VITE_CLERK_PUBLISHABLE_KEY,
  proxyUrl: '/__clerk',
  signInUrl: import.meta.env.VITE_CLERK_SIGN_IN_URL,
  signUpUrl: import.meta.env.VITE_CLERK_SIGN_UP_URL,
})
";

/// The path is taken off, because the server knows nothing of it.
fn vite(access: &Access) -> String {
    let base_url = &access.base_url;
    format!(
        "\
in vite.config; what serves the built application has to do the same:
server: {{
  proxy: {{
    '/__clerk': {{
      target: '{base_url}',
      rewrite: (path) => path.replace(/^\\/__clerk/, ''),
    }},
  }},
}},
"
    )
}

// Compat: clerk-backend-api security/authenticaterequest.py asks the vendor's host, with the secret key,
// unless it has the public key; and for every bearer that looks like another kind of token (`ak_…`), which
// it accepts unless told otherwise.
const PYTHON: &str = "\
in code, or requests go to the vendor's host:
clerk = Clerk(
    bearer_auth=os.environ[\"CLERK_SECRET_KEY\"],
    server_url=os.environ[\"CLERK_API_URL\"] + \"/v1\",
)
state = clerk.authenticate_request(
    request,
    AuthenticateRequestOptions(
        jwt_key=os.environ[\"CLERK_JWT_KEY\"],
        accepts_token=[\"session_token\"],
    ),
)
";

const GO: &str = "\
in code, or requests go to the vendor's host:
clerk.SetBackend(clerk.NewBackend(&clerk.BackendConfig{
	URL: clerk.String(os.Getenv(\"CLERK_API_URL\") + \"/v1\"),
	Key: clerk.String(os.Getenv(\"CLERK_SECRET_KEY\")),
}))
protect := clerkhttp.RequireHeaderAuthorization(
	clerkhttp.JSONWebKey(os.Getenv(\"CLERK_JWT_KEY\")),
)
";

// Compat: as in Python; com.clerk.backend_api.helpers.security.AuthenticateRequest
const JAVA: &str = "\
in code, or requests go to the vendor's host:
Clerk clerk = Clerk.builder()
    .serverURL(System.getenv(\"CLERK_API_URL\") + \"/v1\")
    .bearerAuth(System.getenv(\"CLERK_SECRET_KEY\"))
    .build();
RequestState state = AuthenticateRequest.authenticateRequest(
    headers,
    AuthenticateRequestOptions.jwtKey(System.getenv(\"CLERK_JWT_KEY\"))
        .acceptsTokens(List.of(\"session_token\"))
        .build());
";

const RUST: &str = "\
in code, or requests go to the vendor's host:
let config = ClerkConfiguration::new(env::var(\"CLERK_SECRET_KEY\")?)
    .with_base_path(env::var(\"CLERK_API_URL\")? + \"/v1\");
let keys = MemoryCacheJwksProvider::new(Clerk::new(config));
let app = app.layer(ClerkLayer::new(keys, None, true));
";
