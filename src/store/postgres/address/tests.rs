use super::*;

fn parse(url: &str) -> Address {
    Address::parse(url).unwrap_or_else(|fault| panic!("{url}: {fault:?}"))
}

fn refusal(url: &str) -> String {
    match Address::parse(url) {
        Ok(address) => panic!("{url} was taken: {address:?}"),
        Err(fault) => {
            let error = fault.at("postgres:");
            format!("{error}; {}", error.remedy)
        }
    }
}

fn tls(roots: Option<&str>, named: bool) -> Protection {
    Protection::Tls { roots: roots.map(PathBuf::from), named }
}

#[test]
fn what_leaves_the_machine_is_encrypted_and_verified_unless_told_otherwise() {
    let table = [
        ("postgres://db.example/x", tls(None, true)),
        ("postgresql://10.0.0.1/x", tls(None, true)),
        ("postgres://db.example/x?sslmode=require", tls(None, true)),
        ("postgres://db.example/x?sslmode=verify-full", tls(None, true)),
        ("postgres://db.example/x?sslmode=verify-full&sslrootcert=system", tls(None, true)),
        ("postgres://db.example/x?sslrootcert=%2Fetc%2Fca.pem", tls(Some("/etc/ca.pem"), true)),
        ("postgres://db/x?sslmode=verify-ca&sslrootcert=/ca", tls(Some("/ca"), false)),
        ("postgres://db.example/x?sslmode=disable", Protection::None),
        ("postgres://localhost/x", Protection::None),
        ("postgres://127.0.0.1/x", Protection::None),
        ("postgres://[::1]/x", Protection::None),
        ("postgres://localhost/x?sslmode=require", tls(None, true)),
        ("postgres://localhost/x?sslrootcert=/ca", tls(Some("/ca"), true)),
        ("postgres://localhost,db.example/x", tls(None, true)),
        ("postgres://localhost/x?hostaddr=10.0.0.1", tls(None, true)),
        ("postgres:///x?host=/run/postgresql", Protection::None),
        ("postgres://%2Frun%2Fpostgresql/x?sslmode=require", Protection::None),
    ];
    for (url, expected) in table {
        assert_eq!(parse(url).protection, expected, "{url}");
    }
}

#[test]
fn modes_that_only_seem_to_protect_are_refused() {
    assert!(refusal("postgres://db/x?sslmode=prefer").contains("falls back to plain text"));
    assert!(refusal("postgres://db/x?sslmode=allow").contains("falls back to plain text"));
    assert!(refusal("postgres://db/x?sslmode=verify-ca").contains("no `sslrootcert`"));
    assert!(refusal("postgres://db/x?sslmode=on").contains("unknown `sslmode`"));
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    for url in [
        "postgres://ann:s3cr3t@db/x",
        "postgres://db/x?password=s3cr3t",
        "postgres://ann:s3cr3t@db:port/x",
        "postgres://ann:s3cr3t@db/x?passwort=s3cr3t",
        "postgres://db/x?options=s3cr3t",
    ] {
        assert!(!refusal(url).contains("s3cr3t"), "{url}");
    }
    assert!(refusal("postgres://ann:s3cr3t@db/x").contains("PGPASSWORD"));
    let settings = refusal("host=db password=s3cr3t");
    assert!(settings.contains("postgres://USER@HOST") && !settings.contains("s3cr3t"));
}

#[test]
fn an_unknown_option_names_the_nearest() {
    assert!(refusal("postgres://db/x?shema=a").contains("`schema`"));
    assert!(refusal("postgres://db/x?schema=a&schema=b").contains("given twice"));
    assert!(refusal("postgres://db/x?options=-c%20a=b").contains("ALTER ROLE"));
    assert!(refusal("postgres:///x").contains("no host"));
    for url in ["postgres://db", "postgres://db/", "postgres://db?dbname=", "postgres://?host=/s"] {
        assert!(refusal(url).contains("names no database"), "{url}: {}", refusal(url));
    }
    assert_eq!(parse("postgres://db?dbname=x").shown, "postgres://db/x");
}

#[test]
fn what_is_shown_leads_back_to_the_same_place() {
    for url in [
        "postgres://ann@db.example/ledger",
        "postgres://db.example:6432/ledger",
        "postgres://ann@a:1,b:2/ledger?schema=guard",
        "postgres://%2Frun%2Fpostgresql/ledger",
        "postgres://a%40b@[::1]:5433/led%20ger",
    ] {
        assert_eq!(parse(url).shown, url);
    }
    let address = parse("postgres://ann@db/x?sslmode=disable&application_name=y&passfile=/p");
    assert_eq!(address.shown, "postgres://ann@db/x");
    assert_eq!(parse("PostgreSQL://db/x").shown, "postgres://db/x");
    assert_eq!(address.password_file, Some(PathBuf::from("/p")));
    assert_eq!(address.settings.get_application_name(), Some("y"));
}

#[test]
fn of_several_servers_the_one_that_takes_writes_is_meant() {
    let address = parse("postgres://a,b:2/x");
    assert_eq!(address.settings.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    let ports: Vec<_> = address.targets.iter().map(|target| target.port).collect();
    assert_eq!(ports, [5432, 2]);
    let one = parse("postgres://a/x");
    assert_eq!(one.settings.get_target_session_attrs(), TargetSessionAttrs::Any);
    assert!(refusal("postgres://a/x?target_session_attrs=read-only").contains("read-only"));
}

#[test]
fn statements_are_kept_only_where_the_url_says_so() {
    assert!(!parse("postgres://localhost/x").prepare);
    assert!(!parse("postgres://localhost/x?prepare=off").prepare);
    assert!(parse("postgres://localhost/x?prepare=on").prepare);
    assert!(refusal("postgres://localhost/x?prepare=yes").contains("unknown `prepare`"));
}
