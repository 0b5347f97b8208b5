//! Bodies, read no further than anyone needs.

use reqwest::Response;

/// The longest body that is read, in bytes. A job is some kilobytes and a page of a hundred jobs
/// less than a megabyte; what is longer is not Graph.
pub const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// The longest body of an error that is read: Graph's are a few hundred bytes.
pub(super) const LONGEST_ERROR: usize = 64 * 1024;

/// Room that is made before the first byte arrives; a `Content-Length` is a claim, not a size.
const FIRST_ROOM: usize = 16 * 1024;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyFault {
    /// It is longer than the cap, by its own word or by count.
    TooLong,
    /// It broke off.
    Broken(reqwest::Error),
}

/// Reads a body of at most `cap` bytes. How long that may take is the request's deadline.
pub(super) async fn read(mut response: Response, cap: usize) -> Result<Vec<u8>, BodyFault> {
    let told = response.content_length().map(usize::try_from);
    match told {
        Some(Ok(told)) if told <= cap => {}
        Some(_) => return Err(BodyFault::TooLong),
        None => {}
    }
    let mut body = Vec::with_capacity(cap.min(FIRST_ROOM));
    while let Some(piece) = response.chunk().await.map_err(BodyFault::Broken)? {
        if piece.len() > cap.saturating_sub(body.len()) {
            return Err(BodyFault::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
