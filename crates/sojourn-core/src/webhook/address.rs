//! Which addresses a webhook may reach without the operator's permission (WHK-02).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the address is reachable in the public internet. Everything else is refused: loopback,
/// private, link-local, shared (RFC 6598), multicast, documentation and reserved ranges, the metadata
/// services of cloud providers, and IPv6 addresses that embed such an IPv4 address.
/// Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            // IETF protocol assignments; 192.0.0.192 is a metadata service.
            | [192, 0, 0, _]
            | [192, 0, 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // The metadata service of Azure, in a public range.
            | [168, 63, 129, 16]
            // Multicast, reserved, broadcast.
            | [224..=255, ..]
    )
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // IPv4-mapped (RFC 4291) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(embedded(high, low))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        // IETF protocol assignments, among them Teredo (RFC 2928), and documentation (RFC 3849, 9637).
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Only 2000::/3 is global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

const fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().expect("an address"))
    }

    #[test]
    fn whk_02_only_addresses_of_the_internet_are_public() {
        let refused = "0.0.0.0 10.1.2.3 127.0.0.1 127.255.255.254 100.64.0.1 100.100.100.200 169.254.169.254 \
            172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 \
            198.51.100.7 203.0.113.9 168.63.129.16 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 \
            :: ::1 fe80::1 fec0::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 3fff::1 2001::1 2001:10::1 100::1 \
            ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:10.0.0.1 \
            64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe:: 5f00::1 4000::1";
        for address in refused.split_whitespace() {
            assert!(!public(address), "{address}");
        }
        let allowed = "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.0.1.1 198.20.0.1 \
            223.255.255.255 169.253.0.1 168.63.129.17 2001:200::1 2606:4700::1111 2a00:1450::1 3ffe::1 \
            ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::";
        for address in allowed.split_whitespace() {
            assert!(public(address), "{address}");
        }
    }
}
