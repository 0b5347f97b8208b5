//! Paths as people write them: `~`, `$HOME` and `$XDG_STATE_HOME`, and nothing else.

use super::{ConfigError, Environment, written::Written};

impl Written {
    /// `path`, which is (part of) this setting's value, with the documented forms replaced.
    ///
    /// What is put in is not looked at again. Any other variable is an error: a ledger in a folder
    /// that is literally called `$STATE` would be a second ledger, with a budget of its own.
    pub(super) fn expanded(
        &self,
        path: &str,
        environment: &Environment,
    ) -> Result<String, ConfigError> {
        if path.chars().any(char::is_control) {
            return Err(self.refuse("contains a control character", "write the path without it"));
        }
        let mut full = String::new();
        let mut rest = path;
        if let Some(after) = path.strip_prefix('~') {
            if !after.is_empty() && !after.starts_with('/') {
                return Err(self.refuse(
                    "begins with another user's `~`, which is not looked up",
                    "write the path in full",
                ));
            }
            full.push_str(self.home(environment)?);
            rest = after;
        }
        while let Some((before, after)) = rest.split_once('$') {
            full.push_str(before);
            let (name, after) = match after.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or_else(|| {
                    self.refuse("has a `${` without its `}`", "write ${HOME} or ${XDG_STATE_HOME}")
                })?,
                None => {
                    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            match name {
                "HOME" => full.push_str(self.home(environment)?),
                "XDG_STATE_HOME" => match environment.folder("XDG_STATE_HOME") {
                    Some(folder) => full.push_str(folder),
                    // The default that the XDG Base Directory Specification gives.
                    None => {
                        full.push_str(self.home(environment)?);
                        full.push_str("/.local/state");
                    }
                },
                _ => {
                    return Err(self.refuse(
                        "names a variable that is not replaced in paths",
                        "write the path in full, or with $HOME or $XDG_STATE_HOME",
                    ));
                }
            }
            rest = after;
        }
        full.push_str(rest);
        Ok(full)
    }

    fn home<'a>(&self, environment: &'a Environment) -> Result<&'a str, ConfigError> {
        environment.folder("HOME").map(|home| home.trim_end_matches('/')).ok_or_else(|| {
            self.refuse(
                "needs the home folder, and HOME names none",
                "set HOME, or write the path in full (for the store: --store \
                 sqlite:/var/lib/startguard/ledger.db)",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::written::{Origin, Raw};

    fn expand(path: &str, variables: &[(&str, &str)]) -> Result<String, ConfigError> {
        Written {
            setting: "[store] url".to_owned(),
            raw: Raw::Bare(path.to_owned()),
            origin: Origin::Default,
        }
        .expanded(path, &Environment::of(variables.iter().copied()))
    }

    const HOME: (&str, &str) = ("HOME", "/home/me");

    #[test]
    fn the_documented_forms_are_replaced() {
        for (path, full) in [
            ("/a/b", "/a/b"),
            ("a/b", "a/b"),
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("a~b", "a~b"),
            ("$HOME/x", "/home/me/x"),
            ("${HOME}x", "/home/mex"),
            ("$XDG_STATE_HOME/x", "/home/me/.local/state/x"),
        ] {
            assert_eq!(expand(path, &[HOME]).unwrap(), full, "{path}");
        }
        // A relative one is not valid, says the specification, and counts as not set.
        let relative = [HOME, ("XDG_STATE_HOME", "state")];
        assert_eq!(expand("$XDG_STATE_HOME/x", &relative).unwrap(), "/home/me/.local/state/x");
        let state = [HOME, ("XDG_STATE_HOME", "/state")];
        assert_eq!(expand("${XDG_STATE_HOME}/$HOME", &state).unwrap(), "/state//home/me");
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        assert_eq!(expand("$HOME/x", &[("HOME", "/$HOME/~")]).unwrap(), "/$HOME/~/x");
    }

    #[test]
    fn nothing_else_is_replaced() {
        for path in ["$STATE/x", "${STATE}/x", "$HOMEX/x", "a$", "a$-b", "${HOME", "~you/x", "a\nb"]
        {
            assert!(expand(path, &[HOME, ("STATE", "/s")]).is_err(), "{path}");
        }
    }

    #[test]
    fn without_a_home_there_is_a_remedy() {
        for path in ["~/x", "$HOME/x", "$XDG_STATE_HOME/x"] {
            let error = expand(path, &[("HOME", "relative")]).unwrap_err();
            assert!(error.remedy().contains("--store"), "{error}");
        }
        assert_eq!(expand("$XDG_STATE_HOME/x", &[("XDG_STATE_HOME", "/s")]).unwrap(), "/s/x");
    }
}
