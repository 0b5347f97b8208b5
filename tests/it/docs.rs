//! The documents say what the program does: every reason has its runbook, and what a reader copies works.

use std::{collections::BTreeSet, error::Error, fs, path::Path, process::Command};

use startguard::emulator::EmulatorConfig;

type Outcome = Result<(), Box<dyn Error>>;

fn page(path: &str) -> Result<String, std::io::Error> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

/// The reasons as they are written in JSON, out of the source: there is no other list of them that
/// a new one could not be left out of.
fn reasons() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let source = page("src/model/answer.rs")?;
    let (_, after) = source.split_once("impl Reason {").ok_or("no impl Reason")?;
    let (body, _) = after.split_once("\nimpl ").ok_or("impl Reason does not end")?;
    let arms = body.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
    Ok(arms.filter_map(|arm| Some(arm.split('"').nth(1)?.to_owned())).collect())
}

#[test]
fn every_reason_has_a_runbook_and_no_runbook_is_left_over() -> Outcome {
    let operations = page("docs/operations.md")?;
    let headings = operations.lines().filter_map(|line| line.strip_prefix("## `"));
    let written: BTreeSet<String> =
        headings.filter_map(|rest| rest.strip_suffix('`')).map(str::to_owned).collect();
    let reasons = reasons()?;
    // Twenty-one on the day this was written; fewer means that the source is read wrongly.
    assert!(reasons.len() >= 21, "{reasons:?}");
    assert_eq!(written, reasons);
    Ok(())
}

#[test]
fn the_guides_fleet_file_works() -> Outcome {
    let guide = page("docs/guide.md")?;
    let (_, after) = guide.split_once("```toml\n# fleet.toml\n").ok_or("no fleet file")?;
    let (fleet, _) = after.split_once("```").ok_or("the fleet file does not end")?;
    let config: EmulatorConfig = toml::from_str(fleet)?;
    config.validate()?;
    assert_eq!(config.service_principals.len(), 1);
    assert_eq!(config.faults.len(), 2);
    Ok(())
}

#[test]
fn links_between_documents_lead_somewhere() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![
        "README.md".to_owned(),
        "CHANGELOG.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "SECURITY.md".to_owned(),
    ];
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(root.join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    let mut dead = Vec::new();
    for name in &pages {
        let text = page(name)?;
        let folder = root.join(name).parent().map(Path::to_owned).unwrap_or_default();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.starts_with("https://") || WRITTEN_ELSEWHERE.iter().any(|it| file.ends_with(it))
            {
                continue;
            }
            let target = if file.is_empty() { root.join(name) } else { folder.join(file) };
            let found = target.is_dir()
                || fs::read_to_string(&target).is_ok_and(|text| {
                    anchor.is_empty()
                        || text.lines().any(|line| anchor_of(line) == Some(anchor.to_owned()))
                });
            if !found {
                dead.push(format!("{name}: {link}"));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
    Ok(())
}

/// Sections of docs/proof.md whose rows each name the tests that check them, and how many they name at
/// least: fewer means that the page is read wrongly.
const CHECKED_SECTIONS: [(&str, usize); 2] =
    [("Crashes, kills and power cuts", 8), ("Hostile peers", 60)];

#[test]
fn every_test_that_proves_something_about_crashes_or_hostile_peers_exists() -> Outcome {
    let proof = page("docs/proof.md")?;
    let listed = Command::new(std::env::current_exe()?).arg("--list").output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let tests: BTreeSet<&str> =
        listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_there = |name: &str| tests.contains(name) || root.join(name).exists();
    let quoted = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let is_name = |word: &String| word.contains("::") || word.starts_with("tests/");
    for (heading, least) in CHECKED_SECTIONS {
        let (_, after) = proof.split_once(&format!("\n## {heading}\n")).ok_or("no such section")?;
        let (section, _) = after.split_once("\n## ").ok_or("the section does not end")?;
        let names: Vec<String> = quoted(section).into_iter().filter(is_name).collect();
        assert!(names.len() >= least, "{names:?}");
        let lost: Vec<&String> = names.iter().filter(|name| !is_there(name)).collect();
        assert!(lost.is_empty(), "docs/proof.md names tests that are not there: {lost:#?}");
        let lines: Vec<&str> = section.lines().collect();
        let idle: Vec<&str> = lines
            .windows(2)
            .filter(|pair| pair[0].starts_with("| ") && !pair[0].starts_with("| ---"))
            // The names of the columns.
            .filter(|pair| !pair[1].starts_with("| ---"))
            .map(|pair| pair[0])
            .filter(|row| !quoted(row).iter().any(|name| is_there(name)))
            .collect();
        assert!(idle.is_empty(), "rows that nothing checks: {idle:#?}");
    }
    Ok(())
}

/// Pages that are generated or measured, and may not be there in every state of the tree.
const WRITTEN_ELSEWHERE: [&str; 0] = [];

/// The anchor that a heading gets where Markdown is shown.
fn anchor_of(line: &str) -> Option<String> {
    let heading = line.trim_start_matches('#');
    let is_heading = heading.len() < line.len() && heading.starts_with(' ');
    is_heading.then(|| {
        let kept = heading.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        });
        kept.collect()
    })
}
