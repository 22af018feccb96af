//! Where publishers listen when the daemon is reached over tcp, and under which address the others reach
//! this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use super::identity;

/// The first port of publishers, and how many there are: below those that Linux hands out itself.
const PORTS: (u16, u16) = (20_000, 10_000);
/// How many ports are tried: two topics may have the same one.
const ATTEMPTS: u16 = 100;

/// The ports for the publisher of `topic` in `node`, to be tried in this order: the first is always the
/// same for the same two names, and so is the next one while that is taken.
///
/// It is 20,000 + FNV-1a of both names modulo 10,000.
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
pub(crate) struct Far {
    /// `host:port`.
    place: String,
    /// Known at once where the host is given by number; otherwise asked for, once.
    address: Option<SocketAddr>,
}

impl Far {
    /// From the `host:port` of a tcp address.
    pub(crate) fn new(place: &str) -> Self {
        let local = place.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let local = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self { place: place.to_owned(), address: place.parse().ok().or(local) }
    }

    /// What a publisher binds to on a port: this machine alone, if the daemon is here for this machine
    /// alone; otherwise all interfaces, so that it works whichever leads to the others by and by.
    pub(crate) fn bind_address(&self, port: u16) -> String {
        match self.address {
            Some(at) if at.ip().is_loopback() => {
                format!("tcp://{}", SocketAddr::new(at.ip(), port))
            }
            Some(SocketAddr::V6(_)) => format!("tcp://[::]:{port}"),
            _ => format!("tcp://0.0.0.0:{port}"),
        }
    }

    /// The address of this machine that leads to the other one, as far as it is known without asking
    /// for a name.
    pub(crate) fn known_local_ip(&self) -> Option<IpAddr> {
        local_ip(self.address?).ok()
    }

    /// The address of this machine that leads to the other one.
    ///
    /// May ask for a name, which takes time; once it is found it is not asked for again.
    ///
    /// # Errors
    /// When there is no way to the other machine, or its name is not known.
    pub(crate) fn local_ip(&mut self) -> io::Result<IpAddr> {
        let address = match self.address {
            Some(address) => address,
            // As libzmq, which connects by IPv4 unless the address says otherwise.
            None => {
                let mut found = self.place.to_socket_addrs()?;
                let first = found.find(SocketAddr::is_ipv4);
                *self.address.insert(first.ok_or(io::ErrorKind::AddrNotAvailable)?)
            }
        };
        local_ip(address)
    }
}

/// What the others call a port of this machine.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Who asks.
    pub(crate) far: Far,
    /// The port that is bound.
    pub(crate) port: u16,
}

impl Reach {
    /// The address to connect to from the other machine, as it is now.
    ///
    /// # Errors
    /// As [`Far::local_ip`].
    pub(crate) fn address(&mut self) -> io::Result<String> {
        let ip = self.far.local_ip()?;
        Ok(self.with(ip))
    }

    /// The same, where it is known without asking for a name.
    pub(crate) fn known_address(&self) -> Option<String> {
        self.far.known_local_ip().map(|ip| self.with(ip))
    }

    fn with(&self, ip: IpAddr) -> String {
        format!("tcp://{}", SocketAddr::new(ip, self.port))
    }
}

/// Asks the kernel which way it would go; nothing is sent.
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
    fn a_topic_port_is_a_function_of_node_and_topic_with_others_to_fall_back_on() {
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
    fn a_daemon_of_this_machine_alone_has_publishers_of_this_machine_alone() {
        for (place, bound) in [
            ("127.0.0.1:5", "tcp://127.0.0.1:7"),
            ("localhost:5", "tcp://127.0.0.1:7"),
            ("[::1]:5", "tcp://[::1]:7"),
            ("192.0.2.1:5", "tcp://0.0.0.0:7"),
            ("[2001:db8::1]:5", "tcp://[::]:7"),
            ("robot.example:5", "tcp://0.0.0.0:7"),
        ] {
            assert_eq!(Far::new(place).bind_address(7), bound, "{place}");
        }
    }

    #[test]
    fn the_way_to_this_machine_is_its_loopback() {
        let mut here = Far::new("127.0.0.1:5");
        assert_eq!(here.known_local_ip(), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(here.local_ip().unwrap(), Ipv4Addr::LOCALHOST);
        // A name is asked for only where that may take its time.
        let mut named = Far { address: None, ..Far::new("localhost:5") };
        assert_eq!(named.known_local_ip(), None);
        assert!(named.local_ip().unwrap().is_loopback());
    }
}
