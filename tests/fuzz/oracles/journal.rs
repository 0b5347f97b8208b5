//! The journal's chains: what a store writes verifies, and no change of it does.
//!
//! The input's first line says what is changed (numbers: which way, which row, where, into what); each
//! further line is an entry: job, actor, note.

use std::time::Duration;

use startguard::{
    model::{
        Actor, EntryKind, FencingToken, JobId, JobKey, JobRef, JournalHash, NewEntry, OutcomeKind,
        Reason, ServicePrincipalId, Timestamp,
    },
    store::fuzz::{self, Rows},
};

const SP: &str = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";

/// As many entries as show what there is to show.
const MOST: usize = 8;

/// How rows are changed.
const WAYS: usize = 15;

/// Checks one journal and one change of it.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let change = lines.next().unwrap_or_default();
    let entries: Vec<(NewEntry, Timestamp)> =
        lines.take(MOST).enumerate().filter_map(entry).collect();
    let written = fuzz::write(entries.clone());
    assert!(written.is_ok(), "{written:?}");
    let Ok(rows) = written else { return };
    let issued = u64::try_from(rows.journal.len()).unwrap_or_default();

    holds(&rows, issued, rows.journal.len());
    for (row, (entry, at)) in rows.journal.iter().zip(&entries) {
        let read = fuzz::entry(row).map(|read| read.facts);
        let place = u64::try_from(row.place).unwrap_or_default();
        assert_eq!(read.ok(), Some(entry.clone().placed(place, *at)), "reads back otherwise");
    }
    let mut numbers = change.split(' ').map(|number| number.parse::<usize>().unwrap_or_default());
    let mut number = || numbers.next().unwrap_or_default();
    let (way, row, at, into) = (number() % WAYS, number(), number(), number());
    // Once whole, once with as many entries pruned as the change says. The newest stays.
    let pruned = at.checked_rem(rows.journal.len()).unwrap_or_default();
    let rest = prune(&rows, pruned);
    holds(&rest, issued, rows.journal.len() - pruned);
    for whole in [rows, rest] {
        let mut changed = whole.clone();
        if tamper(&mut changed, way, row, at, into).is_none() || changed == whole {
            continue;
        }
        for issued in [Some(issued), None] {
            let shown = fuzz::verify(&changed, issued);
            let broken = shown.as_ref().map_or(true, |shown| shown.broken.is_some());
            assert!(
                broken,
                "way {way} does not show (issued {issued:?}):\n{whole:#?}\n{changed:#?}"
            );
        }
    }
}

/// Verifies, by the rules of either store.
fn holds(rows: &Rows, issued: u64, entries: usize) {
    for issued in [Some(issued), None] {
        let shown = fuzz::verify(rows, issued);
        assert!(shown.is_ok(), "{shown:?}");
        let Ok(shown) = shown else { return };
        assert_eq!(shown.broken, None, "issued {issued:?}: {rows:#?}");
        assert_eq!(usize::try_from(shown.entries), Ok(entries));
        assert_eq!(usize::try_from(shown.jobs), Ok(rows.jobs.len()));
    }
}

fn entry((number, line): (usize, &str)) -> Option<(NewEntry, Timestamp)> {
    let mut words = line.splitn(3, ' ');
    let job_id = JobId::parse(words.next()?).ok()?;
    let actor = Actor(words.next().unwrap_or_default().to_owned());
    let note = words.next().map(str::to_owned);
    let kinds = [EntryKind::Intent, EntryKind::Outcome, EntryKind::Decision, EntryKind::Hold];
    let entry = NewEntry {
        attempt: None,
        job: JobRef {
            key: JobKey { service_principal_id: ServicePrincipalId::parse(SP).ok()?, job_id },
            name: note.clone(),
        },
        kind: *kinds.get(number % kinds.len())?,
        actor,
        observed: None,
        outcome: number.is_multiple_of(2).then_some(OutcomeKind::Deferred),
        reason: number.is_multiple_of(2).then_some(Reason::Cooldown),
        note,
        token: Some(FencingToken(u64::try_from(number).ok()?)),
        request_ids: vec![line.to_owned()],
    };
    let since = Duration::from_millis(u64::try_from(number).ok()?);
    Some((entry, Timestamp::from_second(1_795_424_400).ok()?.saturating_add(since).ok()?))
}

/// The journal without its first `pruned` entries, as a store prunes them.
fn prune(rows: &Rows, pruned: usize) -> Rows {
    let mut left = rows.clone();
    for row in left.journal.drain(..pruned) {
        if let Some(job) = left.jobs.iter_mut().find(|job| job.key == row.job) {
            job.checkpoint = fuzz::checkpoint(&row).ok();
        }
    }
    left
}

/// Changes the rows as somebody could who may write the store; `None` where there is no such row.
fn tamper(rows: &mut Rows, way: usize, row: usize, at: usize, into: usize) -> Option<()> {
    let step = i64::try_from(into % 1_000).ok()? + 1;
    let index = row.checked_rem(rows.journal.len());
    let entry = index.and_then(|index| rows.journal.get_mut(index));
    let job_index = row.checked_rem(rows.jobs.len())?;
    let other = rows.jobs.get(into % rows.jobs.len())?.clone();
    let job = rows.jobs.get_mut(job_index)?;
    match way {
        0 => edit(&mut entry?.body, at, into),
        1 => edit(&mut entry?.hash, at, into),
        2 => entry?.place += step,
        3 => entry?.at += step,
        4 => entry?.job = other.key,
        // Another text, and the hash that goes with it.
        5 => {
            let before = index?.checked_sub(1)?;
            let before = rows.journal.get(before)?.clone();
            let entry = rows.journal.get_mut(index?)?;
            edit(&mut entry.body, at, into);
            entry.hash = JournalHash(before.hash).of_next(&entry.body).0;
        }
        6 => drop(rows.journal.remove(index?)),
        7 => {
            let copy = entry?.clone();
            rows.journal.insert(index?, copy);
        }
        // Two entries of one job change places, their numbers do not.
        8 => {
            let (first, second) = (index?, into.checked_rem(rows.journal.len())?);
            if rows.journal.get(first)?.job != rows.journal.get(second)?.job {
                return None;
            }
            rows.journal.swap(first, second);
            let numbers = (rows.journal.get(first)?.seq, rows.journal.get(second)?.seq);
            rows.journal.get_mut(first)?.seq = numbers.1;
            rows.journal.get_mut(second)?.seq = numbers.0;
        }
        9 => job.entries += step,
        10 => edit(&mut job.head, at, into),
        11 => edit(&mut job.record, at, into),
        12 => edit(job.checkpoint.as_mut()?, at, into),
        // Another job's checkpoint.
        13 => job.checkpoint = Some(other.checkpoint?),
        // The row that holds the chain's end. Without an entry or a number left, nothing tells of it.
        _ => {
            let key = job.key.clone();
            rows.journal.iter().find(|row| row.job == key)?;
            drop(rows.jobs.remove(job_index));
        }
    }
    Some(())
}

/// Replaces, takes out or puts in one character.
fn edit(text: &mut String, at: usize, into: usize) {
    let mut letters: Vec<char> = text.chars().collect();
    let at = at % (letters.len() + 1);
    let letter = char::from_u32(u32::try_from(into / 3).unwrap_or_default()).unwrap_or(' ');
    match (into % 3, at < letters.len()) {
        (0, true) => drop(letters.remove(at)),
        (1, true) => letters[at] = letter,
        _ => letters.insert(at, letter),
    }
    *text = letters.into_iter().collect();
}
