//! The configuration beside the code that it speaks for.

use std::{fs, path::PathBuf, time::Duration};

use startguard::{
    config::{self, Environment, Flags, StoreUrl, bounds},
    decide::Intent,
};

#[test]
fn the_cooldown_bound_counts_the_guards_own_send_deadline() {
    assert_eq!(bounds::SEND_WITHIN, Intent::SEND_WITHIN);
}

#[test]
fn a_program_that_embeds_the_guard_can_load_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("startguard.toml");
    fs::write(
        &path,
        "[store]\nurl = 'sqlite:/srv/ledger.db'\n[jobs.hr]\nservice_principal = 'HR'\n",
    )
    .unwrap();
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let environment = Environment::of([("STARTGUARD_GUARD_COOLDOWN", "1h")]);
    let settings = config::load(&flags, &environment).unwrap();
    assert_eq!(settings.file, Some(path));
    assert_eq!(settings.store.url, StoreUrl::Sqlite(PathBuf::from("/srv/ledger.db")));
    assert_eq!(settings.job("hr").unwrap().policy.cooldown, Duration::from_hours(1));
}
