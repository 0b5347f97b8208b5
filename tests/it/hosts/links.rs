//! What lies between a host and the two services, and how it is cut.

use std::net::SocketAddr;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::network::Network;

/// The service at the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Database,
    Graph,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Database, Self::Graph];

    /// The name of its namespace, and of the device that leads to it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Database => "db",
            Self::Graph => "graph",
        }
    }

    pub(crate) fn bridge(self) -> &'static str {
        match self {
            Self::Database => "db-bridge",
            Self::Graph => "graph-bridge",
        }
    }
}

/// How a link is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The host's own device is down.
    Unplugged,
    /// Nothing arrives, in either direction, and nobody is told.
    Silent,
    /// What the host sends arrives, the answers do not.
    NoAnswers,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Unplugged, Self::Silent, Self::NoAnswers];
}

/// The links of all hosts.
#[derive(Debug)]
pub(crate) enum Links {
    /// Real ones.
    Network(Network),
    /// Where no namespaces can be made: per host a proxy to the database and one to Graph.
    Gates(Vec<[Gate; 2]>),
}

impl Links {
    /// Cuts a host off from a side, or lets it reach it again.
    pub(crate) fn set(&self, host: usize, side: Side, way: Way, cut: bool) {
        match self {
            Self::Network(network) => network.set(host, side, way, cut),
            // A gate knows one way.
            Self::Gates(gates) => gates[host][side as usize].set(cut),
        }
    }
}

/// A proxy that can be shut.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) port: u16,
    shut: watch::Sender<bool>,
}

impl Gate {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (shut, watched) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut outer, _)) = listener.accept().await {
                let mut watched = watched.clone();
                if *watched.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let pass = async {
                        let mut inner = TcpStream::connect(address).await?;
                        outer.set_nodelay(true).and(inner.set_nodelay(true))?;
                        tokio::io::copy_bidirectional(&mut outer, &mut inner).await
                    };
                    tokio::select! {
                        ended = pass => drop(ended),
                        shut = watched.wait_for(|shut| *shut) => drop(shut.map(|_| ())),
                    }
                });
            }
        });
        Self { port, shut }
    }

    fn set(&self, shut: bool) {
        self.shut.send_replace(shut);
    }
}
