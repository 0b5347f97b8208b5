//! Namespaces with addresses of their own, joined by two bridges: one leads to the database, one to
//! Graph. Nothing outside the namespaces is touched, and they go with the value.

use std::{fs, path::PathBuf, process::Command};

use super::links::{Side, Way};

/// Namespaces carry this and the id of the process that made them.
const PREFIX: &str = "startguard-";

/// Where Linux keeps the namespaces that have names.
const NAMES: &str = "/run/netns";

/// The namespaces of one test.
#[derive(Debug)]
pub(crate) struct Network {
    /// What all their names begin with.
    run: String,
    made: Vec<String>,
}

impl Network {
    /// A network of so many hosts, a server for each side, and the bridges; or why there is none.
    pub(crate) fn of(hosts: usize) -> Result<Self, String> {
        remove_left_over();
        let run = format!("{PREFIX}{}-", std::process::id());
        let mut network = Self { run, made: Vec::new() };
        network.make("switch")?;
        for side in Side::BOTH {
            network.make(side.name())?;
            network.on("switch", &["link", "add", side.bridge(), "type", "bridge"])?;
            network.on("switch", &["link", "set", side.bridge(), "up"])?;
        }
        for host in 0..hosts {
            network.make(&host_name(host))?;
        }
        for side in Side::BOTH {
            network.join(side.name(), side, &server_address(side))?;
            for host in 0..hosts {
                network.join(&host_name(host), side, &host_address(host, side))?;
            }
        }
        Ok(network)
    }

    fn make(&mut self, name: &str) -> Result<(), String> {
        let whole = self.full(name);
        ip(&["netns", "add", &whole])?;
        self.made.push(whole);
        self.on(name, &["link", "set", "lo", "up"])
    }

    /// A cable from a namespace to the bridge of a side.
    fn join(&self, name: &str, side: Side, address: &str) -> Result<(), String> {
        let port = port(name, side);
        let device = side.name();
        let far = self.full(name);
        let cable = ["link", "add", &port, "type", "veth", "peer", "name", device, "netns", &far];
        self.on("switch", &cable)?;
        self.on("switch", &["link", "set", &port, "master", side.bridge(), "up"])?;
        self.on(name, &["address", "add", &format!("{address}/24"), "dev", device])?;
        self.on(name, &["link", "set", device, "up"])
    }

    fn on(&self, name: &str, args: &[&str]) -> Result<(), String> {
        let whole = self.full(name);
        let mut all = vec!["-n", &whole];
        all.extend(args);
        ip(&all)
    }

    /// A namespace's name, as `ip netns exec` takes it.
    pub(crate) fn full(&self, name: &str) -> String {
        format!("{}{name}", self.run)
    }

    /// The file by which a thread enters a namespace.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(NAMES).join(self.full(name))
    }

    /// Cuts a host off from a side, or lets it reach it again.
    pub(crate) fn set(&self, host: usize, side: Side, way: Way, cut: bool) {
        let name = host_name(host);
        let state = if cut { "down" } else { "up" };
        let done = match way {
            // The host itself sees it: what it sends fails at once.
            Way::Unplugged => self.on(&name, &["link", "set", side.name(), state]),
            // Packets of both directions vanish without a word.
            Way::Silent => self.on("switch", &["link", "set", &port(&name, side), state]),
            // What the host sends arrives; what it is answered does not.
            Way::NoAnswers => {
                let verb = if cut { "add" } else { "del" };
                let route = format!("{}/32", host_address(host, side));
                self.on(side.name(), &["route", verb, "blackhole", &route])
            }
        };
        assert_eq!(done, Ok(()), "host {host}, {side:?}, {way:?}, {state}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.made {
            // The rest should go all the same; the next run sweeps what stays.
            ip(&["netns", "del", name]).ok();
        }
    }
}

/// Removes what runs left behind that were killed.
fn remove_left_over() {
    for entry in fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(Ok(process)) = process.map(str::parse::<u32>) else { continue };
        if !PathBuf::from(format!("/proc/{process}")).exists() {
            ip(&["netns", "del", &name]).ok();
        }
    }
}

pub(crate) fn host_name(host: usize) -> String {
    format!("host{host}")
}

/// The bridge's end of a cable.
fn port(name: &str, side: Side) -> String {
    format!("{name}-{}", side.name())
}

/// Private addresses, which nobody outside the namespaces sees.
fn address(side: Side, number: usize) -> String {
    let network = match side {
        Side::Database => 1,
        Side::Graph => 2,
    };
    format!("10.83.{network}.{number}")
}

pub(crate) fn server_address(side: Side) -> String {
    address(side, 1)
}

pub(crate) fn network_address(side: Side) -> String {
    format!("{}/24", address(side, 0))
}

fn host_address(host: usize, side: Side) -> String {
    address(side, 10 + host)
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
