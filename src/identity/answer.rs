//! Reading what a token endpoint answered.
//!
//! `azure_identity` reads an error's description as a borrowed string, so any JSON escape in it (and
//! Microsoft's have one, a line break) or an HTML page hides the status and the AADSTS code. So
//! answers are read here, before it sees them, and only a token gets through.

use serde::Deserialize;

use super::{
    refusal::Refusal,
    remedy,
    text::{one_line, without_secrets},
};

/// Ten years: no token lives so long, and adding much more to a date overflows in `azure_identity`.
const LONGEST_LIFE_SECONDS: i64 = 10 * 366 * 24 * 3_600;

/// A token's answer. Read as strictly as `azure_identity` does, which names neither status nor host
/// where it fails.
#[derive(Debug, Deserialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
    #[serde(default)]
    #[expect(dead_code, reason = "only its type matters")]
    token_type: String,
    #[serde(default)]
    #[expect(dead_code, reason = "only its type matters")]
    ext_expires_in: i64,
}

/// Everything that errors of the authority, the metadata service and App Service hold; each of them
/// fills in some. What has another type than expected is not worth failing for.
#[derive(Debug, Default)]
struct Refused {
    error: Option<String>,
    description: Option<String>,
    code: Option<u32>,
}

impl Refused {
    fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
            return Self::default();
        };
        let text = |name: &str| body.get(name)?.as_str().map(str::to_owned);
        let description = text("error_description").or_else(|| text("message"));
        let listed = body.pointer("/error_codes/0").and_then(serde_json::Value::as_u64);
        let code = listed
            .and_then(|code| u32::try_from(code).ok())
            .or_else(|| description.as_deref().and_then(remedy::aadsts_code));
        Self { error: text("error"), description, code }
    }
}

/// Checks that a 2xx answer of the authority is a token that `azure_identity` will understand.
pub(super) fn granted(from: &str, body: &[u8]) -> Result<(), Refusal> {
    // A list would be taken as well, for the fields in their order, which is another one there.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let usable = serde_json::from_slice::<Granted>(body).is_ok_and(|granted| {
        !granted.access_token.is_empty() && (0..=LONGEST_LIFE_SECONDS).contains(&granted.expires_in)
    });
    if is_object && usable { Ok(()) } else { Err(no_token(from)) }
}

/// A 2xx answer without a usable token. What it says instead is not shown: it may hold one.
pub(super) fn no_token(from: &str) -> Refusal {
    Refusal::transient(
        format!("{from} answered with success and something that is not a token"),
        "a proxy or portal between may have answered in its place: check AZURE_AUTHORITY_HOST and \
         HTTPS_PROXY",
    )
}

/// What a non-2xx answer of the authority means. `secrets` are what it was sent.
pub(super) fn refused_by_authority(
    from: &str,
    status: u16,
    body: &[u8],
    secrets: &[String],
) -> Refusal {
    let refused = Refused::read(body);
    let said = said(&refused, from, status, secrets);
    let away = Refusal::transient(
        said.clone(),
        "ask again later; the token endpoint has a fault or is too busy",
    );
    match (refused.code, status) {
        (_, 408 | 429 | 500..=599) => away,
        (Some(code), _) if remedy::passes(code) => away,
        (Some(code), _) => Refusal::lasting(said, remedy::of_aadsts(code)),
        (None, 300..=399) => Refusal::lasting(
            format!("{said}, which is not followed: a redirect would carry the secret elsewhere"),
            "check AZURE_AUTHORITY_HOST; a proxy that asks for a log-in answers like this, too",
        ),
        (None, 407) => Refusal::lasting(said, "the proxy wants a log-in: check HTTPS_PROXY"),
        (None, _) => Refusal::lasting(
            said,
            "this is not how Microsoft's token endpoint answers: check AZURE_AUTHORITY_HOST and \
             HTTPS_PROXY",
        ),
    }
}

/// What a non-2xx answer of a managed identity endpoint means.
///
/// With `hinted`, the environment says that there is an endpoint, and its word is final. Without,
/// the well-known address was merely tried: another cloud's metadata service refuses such requests
/// with 401, 403, 404 or 405, and Azure's says 400 where no identity is assigned to the machine;
/// either way there is no managed identity here. A busy Azure endpoint (404 while it is updated is
/// told by its JSON, 410, 429, 5xx) is there, and never a reason to become somebody else.
pub(super) fn refused_by_metadata(
    from: &str,
    status: u16,
    body: &[u8],
    secrets: &[String],
    hinted: bool,
) -> Refusal {
    let refused = Refused::read(body);
    let said = said(&refused, from, status, secrets);
    let azures = refused.error.is_some() || refused.description.is_some();
    match status {
        408 | 410 | 429 | 500..=599 => Refusal::transient(
            said,
            "ask again later; the managed identity endpoint is being updated or is too busy",
        ),
        404 if azures => Refusal::transient(said, "ask again in a minute; it is being updated"),
        400 => {
            let refusal = Refusal::lasting(
                said,
                "assign a managed identity to this resource, and for a user-assigned one set \
                 AZURE_CLIENT_ID to its client id",
            );
            if hinted { refusal } else { refusal.absent() }
        }
        _ => {
            let refusal = Refusal::lasting(
                said,
                "this is no managed identity endpoint of Azure: choose another kind in `[auth] kind`",
            );
            if hinted { refusal } else { refusal.absent() }
        }
    }
}

/// The answer in one line, with the AADSTS code and the status, whatever shape it has.
fn said(refused: &Refused, from: &str, status: u16, secrets: &[String]) -> String {
    let clean = |text: &str| one_line(&without_secrets(text, secrets));
    // Behind the sentence come trace id, correlation id and time, each on its own line.
    let sentence = refused
        .description
        .as_deref()
        .map(|text| clean(text.split("Trace ID:").next().unwrap_or(text)))
        .filter(|text| !text.is_empty());
    let coded = refused.code.map(|code| format!("AADSTS{code}"));
    let text = match (sentence, coded) {
        (Some(sentence), Some(coded)) if !names(&sentence, &coded) => {
            Some(format!("{coded}: {sentence}"))
        }
        (Some(sentence), _) => Some(sentence),
        (None, Some(coded)) => Some(coded),
        (None, None) => refused.error.as_deref().map(clean).filter(|text| !text.is_empty()),
    };
    match text {
        Some(text) => format!("{text} (HTTP {status} from {from})"),
        None => format!("{from} answered HTTP {status} without an error that can be read"),
    }
}

/// Whether the sentence has this very code, and not only one that begins like it.
fn names(sentence: &str, coded: &str) -> bool {
    sentence.split(coded).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
