//! What is generated from the parser: docs/cli.md, completions, man pages; and the demo.

use std::{fs, path::Path};

use insta::assert_snapshot;

use super::Host;

/// The variable that has the page written anew.
const UPDATE: &str = "STARTGUARD_UPDATE_DOCS";

fn page() -> String {
    let options = clap_markdown::MarkdownOptions::new()
        .title("The command line".to_owned())
        .show_footer(false);
    let text = clap_markdown::help_markdown_command_custom(&startguard::cli::parser(), &options);
    let note = "<!-- Generated from the parser. To write it anew: \
                `STARTGUARD_UPDATE_DOCS=1 cargo test --all-features --test it reference` -->";
    let text = with_equals_signs(text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut page = format!("{note}\n\n{}", lines.join("\n").trim());
    // Runs of empty lines mean nothing in Markdown.
    while page.contains("\n\n\n") {
        page = page.replace("\n\n\n", "\n\n");
    }
    format!("{page}\n")
}

/// An option whose value is optional takes it after an equals sign alone, which the generator does
/// not say.
fn with_equals_signs(mut page: String) -> String {
    for command in startguard::cli::parser().get_subcommands() {
        for option in command.get_arguments().filter(|option| option.is_require_equals_set()) {
            let long = option.get_long().unwrap();
            let value = option.get_value_names().unwrap().first().unwrap();
            let wrong = format!("`--{long} <{value}>`");
            assert!(page.contains(&wrong), "{wrong}");
            page = page.replace(&wrong, &format!("`--{long}[=<{value}>]`"));
        }
    }
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how a test is told to write, not configuration")]
fn the_page_about_the_command_line_is_what_the_parser_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let generated = page();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = generated.lines().zip(written.lines()).find(|(new, old)| new != old);
    assert!(
        written == generated,
        "docs/cli.md is not what the parser says; run `{UPDATE}=1 cargo test --all-features --test \
         it reference` and commit it. First difference (new, old): {differs:?}"
    );
}

#[test]
fn the_page_names_every_command_and_the_exit_codes() {
    let page = page();
    for command in startguard::cli::parser().get_subcommands() {
        assert!(page.contains(&format!("## `startguard {}`", command.get_name())), "{command}");
    }
    assert!(page.contains("Exit codes: 0 started or running"));
}

#[tokio::test]
async fn completions_and_man_pages_are_printed() {
    let host = Host::new("http://127.0.0.1:1");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = host.run(&["completions", shell]).await;
        assert!(ran.ended(0).stdout.contains("lease-wait"), "{shell}");
        assert_eq!(ran.stderr, "");
    }
    let ran = host.run(&["man"]).await;
    assert!(ran.ended(0).stdout.contains(".TH startguard 1"), "{ran:?}");
    host.run(&["man", "--dir", "pages"]).await.ended(0);
    let mut pages: Vec<String> = fs::read_dir(host.home.path().join("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_snapshot!(pages.join(" "), @"startguard-completions.1 startguard-demo.1 startguard-doctor.1 startguard-emulator.1 startguard-history.1 startguard-hold.1 startguard-list.1 startguard-man.1 startguard-release.1 startguard-reset.1 startguard-start.1 startguard-status.1 startguard-store-check.1 startguard-store-migrate.1 startguard-store-prune.1 startguard-store.1 startguard.1");
    fs::write(host.home.path().join("file"), "").unwrap();
    let ran = host.run(&["man", "--dir", "file"]).await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stderr
    error: the man pages could not be written: File exists (os error 17)
      next: name a folder that you may write to
    ");
}

#[tokio::test]
async fn the_demo_holds_every_expectation() {
    let host = Host::new("http://127.0.0.1:1");
    let ran = host.json(&["demo"]).await;
    let lines = ran.ended(0).lines();
    assert!(lines.len() > 10, "{ran:?}");
    let (sum, scenes) = lines.split_last().unwrap();
    assert_eq!(sum["violations"], 0);
    assert_eq!(sum["held"], true);
    assert!(scenes.iter().all(|scene| scene["held"] == true), "{ran:?}");
    let ran = host.run(&["demo"]).await;
    assert!(ran.ended(0).stdout.contains("\nviolations: 0\n"), "{ran:?}");
    assert!(!host.home.path().join(".local").exists(), "nothing outside the process is touched");
}
