use std::env;
use std::error::Error;

use axum::{Extension, Json, Router, routing::get};
use clerk_rs::ClerkConfiguration;
use clerk_rs::apis::users_api;
use clerk_rs::clerk::Clerk;
use clerk_rs::validators::{authorizer::ClerkJwt, axum::ClerkLayer, jwks::MemoryCacheJwksProvider};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = ClerkConfiguration::new(env::var("CLERK_SECRET_KEY")?)
        .with_base_path(env::var("CLERK_API_URL")? + "/v1");
    let api = config.clone();
    let app = Router::new().route("/me", get(me)).route("/user", get(move |claims| email(api, claims)));

    let keys = MemoryCacheJwksProvider::new(Clerk::new(config));
    let app = app.layer(ClerkLayer::new(keys, None, true));

    let app = app.route("/outside", get(outside));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "url": format!("http://localhost:{}", listener.local_addr()?.port()) }));
    Ok(axum::serve(listener, app).await?)
}

async fn me(Extension(claims): Extension<ClerkJwt>) -> Json<Value> {
    Json(json!({ "userId": claims.sub }))
}

async fn email(config: ClerkConfiguration, Extension(claims): Extension<ClerkJwt>) -> Json<Value> {
    let answer = match users_api::get_user(&config, &claims.sub).await {
        Ok(user) => serde_json::to_value(user).unwrap_or_default(),
        Err(error) => return Json(json!({ "error": error.to_string() })),
    };
    let primary = answer["email_addresses"]
        .as_array()
        .and_then(|addresses| addresses.iter().find(|one| one["id"] == answer["primary_email_address_id"]));
    Json(json!({ "email": primary.map(|one| &one["email_address"]) }))
}

async fn outside() -> String {
    format!("{:?}", reqwest::get("https://outside.invalid/").await)
}
