#!/usr/bin/env bash
# The certificate that proves control of a name in TLS-ALPN-01 must have a critical acmeIdentifier extension
# (RFC 8737, section 3), and rcgen makes it so. rustls refuses to serve it by the usual ways: to compare the
# certificate with its key, CertifiedKey::from_der (and ServerConfig's with_single_cert, which calls it)
# parses it as a client would, and a critical extension that it does not know is an error there. It can be
# served by CertifiedKey::new, which compares nothing, in a certificate resolver.
#
# Builds a program with rustls 0.23.46 and rcgen 0.14.10 in a temporary folder. Exits 1 when this is no longer
# so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "proof"
version = "0.1.0"
edition = "2021"

[dependencies]
rcgen = { version = "=0.14.10", default-features = false, features = ["crypto", "ring"] }
rustls = { version = "=0.23.46", default-features = false, features = ["ring", "std"] }

[workspace]
TOML
cat > src/main.rs <<'RUST'
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

fn main() {
    let key = KeyPair::generate().expect("a key");
    let certificate = |is_proof: bool| {
        let mut params = CertificateParams::new(vec!["app.example.com".to_owned()]).expect("a name");
        if is_proof {
            params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
        }
        params.self_signed(&key).expect("a certificate").der().clone()
    };
    let private = || PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = default_provider();
    for is_proof in [false, true] {
        let chain = vec![certificate(is_proof)];
        let from_der = CertifiedKey::from_der(chain.clone(), private(), &provider).map(drop);
        let single = ServerConfig::builder_with_provider(provider.clone().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.clone(), private())
            .map(drop);
        let signing = provider.key_provider.load_private_key(private()).expect("a signing key");
        let new = CertifiedKey::new(chain, signing);
        println!("proof={is_proof} from_der={from_der:?} with_single_cert={single:?} new={}", new.cert.len());
    }
}
RUST
CARGO_TARGET_DIR="$folder/target" cargo build --quiet
seen=$(target/debug/proof)
echo "rustls 0.23.46 with a certificate of rcgen 0.14.10, without and with the extension of RFC 8737:"
echo "$seen"
[ "$(grep -c 'proof=false from_der=Ok(()) with_single_cert=Ok(()) new=1' <<<"$seen")" = 1 ]
[ "$(grep -c 'proof=true from_der=Err(.*UnsupportedCriticalExtension.*) with_single_cert=Err(.*) new=1' <<<"$seen")" = 1 ]
