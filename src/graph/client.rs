//! The HTTP clients: a pooled one for reads, and one for each start that does nothing but send it.
#![expect(
    clippy::disallowed_methods,
    reason = "the place where Graph's clients are built, with every trap closed"
)]

use std::time::Duration;

use reqwest::{
    Client, ClientBuilder,
    header::{ACCEPT, HeaderMap, HeaderValue},
    redirect, retry,
};

use super::{GraphSettings, origin::Origin};

const USER_AGENT: &str = concat!("startguard/", env!("CARGO_PKG_VERSION"));

/// What both clients offer in TLS. The same for both: what the read has just shown to work, the
/// POST works over as well; a gateway that speaks only one of them would otherwise fail every
/// start behind a good read. That a POST goes out once does not rest on the version: see
/// [`Clients::build`].
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The shortest time between two pings of a busy HTTP/2 connection: servers take faster ones for
/// an attack.
const SHORTEST_PING: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Clients {
    /// For GETs. Keeps its connections, for controllers that live for months.
    pub(super) reads: Client,
    /// For the POST.
    pub(super) starts: Starts,
}

/// Makes the client of each POST: a new one, since how long it may take to connect is another each
/// time.
#[derive(Clone)]
pub(super) struct Starts {
    /// A clone shares the cache of TLS sessions, so the POST's own connection resumes the read's.
    tls: rustls::ClientConfig,
    origin: Origin,
    connect_timeout: Duration,
}

impl Clients {
    /// Builds what both need. A client costs less than a tenth of a millisecond; reading the
    /// machine's certificates, which costs forty times that, is the maker of `tls`'s business and
    /// done once.
    pub(super) fn build(
        settings: &GraphSettings,
        tls: rustls::ClientConfig,
        origin: &Origin,
    ) -> Result<Self, reqwest::Error> {
        // A dead connection is found out before the try that hangs on it is over, so that its
        // repeat opens another one.
        let ping = (settings.request_timeout / 4).max(SHORTEST_PING);
        let reads = basic(tls.clone(), origin)
            .connect_timeout(settings.connect_timeout)
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping)
            .build()?;
        let connect_timeout = settings.connect_timeout.min(settings.request_timeout / 2);
        let starts = Starts { tls, origin: origin.clone(), connect_timeout };
        // What is wrong with the settings shows now, and not at the first start.
        let _client: Client = starts.client(connect_timeout)?;
        Ok(Self { reads, starts })
    }
}

impl Starts {
    /// A client for one POST, which leaves within `left` or not at all: a connection that does not
    /// stand by then is given up.
    pub(super) fn client(&self, left: Duration) -> Result<Client, reqwest::Error> {
        basic(self.tls.clone(), &self.origin)
            // Without a pool a POST never meets a connection that the server is just closing, and
            // shares none over HTTP/2.
            .pool_max_idle_per_host(0)
            // Half a request at the most. A connect that fails by its own deadline proves that
            // nothing was sent; one that is cut by the deadline of the whole request proves nothing.
            .connect_timeout(self.connect_timeout.min(left))
            .build()
    }
}

/// What both have in common.
fn basic(mut tls: rustls::ClientConfig, origin: &Origin) -> ClientBuilder {
    tls.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .default_headers(headers)
        // A redirect of a POST sends it again (307) or makes a GET of it whose success looks like
        // a start (302); a redirect to another host takes along what it should not.
        .redirect(redirect::Policy::none())
        .referer(false)
        // By default a refused HTTP/2 stream is repeated: three POSTs for one call. Of the reads,
        // every request is one that is counted.
        .retry(retry::never())
        // A small body can unpack to any size. Said here as well as by leaving the features out,
        // since another crate in the tree could turn them on.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .https_only(origin.is_https());
    // What the environment says of proxies is not meant for this machine itself.
    if origin.is_loopback() { builder.no_proxy() } else { builder }
}
