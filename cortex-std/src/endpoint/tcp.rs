//! The ports of publishers over tcp, and the address under which other machines reach this one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;

use super::{Endpoint, EndpointError, identity};

/// The first port of publishers and their number: below the ports that Linux assigns on its own.
const PORTS: (u16, u16) = (20_000, 10_000);
/// The number of ports to try: two topics may have the same first one.
const ATTEMPTS: u16 = 100;

/// The ports for the publisher of `topic` in `node`, to be tried in this order: a function of the two
/// names.
///
/// The first is 20,000 + FNV-1a of both names modulo 10,000.
pub(crate) fn topic_ports(node: &str, topic: &str) -> impl Iterator<Item = u16> {
    let (first, count) = PORTS;
    let offset = identity(node, topic) % u64::from(count);
    (0..u64::from(ATTEMPTS)).filter_map(move |attempt| {
        let offset = offset.wrapping_add(attempt) % u64::from(count);
        first.checked_add(u16::try_from(offset).ok()?)
    })
}

/// The machine on which the daemon listens.
#[derive(Debug, Clone)]
pub(crate) struct RemoteHost {
    /// `host:port`.
    place: String,
    /// Known at once for a numeric host; otherwise resolved once.
    address: Option<SocketAddr>,
}

impl RemoteHost {
    /// From the `host:port` of a tcp address.
    pub(crate) fn new(place: &str) -> Self {
        let local = place.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let local = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self { place: place.to_owned(), address: place.parse().ok().or(local) }
    }

    /// The address that a publisher binds on a port: the loopback interface if the daemon is there;
    /// otherwise all interfaces, since routes may change.
    pub(crate) fn bind_address(&self, port: u16) -> String {
        match self.address {
            Some(at) if at.ip().is_loopback() => {
                format!("tcp://{}", SocketAddr::new(at.ip(), port))
            }
            Some(SocketAddr::V4(_)) => format!("tcp://0.0.0.0:{port}"),
            // A name may turn out to have an IPv6 address only; this binds to both.
            Some(SocketAddr::V6(_)) | None if has_ipv6() => format!("tcp://[::]:{port}"),
            _ => format!("tcp://0.0.0.0:{port}"),
        }
    }

    /// The address of this machine on the route to the remote host, where that needs no name resolution.
    pub(crate) fn known_local_ip(&self) -> Option<IpAddr> {
        local_ip(self.address?).ok()
    }

    /// The address of this machine on the route to the remote host.
    ///
    /// May resolve a name, which takes time; the result is kept.
    ///
    /// # Errors
    /// When there is no route to the remote host, or its name is unknown.
    pub(crate) fn local_ip(&mut self) -> io::Result<IpAddr> {
        let address = match self.address {
            Some(address) => address,
            None => *self.address.insert(resolve(&self.place)?),
        };
        local_ip(address)
    }
}

/// The address of a name, IPv4 first: libzmq connects over IPv4 unless the address is an IPv6 one.
///
/// # Errors
/// When the name is unknown or has no address.
fn resolve(place: &str) -> io::Result<SocketAddr> {
    let found: Vec<_> = place.to_socket_addrs()?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// The IPv6 address of a name that has no IPv4 address; `None` for any other host. May take time.
pub(crate) fn ipv6_of(place: &str) -> Option<SocketAddr> {
    let is_numeric = place.parse::<SocketAddr>().is_ok() || place.starts_with("localhost:");
    if is_numeric { None } else { resolve(place).ok().filter(SocketAddr::is_ipv6) }
}

/// The address to bind for a tcp address: that of its interface where the host is a name. libzmq binds to
/// addresses and names of interfaces only.
///
/// # Errors
/// `UnknownHost`.
fn bindable(place: &str) -> Result<String, EndpointError> {
    let Some((host, port)) = place.rsplit_once(':') else { return Ok(place.to_owned()) };
    let is_numeric = host.parse::<Ipv4Addr>().is_ok() || host.starts_with('[');
    if host == "*" || is_numeric || Path::new("/sys/class/net").join(host).exists() {
        return Ok(place.to_owned());
    }
    let unknown = |source| EndpointError::UnknownHost { host: host.to_owned(), source };
    match resolve(&format!("{host}:0")).map_err(unknown)?.ip() {
        IpAddr::V4(ip) => Ok(format!("{ip}:{port}")),
        IpAddr::V6(ip) => Ok(format!("[{ip}]:{port}")),
    }
}

impl Endpoint {
    /// The address to bind, for libzmq: a host name is resolved.
    ///
    /// # Errors
    /// `UnknownHost`.
    pub(crate) fn bind_address(&self) -> Result<String, EndpointError> {
        match self {
            Self::Tcp(place) => Ok(format!("tcp://{}", bindable(place)?)),
            other => Ok(other.to_string()),
        }
    }
}

/// Whether this machine has an IPv6 address.
fn has_ipv6() -> bool {
    std::fs::read("/proc/net/if_inet6").is_ok_and(|addresses| !addresses.is_empty())
}

/// A port of this machine as other machines address it.
#[derive(Debug)]
pub(crate) struct AdvertisedAddress {
    /// The host that connects.
    pub(crate) remote: RemoteHost,
    /// The port that is bound.
    pub(crate) port: u16,
}

impl AdvertisedAddress {
    /// The current address to connect to from the remote host.
    ///
    /// # Errors
    /// As [`RemoteHost::local_ip`].
    pub(crate) fn address(&mut self) -> io::Result<String> {
        let ip = self.remote.local_ip()?;
        Ok(self.with(ip))
    }

    /// The same, where that needs no name resolution.
    pub(crate) fn known_address(&self) -> Option<String> {
        self.remote.known_local_ip().map(|ip| self.with(ip))
    }

    fn with(&self, ip: IpAddr) -> String {
        format!("tcp://{}", SocketAddr::new(ip, self.port))
    }
}

/// The source address of a route, from the kernel; nothing is sent.
fn local_ip(far: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match far {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(far)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn topic_ports_are_a_function_of_node_and_topic() {
        let ports: Vec<u16> = topic_ports("camera", "/cam/frame").collect();
        assert_eq!(ports[0], 25_094);
        assert_eq!(ports, topic_ports("camera", "/cam/frame").collect::<Vec<_>>());
        assert_ne!(ports[0], topic_ports("camera", "/cam/depth").next().unwrap());
        for number in 0..300 {
            let ports: HashSet<u16> = topic_ports("n", &format!("/t{number}")).collect();
            assert_eq!(ports.len(), usize::from(ATTEMPTS));
            assert!(ports.iter().all(|port| (20_000..30_000).contains(port)));
        }
    }

    #[test]
    fn publishers_of_a_loopback_daemon_bind_to_loopback() {
        // Of both kinds, on a machine that has both.
        let any = if has_ipv6() { "tcp://[::]:7" } else { "tcp://0.0.0.0:7" };
        for (place, bound) in [
            ("127.0.0.1:5", "tcp://127.0.0.1:7"),
            ("localhost:5", "tcp://127.0.0.1:7"),
            ("[::1]:5", "tcp://[::1]:7"),
            ("192.0.2.1:5", "tcp://0.0.0.0:7"),
            ("[2001:db8::1]:5", any),
            ("robot.example:5", any),
        ] {
            assert_eq!(RemoteHost::new(place).bind_address(7), bound, "{place}");
        }
    }

    #[test]
    fn a_name_is_bound_as_the_address_of_its_interface() {
        for (place, bound) in [
            ("localhost:5", "127.0.0.1:5"),
            ("localhost:*", "127.0.0.1:*"),
            ("lo:5", "lo:5"),
            ("*:5", "*:5"),
            ("0.0.0.0:5", "0.0.0.0:5"),
            ("[::1]:5", "[::1]:5"),
        ] {
            assert_eq!(bindable(place).unwrap(), bound);
        }
        let error = bindable("no-such-host.invalid:5").unwrap_err();
        assert_eq!(error.to_string(), "the host name \"no-such-host.invalid\" is unknown");
        assert_eq!(ipv6_of("127.0.0.1:5"), None);
        assert_eq!(ipv6_of("localhost:5"), None);
    }

    #[test]
    fn the_route_to_this_machine_is_loopback() {
        let mut here = RemoteHost::new("127.0.0.1:5");
        assert_eq!(here.known_local_ip(), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(here.local_ip().unwrap(), Ipv4Addr::LOCALHOST);
        // A name is resolved only where the caller accepts the delay.
        let mut named = RemoteHost { address: None, ..RemoteHost::new("localhost:5") };
        assert_eq!(named.known_local_ip(), None);
        assert!(named.local_ip().unwrap().is_loopback());
    }
}
