use super::*;

fn read(text: &str) -> Result<StoreUrl, ConfigError> {
    StoreUrl::read(&flag(text), &Environment::of([("HOME", "/home/me")]))
}

fn flag(text: &str) -> Written {
    Written {
        setting: "[store] url".to_owned(),
        raw: Raw::Bare(text.to_owned()),
        origin: Origin::Flag("--store"),
    }
}

#[test]
fn a_sqlite_url_is_a_path() {
    for (text, path) in [
        ("sqlite:/var/lib/l.db", "/var/lib/l.db"),
        ("sqlite:///var/lib/l.db", "/var/lib/l.db"),
        ("sqlite://l.db", "l.db"),
        ("sqlite:l.db", "l.db"),
        ("SQLite:~/l.db", "/home/me/l.db"),
        ("sqlite:$XDG_STATE_HOME/l.db", "/home/me/.local/state/l.db"),
        ("sqlite:/a b/ä.db", "/a b/ä.db"),
    ] {
        assert_eq!(read(text).unwrap(), StoreUrl::Sqlite(PathBuf::from(path)), "{text}");
    }
}

#[test]
fn a_database_url_is_kept_whole() {
    for text in ["postgres://me:hush@db/startguard", "postgresql:///x?host=/run/postgresql"] {
        assert_eq!(read(text).unwrap(), StoreUrl::Postgres(text.to_owned()));
    }
}

#[test]
fn what_would_be_another_ledger_is_refused() {
    for text in [
        "",
        "ledger.db",
        "/var/lib/ledger.db",
        "sqlite:",
        "sqlite://",
        "sqlite:.",
        "sqlite:~",
        "sqlite:/var/lib/",
        "sqlite::memory:",
        "sqlite:file:x.db",
        "sqlite:x.db?mode=ro",
        "sqlite:$STATE/x.db",
        "sqlite:/a\nb",
        "sqlite:/a\u{0}b",
        " sqlite:/a/l.db",
        "sqlite: /a/l.db",
        "sqlite:// /a/l.db",
        "sqlite:/a/l.db ",
        "sqlite:/a/l.db\n",
        "sqlite:~/l.db\u{a0}",
        "postgres://db/x ",
        "mysql://db/x",
        "postgres:db",
        "postgres://",
        "postgres://d b/x",
    ] {
        let error = read(text).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("--store"), "{said}");
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(!error.remedy().is_empty());
    }
}

#[test]
fn white_space_around_a_url_is_named_and_the_url_is_not() {
    for text in
        ["sqlite: /a/l.db", "sqlite:/a/l.db ", "sqlite:/a/l.db\t", "postgres://me:hush@db/x "]
    {
        let error = read(text).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("white space before or after"), "{said}");
        assert!(!said.contains("hush"), "{said}");
        assert!(error.remedy().contains("take the white space out"), "{error}");
    }
}

#[test]
fn another_kind_of_store_is_told_the_two_there_are() {
    let error = read("mysql://me:hush@db/x").unwrap_err();
    assert!(error.to_string().contains("sqlite and postgres"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[test]
fn no_password_is_shown() {
    for text in [
        "postgres://me:hush@db/x",
        "postgres://me:hu@hush@db/x",
        "postgres://me:hu/hush@db/x",
        "postgres://me:hu?hush#@db:5432/x",
        "postgres://db/x?user=me&password=hush",
        "postgres://db/x?Password=hush&user=me",
        "postgres://me:hush@db/x?sslpassword=hush",
    ] {
        let url = read(text).unwrap();
        let shown = format!("{url} {url:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("db") && shown.contains("me"), "{shown}");
    }
    let url = read("postgres://me@db:5432/x?sslmode=require").unwrap();
    assert_eq!(url.to_string(), "postgres://me@db:5432/x?sslmode=require");
}

#[test]
fn a_flag_of_its_own_is_read_by_the_same_rules() {
    let read = |text| StoreUrl::of_flag("--to", text, &Environment::of([("HOME", "/home/me")]));
    assert_eq!(read("sqlite:~/l.db").unwrap(), (StoreUrl::Sqlite("/home/me/l.db".into()), None));
    let (_, doubt) = read("postgres://me:hush@db/x").unwrap();
    let doubt = doubt.unwrap();
    assert!(doubt.starts_with("--to holds a password") && !doubt.contains("hush"), "{doubt}");
    let error = read("/l.db").unwrap_err();
    assert!(error.to_string().starts_with("--to = "), "{error}");
}

#[test]
fn a_broken_database_url_is_not_repeated() {
    let error = read("postgres://me:hush word@db/x").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    let doubt = |text: &str, origin| {
        let written = Written { origin, ..flag(text) };
        let url = StoreUrl::read(&written, &Environment::default()).unwrap();
        doubts(&written, &url)
    };
    let with = "postgres://me:hush@db/x";
    let warning = doubt(with, Origin::Flag("--store")).unwrap();
    assert!(warning.contains("PGPASSWORD") && !warning.contains("hush"), "{warning}");
    assert_eq!(doubt(with, Origin::Variable("STARTGUARD_STORE".to_owned())), None);
    assert_eq!(doubt("postgres://me@db/x", Origin::Flag("--store")), None);
}
