#!/usr/bin/env bash
# The csv crate counts the lines of a file with CRLF, which is what RFC 4180 asks for, one too low: the
# position of each record after the first is the line of the record before it. Programs that report a
# faulty line by it, as its own errors do, name a line that is right.
#
# Builds a program with csv 1.4.0 in a temporary folder and prints the lines of three records, with LF and
# with CRLF. Exits 1 when this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "lines"
version = "0.1.0"
edition = "2021"

[dependencies]
csv = "=1.4.0"

[workspace]
TOML
cat > src/main.rs <<'RUST'
fn main() {
    let given = std::env::args().nth(1).expect("LF or CRLF");
    let end = if given == "CRLF" { "\r\n" } else { "\n" };
    let text = format!("1,a{end}2,b{end}3,c{end}");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for record in reader.records() {
        let record = record.expect("readable");
        print!(" {}", record.position().expect("a position").line());
    }
}
RUST
CARGO_TARGET_DIR="$folder/target" cargo build --quiet
unix=$(target/debug/lines LF)
rfc=$(target/debug/lines CRLF)
echo "The records of lines 1 2 3 are, to csv 1.4.0, on the lines"
echo "  with LF:  $unix"
echo "  with CRLF:$rfc"
[ "$unix" = " 1 2 3" ] && [ "$rfc" = " 1 1 2" ]
