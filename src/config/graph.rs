//! `[graph]`: which Graph, and how it is asked.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use super::{
    ConfigError, Environment, bounds,
    layers::required,
    origin::For,
    written::{CountBounds, Layer, Written},
};
use crate::model::Cloud;

/// `[graph]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSection {
    /// Whose tokens and, without an endpoint, whose Graph.
    pub cloud: Cloud,
    /// Scheme, host and port, without a slash at the end.
    pub origin: String,
    /// Deadline of one request.
    pub request_timeout: Duration,
    /// Deadline of making a connection; at most `request_timeout`.
    pub connect_timeout: Duration,
    /// Certificates to trust beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Steady pace of requests of one process.
    pub requests_per_second: NonZeroU32,
    /// How many may go out at once before the pace binds.
    pub burst: NonZeroU32,
    /// How often a failed read is repeated.
    pub read_retries: u32,
}

impl GraphSection {
    pub(super) fn read(
        layer: &Layer,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let cloud: Cloud = required(layer, "cloud")?.choice()?;
        let origin = match layer.get("endpoint") {
            Some(written) => {
                let origin = written.origin_of(For::Graph)?;
                warnings.extend(foreign(written, &origin, cloud));
                origin
            }
            None => cloud.graph_origin().to_owned(),
        };
        let request_timeout =
            required(layer, "request_timeout")?.duration(&bounds::REQUEST_TIMEOUT)?;
        let connect_timeout =
            connect_timeout(required(layer, "connect_timeout")?, request_timeout)?;
        let ca_file = layer.get("ca_file").map(|written| file(written, environment)).transpose()?;
        Ok(Self {
            cloud,
            origin,
            request_timeout,
            connect_timeout,
            ca_file,
            requests_per_second: at_least_one(layer, "requests_per_second", bounds::REQUESTS)?,
            burst: at_least_one(layer, "burst", bounds::REQUESTS)?,
            read_retries: required(layer, "read_retries")?.count(bounds::READ_RETRIES)?,
        })
    }
}

/// A count whose bounds begin at one.
pub(super) fn at_least_one(
    layer: &Layer,
    key: &str,
    bounds: CountBounds,
) -> Result<NonZeroU32, ConfigError> {
    let written = required(layer, key)?;
    NonZeroU32::new(written.count(bounds)?)
        .ok_or_else(|| written.refuse("is zero", "write at least 1"))
}

/// A default that is longer than the whole request gives way; a wish that is, is a contradiction.
fn connect_timeout(written: &Written, request: Duration) -> Result<Duration, ConfigError> {
    let connect = written.duration(&bounds::CONNECT_TIMEOUT)?;
    if connect <= request {
        return Ok(connect);
    }
    if !written.is_explicit() {
        return Ok(request);
    }
    let whole = humantime::format_duration(request);
    Err(written.refuse(
        format_args!("is longer than the whole request may take (`request_timeout`, {whole})"),
        format!("set `connect_timeout` to at most {whole}, or raise `request_timeout`"),
    ))
}

fn file(written: &Written, environment: &Environment) -> Result<PathBuf, ConfigError> {
    let text = written.text()?;
    if text.is_empty() {
        return Err(written.refuse("names no file", "name a PEM file, or remove `ca_file`"));
    }
    Ok(PathBuf::from(written.expanded(text, environment)?))
}

/// Says so when the endpoint is the Graph of a cloud whose tokens are not the ones asked for.
fn foreign(written: &Written, origin: &str, cloud: Cloud) -> Option<String> {
    let owner = Cloud::ALL.into_iter().find(|owner| owner.graph_origin() == origin)?;
    (owner != cloud).then(|| {
        format!(
            "{} is the Graph of the cloud {owner}, but tokens come from the cloud {cloud} and are \
             worth nothing there; set `cloud` to {owner}",
            written.place()
        )
    })
}
