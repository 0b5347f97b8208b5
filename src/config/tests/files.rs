//! Which file is read, and what a file may be.

use std::os::unix::fs::symlink;

use super::*;

const CHINA: &str = "[graph]\ncloud = 'china'";
const USGOV: &str = "[graph]\ncloud = 'usgov'";

fn write(bench: &Bench, path: &str, text: impl AsRef<[u8]>) -> String {
    let path = bench.folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn cloud(bench: &Bench) -> String {
    bench.settings().graph.cloud.to_string()
}

#[test]
fn the_users_file_comes_before_the_machines() {
    let mut bench = bare();
    let home = bench.folder.path().display().to_string();
    bench.variables.clear();
    let bench = bench.set("HOME", &home);
    assert_eq!(cloud(&bench), "global");

    write(&bench, "none.toml", USGOV);
    assert_eq!(cloud(&bench), "usgov");

    let path = write(&bench, ".config/startguard/startguard.toml", CHINA);
    assert_eq!(cloud(&bench), "china");
    assert_eq!(bench.settings().file, Some(path.into()));

    // XDG_CONFIG_HOME takes the place of ~/.config, and does not add to it.
    let bench = bench.set("XDG_CONFIG_HOME", &format!("{home}/xdg"));
    assert_eq!(cloud(&bench), "usgov");
    write(&bench, "xdg/startguard/startguard.toml", "[graph]\ncloud = 'usgov-dod'");
    assert_eq!(cloud(&bench), "usgov-dod");
}

#[test]
fn a_named_file_is_the_only_one() {
    let bench = bare();
    write(&bench, "none.toml", USGOV);
    let named = write(&bench, "mine.toml", CHINA);
    let by_variable = bench.set("STARTGUARD_CONFIG", &named);
    assert_eq!(cloud(&by_variable), "china");
    let flagged = write(&by_variable, "flag.toml", "");
    let by_flag = by_variable.flags(|flags| flags.config = Some(flagged.into()));
    assert_eq!(cloud(&by_flag), "global");
}

#[test]
fn a_named_file_must_be_there() {
    let bench = bare().set("STARTGUARD_CONFIG", "/nowhere/\u{1b}c.toml");
    let (said, remedy) = bench.error();
    assert_eq!(
        said,
        "the configuration file /nowhere/\\u{1b}c.toml that STARTGUARD_CONFIG names is not there"
    );
    assert!(remedy.contains("STARTGUARD_CONFIG"));
    let (said, _) = bare().flags(|flags| flags.config = Some("".into())).error();
    assert!(said.contains("that --config names"), "{said}");
}

#[test]
fn a_file_that_is_there_and_cannot_be_read_is_not_passed_over() {
    let bench = bare();
    // A link to itself can be read by nobody, root included.
    let path = bench.folder.path().join("none.toml");
    symlink(&path, &path).unwrap();
    let error = bench.load().unwrap_err();
    assert!(error.to_string().ends_with("none.toml cannot be read"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_folder_is_told_to_name_the_file_in_it() {
    let bench = bare();
    let folder = bench.folder.path().to_owned();
    let (said, remedy) = bench.flags(|flags| flags.config = Some(folder)).error();
    assert!(said.ends_with("is a folder"), "{said}");
    assert!(remedy.contains("startguard.toml"), "{remedy}");
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused() {
    let fits = "#".repeat(1 << 20);
    assert!(with(&fits).load().is_ok());
    let (said, _) = with(&format!("{fits}#")).error();
    assert_eq!(said, "the configuration file c.toml is larger than 1 MiB");
}

#[test]
fn a_device_without_end_is_refused_too() {
    let (said, _) = bare().flags(|flags| flags.config = Some("/dev/zero".into())).error();
    assert!(said.contains("larger than 1 MiB"), "{said}");
}

#[test]
fn a_file_that_is_not_utf8_is_told_the_line() {
    let bench = bare();
    let path = write(&bench, "latin1.toml", b"[graph]\n# M\xfcller\n");
    let (said, _) = bench.flags(|flags| flags.config = Some(path.into())).error();
    assert_eq!(said, "latin1.toml:2: the configuration file is not UTF-8");
}

#[test]
fn a_byte_order_mark_does_no_harm() {
    assert_eq!(cloud(&with(&format!("\u{feff}{CHINA}"))), "china");
}
