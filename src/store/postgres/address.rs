//! What a `postgres://` URL means. Everything in it is read here; nothing else reads it again.

use std::{net::IpAddr, path::PathBuf, str::FromStr as _, time::Duration};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};

use super::name::Name;
use crate::store::fault::Fault;

/// Options that mean here what they mean to libpq, and are read by `tokio_postgres`.
const PASSED_ON: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Options that are read here.
const OWN: &[&str] = &["passfile", "prepare", "schema", "sslmode", "sslrootcert"];

/// The port of a server that names none.
const PORT: u16 = 5432;

/// A quiet connection is probed after so long: sooner than the four minutes after which Azure's
/// load balancers, and many firewalls, forget it.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protection {
    /// Not at all.
    None,
    /// TLS; who answers must show a certificate that leads to a trusted one.
    Tls {
        /// The only certificates trusted; the machine's where it is none.
        roots: Option<PathBuf>,
        /// Whether the certificate must also be for the host's name.
        named: bool,
    },
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// A URL, understood.
#[derive(Debug)]
pub(super) struct Address {
    /// Settings of every connection, without a host.
    pub(super) settings: Config,
    /// The servers, in the order in which they are tried.
    pub(super) targets: Vec<Target>,
    pub(super) schema: Name,
    pub(super) protection: Protection,
    pub(super) password_file: Option<PathBuf>,
    /// Whether statements are kept prepared for a connection's life. Behind a pooler that gives
    /// each transaction another session, they would not be there, or be another process's.
    pub(super) prepare: bool,
    /// The URL as it may be shown.
    pub(super) shown: String,
}

impl Target {
    /// Whether what is sent to it stays on this machine.
    pub(super) fn is_local(&self) -> bool {
        match (&self.address, &self.host) {
            (_, Host::Unix(_)) => true,
            (Some(address), Host::Tcp(_)) => address.is_loopback(),
            (None, Host::Tcp(host)) => {
                host.eq_ignore_ascii_case("localhost")
                    || IpAddr::from_str(host).is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// The host as people write it.
    pub(super) fn name(&self) -> String {
        match &self.host {
            Host::Tcp(host) if host.contains(':') => format!("[{host}]"),
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        }
    }
}

impl Address {
    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let (own, passed_on) = split_options(url)?;
        let Ok(mut settings) = Config::from_str(&passed_on) else {
            // The parser's error may quote what it could not read, a mistyped password included.
            return Err(misnamed("has a URL that cannot be read"));
        };
        if settings.get_password().is_some() {
            return Err(Fault::new(
                "has a URL with a password in it, which process lists, logs and files would show",
                "take it out, and give it in PGPASSWORD or in a password file (`passfile=…` in \
                 the URL, or PGPASSFILE)",
            ));
        }
        // The driver takes the user's name for the database's. Where that is not in the URL either, each
        // user would have another ledger.
        let is_named = |name: Option<&str>| name.is_some_and(|name| !name.is_empty());
        if !is_named(settings.get_dbname()) && !is_named(settings.get_user()) {
            return Err(misnamed(
                "has a URL that names no database, so each user would have another",
            ));
        }
        let targets = targets(&settings)?;
        let schema = match own.iter().find(|(name, _)| name == "schema") {
            None => Name::default(),
            Some((_, name)) => Name::parse(name)?,
        };
        let protection = protection(&own, &targets)?;
        let prepare = match own.iter().find(|(name, _)| name == "prepare") {
            None => false,
            Some((_, value)) if value == "off" => false,
            Some((_, value)) if value == "on" => true,
            Some(_) => {
                return Err(Fault::new(
                    "has a URL with an unknown `prepare`",
                    "use on, where it leads to the server itself, or off",
                ));
            }
        };
        let file = |option: &str| {
            own.iter().find(|(name, _)| name == option).map(|(_, path)| PathBuf::from(path))
        };
        settings.ssl_mode(match protection {
            Protection::None => SslMode::Disable,
            Protection::Tls { .. } => SslMode::Require,
        });
        match settings.get_target_session_attrs() {
            TargetSessionAttrs::ReadOnly => {
                return Err(misnamed("has a URL that asks for a read-only server"));
            }
            // Of several servers the one that takes writes is meant.
            TargetSessionAttrs::Any if targets.len() > 1 => {
                settings.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
            TargetSessionAttrs::Any | TargetSessionAttrs::ReadWrite | _ => {}
        }
        if settings.get_application_name().is_none() {
            settings.application_name("startguard");
        }
        settings.keepalives_idle(settings.get_keepalives_idle().min(KEEPALIVE));
        let shown = shown(&settings, &targets, &schema);
        let settings = without_hosts(&settings);
        let password_file = file("passfile");
        Ok(Self { settings, targets, schema, protection, password_file, prepare, shown })
    }

    /// The settings of a connection to one of the servers.
    pub(super) fn settings_for(&self, target: &Target) -> Config {
        let mut settings = self.settings.clone();
        match &target.host {
            Host::Tcp(host) => settings.host(host),
            Host::Unix(path) => settings.host_path(path),
        };
        if let Some(address) = target.address {
            settings.hostaddr(address);
        }
        settings.port(target.port);
        settings
    }
}

fn misnamed(problem: &str) -> Fault {
    Fault::new(
        problem,
        "write it as `postgres://USER@HOST:PORT/DATABASE`, with options after a `?` (docs/stores.md \
         lists them)",
    )
}

/// The options that are read here, and the URL without them.
fn split_options(url: &str) -> Result<(Vec<(String, String)>, String), Fault> {
    let (base, options) = url.split_once('?').unwrap_or((url, ""));
    // Without its `//` the text would be read as a list of settings, a password among them.
    let place = base.split_once("://").filter(|(scheme, _)| {
        ["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    });
    let Some((_, place)) = place else {
        return Err(misnamed("has a URL that is not one of PostgreSQL's"));
    };
    let mut own: Vec<(String, String)> = Vec::new();
    let mut passed_on = format!("postgres://{place}");
    let mut joint = '?';
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if PASSED_ON.contains(&name) {
            passed_on.push(joint);
            passed_on.push_str(option);
            joint = '&';
        } else if OWN.contains(&name) && own.iter().all(|(known, _)| known != name) {
            let Ok(value) = percent_decode_str(value).decode_utf8() else {
                return Err(misnamed("has a URL that is not UTF-8"));
            };
            own.push((name.to_owned(), value.into_owned()));
        } else {
            return Err(refused(name));
        }
    }
    Ok((own, passed_on))
}

fn refused(name: &str) -> Fault {
    match name {
        "password" => Fault::new(
            "has a URL with a password in it, which process lists, logs and files would show",
            "take it out, and give it in PGPASSWORD or in a password file",
        ),
        "options" => Fault::new(
            "has a URL with `options`, which connection poolers do not pass on",
            "set them for the role instead: `ALTER ROLE … SET …`",
        ),
        name => {
            let known = PASSED_ON.iter().chain(OWN).copied();
            let nearest = known
                .map(|known| (strsim::damerau_levenshtein(known, name), known))
                .min()
                .map_or("", |(_, known)| known);
            // Only the name is shown: the value may be anything.
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            Fault::new(
                format!("has a URL with the option `{name}`, unknown or given twice"),
                format!("the nearest known one is `{nearest}`; docs/stores.md lists all"),
            )
        }
    }
}

fn targets(settings: &Config) -> Result<Vec<Target>, Fault> {
    let (hosts, addresses, ports) =
        (settings.get_hosts(), settings.get_hostaddrs(), settings.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(misnamed("has a URL that names no host"));
    }
    let fits = |given: usize| given == 0 || given == count;
    if !fits(hosts.len()) || !fits(addresses.len()) || !(fits(ports.len()) || ports.len() == 1) {
        return Err(misnamed("has a URL whose hosts, addresses and ports differ in number"));
    }
    Ok((0..count)
        .filter_map(|place| {
            let address = addresses.get(place).copied();
            let host =
                hosts.get(place).cloned().or_else(|| Some(Host::Tcp(address?.to_string())))?;
            let port = ports.get(place).or_else(|| ports.first()).copied().unwrap_or(PORT);
            Some(Target { host, address, port })
        })
        .collect())
}

/// What `sslmode` and `sslrootcert` ask for. Nothing here encrypts without knowing for whom: a
/// stranger on the way could be the one who answers.
fn protection(own: &[(String, String)], targets: &[Target]) -> Result<Protection, Fault> {
    let option = |name: &str| own.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
    let roots = option("sslrootcert").filter(|path| *path != "system").map(PathBuf::from);
    let tls = |named| Ok(Protection::Tls { roots: roots.clone(), named });
    if targets.iter().all(|target| matches!(target.host, Host::Unix(_))) {
        // Nothing leaves the machine, and PostgreSQL offers no TLS on a socket of the file system.
        return Ok(Protection::None);
    }
    match option("sslmode") {
        Some("disable") => Ok(Protection::None),
        Some("require" | "verify-full") => tls(true),
        Some("verify-ca") if roots.is_some() => tls(false),
        Some("verify-ca") => Err(Fault::new(
            "has a URL with `sslmode=verify-ca` and no `sslrootcert`: any certificate that some \
             public authority ever signed would do",
            "name your own authority's file in `sslrootcert`, or use `sslmode=verify-full`",
        )),
        Some("prefer" | "allow") => Err(Fault::new(
            "has a URL whose `sslmode` falls back to plain text when anyone on the way says so",
            "use `sslmode=verify-full`, or `sslmode=disable` where plain text is meant",
        )),
        Some(_) => Err(Fault::new(
            "has a URL with an unknown `sslmode`",
            "use verify-full, verify-ca, require (the same as verify-full) or disable",
        )),
        None if roots.is_none() && targets.iter().all(Target::is_local) => Ok(Protection::None),
        None => tls(true),
    }
}

/// Settings without hosts: they are set for each target anew.
fn without_hosts(settings: &Config) -> Config {
    let mut bare = Config::new();
    if let Some(user) = settings.get_user() {
        bare.user(user);
    }
    if let Some(database) = settings.get_dbname() {
        bare.dbname(database);
    }
    if let Some(name) = settings.get_application_name() {
        bare.application_name(name);
    }
    bare.ssl_mode(settings.get_ssl_mode())
        .ssl_negotiation(settings.get_ssl_negotiation())
        .target_session_attrs(settings.get_target_session_attrs())
        .channel_binding(settings.get_channel_binding())
        .load_balance_hosts(settings.get_load_balance_hosts())
        .keepalives(settings.get_keepalives())
        .keepalives_idle(settings.get_keepalives_idle());
    if let Some(timeout) = settings.get_connect_timeout() {
        bare.connect_timeout(*timeout);
    }
    if let Some(timeout) = settings.get_tcp_user_timeout() {
        bare.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = settings.get_keepalives_interval() {
        bare.keepalives_interval(interval);
    }
    if let Some(retries) = settings.get_keepalives_retries() {
        bare.keepalives_retries(retries);
    }
    bare
}

/// What cannot stand in a part of a URL as it is.
const PART: &AsciiSet =
    &CONTROLS.add(b' ').add(b'/').add(b'?').add(b'#').add(b'@').add(b':').add(b'%').add(b'&');

fn shown(settings: &Config, targets: &[Target], schema: &Name) -> String {
    let part = |text: &str| utf8_percent_encode(text, PART).to_string();
    let user = settings.get_user().map(|user| format!("{}@", part(user))).unwrap_or_default();
    let hosts: Vec<_> = targets
        .iter()
        .map(|target| {
            let name = match &target.host {
                Host::Tcp(_) => target.name(),
                Host::Unix(_) => part(&target.name()),
            };
            if target.port == PORT { name } else { format!("{name}:{}", target.port) }
        })
        .collect();
    let database = settings.get_dbname().map(part).unwrap_or_default();
    let schema =
        if *schema == Name::default() { String::new() } else { format!("?schema={schema}") };
    format!("postgres://{user}{}/{database}{schema}", hosts.join(","))
}

#[cfg(test)]
mod tests;
