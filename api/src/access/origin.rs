//! From where a request comes.

use std::net::{IpAddr, Ipv6Addr};

/// So many of the bits of an address of IPv6 are the network of one subscriber: homes are given a /56, and whoever has one
/// has 2^72 addresses.
const SUBSCRIBER: u32 = 56;

/// From where a request came: put into its extensions by whoever accepted the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) IpAddr);

impl Origin {
    /// The network that one subscriber has, by its first address; of IPv4, the address itself.
    pub(crate) fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => {
                let mask = u128::MAX << (Ipv6Addr::BITS - SUBSCRIBER);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
            address => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_is_one_however_many_addresses_they_have() {
        for (address, network) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2ff::7", "2001:db8:1:200::"),
            ("2001:db8:1:200:1234::", "2001:db8:1:200::"),
        ] {
            let origin = Origin(address.parse().unwrap());
            assert_eq!(origin.network().to_string(), network);
        }
    }
}
