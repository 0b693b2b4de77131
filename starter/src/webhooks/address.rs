//! Who is at the other end: the address that a request comes from, also behind proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;

use crate::state::StarterState;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever makes a request. `X-Forwarded-For` is believed as far as the proxies that are configured wrote
/// it: from its end, the first address that is none of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<StarterState> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &StarterState,
    ) -> Result<Self, Self::Rejection> {
        // Without a connection there is no address; nobody's list has this one.
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        Ok(Self(client(
            peer,
            &parts.headers,
            &state.config.trusted_proxies,
        )))
    }
}

/// The client's address, given the connection's other end.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let peer = plain(peer);
    if !is_proxy(&peer) {
        return peer;
    }
    // Several headers are one list, in order.
    let named: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut client = peer;
    for name in named.iter().rev() {
        // What is no address was not written by a proxy of ours.
        let Some(address) = parse(name) else {
            break;
        };
        client = address;
        if !is_proxy(&client) {
            break;
        }
    }
    client
}

/// An address as proxies write it: with a port or without.
fn parse(name: &str) -> Option<IpAddr> {
    let address = name
        .parse::<IpAddr>()
        .or_else(|_| name.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()?;
    Some(plain(address))
}

/// An IPv4 address that is written as IPv6, as IPv4.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// What is counted by: an IPv4 address, or the network of an IPv6 address that one customer has.
pub fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn only_proxies_that_are_configured_are_believed() {
        assert_eq!(seen("203.0.113.7", &["198.51.100.1"], &[]), "203.0.113.7");
        let ours = &["10.0.0.0/8"][..];
        assert_eq!(seen("203.0.113.7", &["198.51.100.1"], ours), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"], ours), "198.51.100.1");
        // What the client itself put in front counts for nothing.
        assert_eq!(
            seen("10.0.0.1", &["192.0.2.1, 198.51.100.1"], ours),
            "198.51.100.1"
        );
        assert_eq!(
            seen("10.0.0.1", &["192.0.2.1", "198.51.100.1, 10.0.0.2"], ours),
            "198.51.100.1"
        );
        assert_eq!(seen("10.0.0.1", &[], ours), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["10.0.0.3"], ours), "10.0.0.3");
    }

    #[test]
    fn odd_lists_do_no_harm() {
        let ours = &["10.0.0.0/8", "::1/128"][..];
        assert_eq!(seen("10.0.0.1", &["unknown"], ours), "10.0.0.1");
        assert_eq!(
            seen("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], ours),
            "10.0.0.2"
        );
        assert_eq!(
            seen("10.0.0.1", &["198.51.100.1:4711"], ours),
            "198.51.100.1"
        );
        assert_eq!(seen("::1", &["[2001:db8::7]:4711"], ours), "2001:db8::7");
        assert_eq!(
            seen("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], ours),
            "198.51.100.1"
        );
    }

    #[test]
    fn an_ipv6_customer_is_one_sender() {
        let counted = |text: &str| counted(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("198.51.100.1"), "198.51.100.1");
    }
}
