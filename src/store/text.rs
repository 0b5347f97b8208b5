//! Records and entries as the JSON text that every store keeps.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::fault::Fault;
use crate::model::{EntryFacts, JournalEntry, JournalHash, Timestamp};

/// A value as text.
pub(super) fn write<T: Serialize>(what: impl fmt::Display, value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| {
        Fault::new(format!("cannot keep {what}"), "report this as a defect").because(error)
    })
}

/// A value read back. Text that makes no sense is damage, never a default.
pub(super) fn read<T: DeserializeOwned>(what: impl fmt::Display, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| {
        Fault::damaged(format!("is damaged: {what} cannot be read")).because(error)
    })
}

/// A record as text, sealed: the hash of its JSON text, a space, and that text.
///
/// A journal entry is held by its chain. A record is held by nothing: one that lost its starts
/// would read like that of a job which was never started, and the next ask would start it again.
pub(super) fn seal<T: Serialize>(what: impl fmt::Display, record: &T) -> Result<String, Fault> {
    let json = write(what, record)?;
    Ok(format!("{} {json}", hash(&json)))
}

/// A sealed record read back.
pub(super) fn unseal<T: DeserializeOwned>(what: impl fmt::Display, text: &str) -> Result<T, Fault> {
    match text.split_once(' ') {
        Some((seal, json)) if seal == hash(json) => read(what, json),
        Some(_) | None => Err(Fault::damaged(format!("is damaged: {what} was changed"))),
    }
}

fn hash(json: &str) -> String {
    JournalHash::genesis().of_next(json).0
}

/// One journal entry read back.
pub(super) fn read_entry(seq: u64, body: &str, hash: String) -> Result<JournalEntry, Fault> {
    let facts: EntryFacts = read(format_args!("journal entry {seq}"), body)?;
    Ok(JournalEntry { seq, facts, hash: JournalHash(hash) })
}

/// A point in time as stores keep it beside an entry's text: nanoseconds since 1970, which fit 64
/// bits until the year 2262.
pub(super) fn nanoseconds(at: Timestamp) -> Result<i64, Fault> {
    i64::try_from(at.as_nanosecond()).map_err(|error| {
        Fault::new(format!("cannot keep the time {at}"), "set the machine's clock").because(error)
    })
}

/// The point in time behind a stored number.
pub(super) fn timestamp(nanoseconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(|error| {
        Fault::damaged("is damaged: the time of its newest entry makes no sense").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobRecord;

    #[test]
    fn a_record_that_was_changed_is_damage_and_never_a_fresh_one() {
        let sealed = seal("it", &JobRecord::default()).unwrap();
        assert_eq!(unseal::<JobRecord>("it", &sealed).unwrap(), JobRecord::default());
        let cut = sealed.trim_end_matches('}');
        for text in ["", "{}", " {}", cut, &sealed.replace("[]", "[ ]"), &format!("{sealed} ")] {
            assert!(unseal::<JobRecord>("it", text).is_err(), "{text}");
        }
    }
}
