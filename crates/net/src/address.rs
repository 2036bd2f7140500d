//! Which addresses are not public.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What kind of address one is, as far as egress cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Routed on the internet.
    Public,
    /// This machine: 127.0.0.0/8, `::1`.
    Loopback,
    /// An organisation's own network: RFC 1918, RFC 4193 (`fc00::/7`), `fec0::/10`.
    Private,
    /// A carrier's own network: 100.64.0.0/10 (RFC 6598).
    CarrierNat,
    /// The local link: 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// Where a cloud hands out credentials to whoever asks from inside.
    Metadata,
    /// Multicast and broadcast.
    Multicast,
    /// 0.0.0.0/8 and `::`, which many systems take for this machine.
    Unspecified,
    /// Set aside for documentation, benchmarks, tunnels or the future (RFC 6890).
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
        })
    }
}

impl AddressKind {
    /// The kind of `address`, which must be [`canonical`].
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// The address that a packet sent to `address` arrives at: an IPv4 address written as IPv6
/// (IPv4-mapped, NAT64 of RFC 6052, 6to4 of RFC 3056) is taken out of its wrapping, so that no
/// notation slips past a rule.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => embedded(g, h),
        (0x2002, ..) => embedded(b, c),
        _ => address,
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        // The second is Azure's, on a public address; Oracle's is 192.0.0.192 and Alibaba's
        // 100.100.100.200.
        [169, 254, 169, 254]
        | [168, 63, 129, 16]
        | [169, 254, 170, 2 | 23]
        | [192, 0, 0, 192]
        | [100, 100, 100, 200] => AddressKind::Metadata,
        [0, ..] => AddressKind::Unspecified,
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        [100, 64..=127, ..] => AddressKind::CarrierNat,
        [169, 254, ..] => AddressKind::LinkLocal,
        [224..=239, ..] | [255, 255, 255, 255] => AddressKind::Multicast,
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressKind::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // Amazon's and Google's.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            AddressKind::Metadata
        }
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        // Within global unicast: protocol assignments with Teredo (2001::/23) and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        // Everything else is unallocated or has a local meaning (RFC 4291, RFC 8215).
        _ => AddressKind::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_special_range_is_known() {
        use AddressKind::*;
        for (text, kind) in [
            ("8.8.8.8", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("223.255.255.255", Public),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", CarrierNat),
            ("100.127.255.255", CarrierNat),
            ("169.254.0.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.254.170.2", Metadata),
            ("168.63.129.16", Metadata),
            ("100.100.100.200", Metadata),
            ("192.0.0.192", Metadata),
            ("192.0.2.1", Reserved),
            ("198.18.0.1", Reserved),
            ("203.0.113.9", Reserved),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Multicast),
            ("2606:4700::1111", Public),
            ("::", Unspecified),
            ("::1", Loopback),
            ("::127.0.0.1", Reserved),
            ("fe80::1", LinkLocal),
            ("fec0::1", Private),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fd20:ce::254", Metadata),
            ("ff02::1", Multicast),
            ("2001::1", Reserved),
            ("2001:db8::1", Reserved),
            ("3fff::1", Reserved),
            ("64:ff9b:1::1", Reserved),
            ("100::1", Reserved),
            ("4000::1", Reserved),
            // IPv4 in IPv6 clothes.
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.1.2.3", Private),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:8.8.8.8", Public),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b::8.8.8.8", Public),
            ("2002:7f00:1::", Loopback),
            ("2002:a9fe:a9fe::1", Metadata),
            ("2002:808:808::1", Public),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(AddressKind::of(canonical(address)), kind, "{text}");
        }
    }
    proptest! {
        #[test]
        fn every_notation_of_an_ipv4_address_is_of_its_kind(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            let kind = AddressKind::of(IpAddr::V4(v4));
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for wrapped in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(AddressKind::of(canonical(wrapped.into())), kind);
            }
        }

        #[test]
        fn what_the_standard_library_knows_as_special_is_not_public(bits in any::<u128>()) {
            for address in [IpAddr::V6(bits.into()), IpAddr::V4((bits as u32).into())] {
                let special = match address {
                    IpAddr::V4(v4) => {
                        v4.is_private() || v4.is_loopback() || v4.is_link_local()
                            || v4.is_multicast() || v4.is_unspecified() || v4.is_documentation()
                            || v4.is_broadcast()
                    }
                    IpAddr::V6(v6) => {
                        v6.is_loopback() || v6.is_multicast() || v6.is_unspecified()
                            || v6.is_unique_local() || v6.is_unicast_link_local()
                    }
                };
                if special {
                    prop_assert_ne!(AddressKind::of(canonical(address)), AddressKind::Public);
                }
            }
        }
    }
}
