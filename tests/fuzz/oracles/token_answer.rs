//! What a token endpoint says, or whatever answers in its place.
//!
//! The input's first line is the status, and the rest the body.

use std::error::Error as _;

use secrecy::ExposeSecret as _;
use startguard::{
    clock::SystemClock,
    identity::fuzz::{Asked, Told, answer},
    model::Timestamp,
    ports::{Clock as _, IdentityError, Token},
};

use super::{
    json::{self, Json, Read},
    text::{acts, fit_to_show},
};

/// The secret that is sent, as it is and as a form has it.
const SECRET: [&str; 2] = ["fuzz~8Q.s3cret/canary", "fuzz%7E8Q.s3cret%2Fcanary"];

const AUTHORITY: &str = "https://login.microsoftonline.com";
const METADATA: &str = "http://169.254.169.254";

/// Longest text that is kept of an answer, and the mark that it was cut.
const LONGEST: usize = 301;

/// Ten years of seconds.
const LONGEST_LIFE: i64 = 10 * 366 * 86_400;

/// The AADSTS codes that Microsoft calls a fault of its own, or that ask to wait.
const PASSING: [u32; 5] = [50_196, 90_006, 90_024, 90_033, 90_055];

/// Checks one answer, as the authority's and as that of a managed identity endpoint.
pub fn check(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = input.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let status = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
    // Below are answers that go before the answer.
    let status = status.filter(|status| (200..=999).contains(status)).unwrap_or(400);
    let read = json::read(body);

    let told = answer(Asked::Authority(SECRET[0]), status, body);
    fit(&told, &SECRET);
    assert!(!told.absent, "the authority is never a reason to be somebody else: {told:?}");
    if (200..=299).contains(&status) {
        granted(&told, read.as_ref());
    } else {
        refused_by_authority(&told, status, read.as_ref());
    }
    for hinted in [true, false] {
        let told = answer(Asked::Metadata { hinted }, status, body);
        // It was sent none.
        fit(&told, &[]);
        if (200..=299).contains(&status) {
            granted_by_metadata(&told, read.as_ref());
        } else {
            refused_by_metadata(&told, status, hinted, read.as_ref());
        }
    }
}

/// Asked once; and what shows of it is bounded, acts on nothing, and holds nothing secret.
fn fit(told: &Told, secrets: &[&str]) {
    assert_eq!(told.asked, 1, "{told:?}");
    match &told.token {
        Ok(token) => {
            assert!(!told.absent);
            let secret = token.secret.expose_secret();
            // A short one may well be a word of the frame around it.
            assert!(secret.len() < 40 || !format!("{told:?}").contains(secret), "{told:?}");
            assert!(!secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Err(error) => {
            assert!(error.source().is_none(), "{error:?}");
            fit_to_show("a problem", &error.problem, LONGEST + 140);
            fit_to_show("a remedy", &error.remedy, 300);
            fit_to_show("an error", &error.to_string(), LONGEST + 300);
            fit_to_show("an error in full", &format!("{told:?}"), 2 * LONGEST + 700);
            for text in [&error.problem, &error.remedy, &format!("{told:?}")] {
                assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
                assert!(!holds_token(text), "{text}");
            }
            assert!(!error.problem.is_empty() && !error.remedy.is_empty());
        }
    }
}

/// Whether something begins as JSON web tokens do and goes on like one: 20 characters and more.
fn holds_token(text: &str) -> bool {
    text.match_indices("eyJ").any(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default().bytes();
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(byte);
        rest.take_while(part).count() >= 20
    })
}

/// Whether a text can be a token in a header.
fn is_bearer(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\u{c}']);
    !text.is_empty()
        && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte))
        && !text.to_ascii_lowercase().starts_with("bearer ")
}

fn is_token(token: &Token, text: &str) -> bool {
    token.secret.expose_secret() == text.trim_matches([' ', '\t', '\n', '\r', '\u{c}'])
}

/// Nothing of a success is shown, whatever it holds.
fn says_no_token(error: &IdentityError, from: &str, found: Option<&str>) {
    if error.problem.starts_with("the token that it gave ") {
        assert!(found.is_some_and(|text| !is_bearer(text)), "{error:?}");
        assert!(!error.transient, "{error:?}");
    } else {
        let wanted = format!("{from} answered with success and something that is not a token");
        assert_eq!(error.problem, wanted);
        assert!(error.transient, "{error:?}");
    }
}

/// The authority's token and the seconds that it lives, each said once.
fn token_in(value: &Json) -> Option<(&str, i64)> {
    let token = value.only("access_token")?.text().filter(|token| !token.is_empty())?;
    let life =
        value.only("expires_in")?.whole().filter(|life| (0..=LONGEST_LIFE).contains(life))?;
    // What `azure_identity` reads besides, it reads in its type alone.
    let kind = value.all("token_type").next().is_none()
        || value.only("token_type").is_some_and(|kind| kind.text().is_some());
    let longer = value.all("ext_expires_in").next().is_none()
        || value.only("ext_expires_in").is_some_and(|life| life.whole().is_some());
    (kind && longer).then_some((token, life))
}

fn granted(told: &Told, read: Option<&Read>) {
    let found = read.and_then(|read| token_in(&read.value));
    match (&told.token, found) {
        (Ok(token), Some((text, life))) => {
            assert!(is_token(token, text), "another token than {text:?}");
            let now = SystemClock.wall().as_second();
            let ends = token.expires_at.map(Timestamp::as_second).unwrap_or_default();
            // An hour for whoever sets the clock just now.
            assert!((ends - now - life).abs() < 3_600, "{token:?} lives {life} s");
        }
        (Ok(token), None) => unreachable!("no token is in it, and {token:?} was made of it"),
        (Err(error), found) => {
            says_no_token(error, AUTHORITY, found.map(|(text, _)| text));
            if read.is_some_and(|read| read.plain) {
                assert!(found.is_none_or(|(text, _)| !is_bearer(text)), "{error:?}");
            }
        }
    }
}

fn granted_by_metadata(told: &Told, read: Option<&Read>) {
    assert!(!told.absent, "{told:?}");
    let value = read.map(|read| &read.value);
    let texts = value.map(Json::texts).unwrap_or_default();
    let whole = value.and_then(|value| {
        let word = |name| value.only(name)?.text();
        let (_, _) = (word("token_type")?, word("resource")?);
        let ends = word("expires_on")?;
        let digits = ends.len() <= 10 && ends.bytes().all(|byte| byte.is_ascii_digit());
        Some((word("access_token")?, ends.parse::<i64>().ok().filter(|_| digits)?))
    });
    match &told.token {
        Ok(token) => {
            assert!(texts.iter().any(|text| is_token(token, text)), "it is not in the answer");
            if let Some((text, ends)) = whole {
                assert!(is_token(token, text), "another token than {text:?}");
                assert_eq!(token.expires_at.map(Timestamp::as_second), Some(ends));
            }
        }
        Err(error) => {
            let unfit = texts.into_iter().find(|text| !is_bearer(text));
            says_no_token(error, "the managed identity endpoint", unfit);
            if read.is_some_and(|read| read.plain) {
                assert!(whole.is_none_or(|(text, _)| !is_bearer(text)), "{error:?}");
            }
        }
    }
}

/// What an error says.
#[derive(Debug, Default)]
struct Said<'a> {
    sentence: Option<&'a str>,
    error: Option<&'a str>,
    code: Option<u32>,
    /// Whether the list of codes is none, so that it depends on the reader what is in it.
    odd: bool,
}

impl<'a> Said<'a> {
    fn of(value: &'a Json) -> Self {
        // Of two the last counts.
        let last = |name| value.all(name).next_back();
        let text = |name| last(name).and_then(Json::text);
        let sentence = text("error_description").or_else(|| text("message"));
        let listed = match last("error_codes") {
            Some(Json::Array(codes)) => codes.first().and_then(Json::whole),
            _ => None,
        };
        let named = sentence.and_then(|words| {
            let digits = words.split_once("AADSTS")?.1.split(|c: char| !c.is_ascii_digit());
            digits.into_iter().next()?.parse().ok()
        });
        let code = listed.and_then(|code| u32::try_from(code).ok()).or(named);
        let odd = matches!(last("error_codes"), Some(Json::Object(_)));
        Self { sentence, error: text("error"), code, odd }
    }

    /// What is known of a body, if all readers take it alike; of one that is no JSON, that it says nothing.
    fn read(read: Option<&'a Read>) -> Option<Self> {
        match read {
            None => Some(Self::default()),
            Some(read) => read.plain.then(|| Self::of(&read.value)),
        }
    }
}

/// Whether a text is shown as it is.
fn is_simple(text: &str) -> bool {
    !text.chars().any(acts)
        && text.split_whitespace().collect::<Vec<_>>().join(" ") == text
        && !text.is_empty()
        && text.chars().count() < LONGEST
        && !text.contains("eyJ")
        && !SECRET.iter().any(|secret| text.contains(secret))
}

/// The status and the code survive, and so does a sentence that needs nothing done to it.
fn tells(error: &IdentityError, from: &str, status: u16, said: &Said<'_>) {
    let problem = &error.problem;
    assert!(problem.contains(&format!("HTTP {status}")), "{status}: {problem}");
    assert!(problem.contains(from), "{problem}");
    if let Some(code) = said.code {
        let coded = format!("AADSTS{code}");
        let mut found = problem.match_indices(&coded).map(|(at, _)| at + coded.len());
        let digit = |at| problem.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        assert!(found.any(|end| !digit(end)), "{coded} is not in {problem}");
    }
    let sentence = said.sentence.map(|text| text.split("Trace ID:").next().unwrap_or_default());
    if let Some(sentence) = sentence.map(str::trim).filter(|text| is_simple(text)) {
        assert!(problem.contains(sentence), "{sentence:?} is not in {problem}");
    } else if said.sentence.is_none() && said.code.is_none() && !said.odd {
        match said.error {
            Some(word) if is_simple(word) => assert!(problem.starts_with(word), "{problem}"),
            Some(_) => {}
            None => {
                let wanted =
                    format!("{from} answered HTTP {status} without an error that can be read");
                assert!(problem.starts_with(&wanted), "{problem}");
            }
        }
    }
}

fn refused(told: &Told) -> Option<&IdentityError> {
    assert!(told.token.is_err(), "a token of a refusal: {told:?}");
    told.token.as_ref().err()
}

fn refused_by_authority(told: &Told, status: u16, read: Option<&Read>) {
    let Some(error) = refused(told) else { return };
    assert!(error.problem.contains(&format!("HTTP {status}")), "{error:?}");
    let away = matches!(status, 408 | 429 | 500..=599);
    assert!(!away || error.transient, "{error:?}");
    let Some(said) = Said::read(read) else { return };
    tells(error, AUTHORITY, status, &said);
    if !said.odd {
        let passes = said.code.is_some_and(|code| PASSING.contains(&code));
        assert_eq!(error.transient, away || passes, "{error:?}");
        let followed = (300..=399).contains(&status) && !error.transient && said.code.is_none();
        assert_eq!(error.problem.ends_with("carry the secret elsewhere"), followed, "{error:?}");
    }
}

fn refused_by_metadata(told: &Told, status: u16, hinted: bool, read: Option<&Read>) {
    let Some(error) = refused(told) else { return };
    assert!(error.problem.contains(&format!("HTTP {status}")), "{error:?}");
    // One that is promised, or busy, is there: nobody else is asked.
    let busy = matches!(status, 408 | 410 | 429 | 500..=599);
    assert!(!told.absent || !(hinted || busy), "{told:?}");
    assert!(!busy || error.transient, "{error:?}");
    let Some(said) = Said::read(read) else { return };
    tells(error, METADATA, status, &said);
    let updated = status == 404 && (said.sentence.is_some() || said.error.is_some());
    assert_eq!(error.transient, busy || updated, "{error:?}");
    assert_eq!(told.absent, !(hinted || busy || updated), "{told:?}");
}
