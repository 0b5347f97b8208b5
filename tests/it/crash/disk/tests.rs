//! The model of a disk loses what it should, and nothing else.

use super::*;

fn write(path: &str, at: usize, byte: u8, length: usize) -> Deed {
    Deed::Write { path: path.into(), at, bytes: vec![byte; length] }
}

fn left(disk: &Disk, fate: Fate, seed: u64) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    disk.leave(folder.path(), fate, &mut Chance::new(seed));
    let found = fs::read_dir(folder.path()).expect("a folder").map(|found| {
        let path = found.expect("an entry").path();
        (last(&path), if path.is_dir() { Vec::new() } else { fs::read(&path).expect("bytes") })
    });
    found.collect()
}

#[test]
fn a_file_needs_its_own_flush_and_its_folders() {
    let mut disk = Disk::empty();
    disk.apply(&Deed::Create("a".into()));
    disk.apply(&write("a", 0, 1, 700));
    assert!(left(&disk, Fate::Nothing, 1).is_empty());
    disk.apply(&Deed::Flush { path: "a".into(), began: 2 });
    assert!(left(&disk, Fate::Nothing, 1).is_empty(), "its name is not on the disk");
    disk.apply(&Deed::Flush { path: "".into(), began: 3 });
    assert_eq!(left(&disk, Fate::Nothing, 1)["a"], [1; 700]);
    disk.apply(&write("a", 0, 2, 700));
    assert!(!disk.is_flushed());
    assert_eq!(left(&disk, Fate::Nothing, 1)["a"], [1; 700]);
    assert_eq!(left(&disk, Fate::Everything, 1)["a"], [2; 700]);
}

#[test]
fn a_flush_covers_what_ended_before_it_began() {
    let mut disk = Disk::empty();
    disk.apply(&Deed::Create("a".into()));
    disk.apply(&Deed::Flush { path: "".into(), began: 1 });
    disk.apply(&write("a", 0, 1, 4));
    disk.apply(&write("a", 4, 1, 4));
    disk.apply(&Deed::Flush { path: "a".into(), began: 3 });
    assert_eq!(left(&disk, Fate::Nothing, 1)["a"], [1; 4]);
}

#[test]
fn sectors_survive_one_by_one_and_never_in_part() {
    let mut disk = Disk::empty();
    disk.apply(&Deed::Create("a".into()));
    disk.apply(&write("a", 0, 1, 2_048));
    for path in ["a", ""] {
        disk.apply(&Deed::Flush { path: path.into(), began: 2 });
    }
    disk.apply(&write("a", 0, 2, 2_048));
    disk.apply(&write("a", 512, 3, 512));
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let bytes = left(&disk, Fate::Sectors, seed).remove("a").expect("it was there");
        assert_eq!(bytes.len(), 2_048);
        let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert!(bytes.chunks(512).all(|s| s.iter().all(|byte| *byte == s[0])), "{seed}");
        seen.insert(sectors);
    }
    // Two states of three sectors, three of the one that was written twice.
    assert_eq!(seen.len(), 2 * 2 * 2 * 3);
}

#[test]
fn a_rename_is_whole_or_did_not_happen() {
    let mut disk = Disk::empty();
    disk.apply(&Deed::Create("new".into()));
    disk.apply(&write("new", 0, 1, 4));
    disk.apply(&Deed::Flush { path: "new".into(), began: 2 });
    disk.apply(&Deed::Flush { path: "".into(), began: 3 });
    disk.apply(&Deed::Rename { from: "new".into(), to: "ledger".into() });
    for seed in 0..50 {
        let names: Vec<_> = left(&disk, Fate::Sectors, seed).into_keys().collect();
        assert!(names == ["new"] || names == ["ledger"], "{names:?}");
    }
    assert!(left(&disk, Fate::Everything, 1).contains_key("ledger"));
}

#[test]
fn a_length_may_survive_without_the_bytes() {
    let mut disk = Disk::empty();
    disk.apply(&Deed::Create("a".into()));
    disk.apply(&write("a", 0, 1, 100));
    assert_eq!(left(&disk, Fate::Lengths, 1)["a"], [0; 100]);
}
