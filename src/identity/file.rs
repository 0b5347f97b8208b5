//! Small files that hold secrets.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::{refusal::Refusal, text::one_line};

/// Tokens and keys take a few KB, certificate chains some dozen; anything larger is a mix-up.
const LARGEST: u64 = 256 * 1024;

/// A file and what it is for, to name both in errors.
#[derive(Debug, Clone)]
pub(super) struct SecretFile {
    pub(super) path: PathBuf,
    /// Such as "the token file".
    pub(super) what: &'static str,
    /// The variable that names it.
    pub(super) variable: &'static str,
}

impl SecretFile {
    /// Reads it, off the threads that must not block.
    pub(super) async fn read(&self) -> Result<SecretSlice<u8>, Refusal> {
        let file = self.clone();
        tokio::task::spawn_blocking(move || file.read_blocking())
            .await
            .unwrap_or_else(|_| Err(self.refusal("could not be read")))
    }

    pub(super) fn read_blocking(&self) -> Result<SecretSlice<u8>, Refusal> {
        match read(&self.path) {
            Ok(Some(content)) => Ok(content),
            Ok(None) => Err(self.refusal("is larger than 256 KiB")),
            Err(error) => Err(self.refusal(&format!("cannot be read: {error}"))),
        }
    }

    /// What is wrong with it, and that another file is the remedy.
    pub(super) fn refusal(&self, problem: &str) -> Refusal {
        let shown = one_line(&self.path.display().to_string());
        Refusal::lasting(
            format!("{} {shown} {problem}", self.what),
            format!("point {} at a file that holds it and that this user may read", self.variable),
        )
    }
}

fn read(path: &Path) -> io::Result<Option<SecretSlice<u8>>> {
    let mut content = Vec::new();
    let file = File::open(path)?;
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    let length = content.len();
    let content = SecretSlice::from(content);
    Ok(u64::try_from(length).is_ok_and(|length| length <= LARGEST).then_some(content))
}

/// A token as it can go into a header: trimmed, not empty, visible ASCII and no space.
///
/// # Errors
/// What is wrong with it, continuing the sentence "the token …"; never any of it.
pub(super) fn bearer(text: &[u8]) -> Result<SecretString, &'static str> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err("is empty");
    }
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer ")) {
        return Err("begins with the word Bearer, which is not part of it");
    }
    if !text.iter().all(u8::is_ascii_graphic) {
        return Err("holds characters that no token has (spaces, line breaks or non-ASCII)");
    }
    let text = std::str::from_utf8(text).map_err(|_| "is not text")?;
    Ok(SecretString::from(text))
}

/// The same of a file's content.
pub(super) fn bearer_of(
    file: &SecretFile,
    content: &SecretSlice<u8>,
) -> Result<SecretString, Refusal> {
    bearer(content.expose_secret()).map_err(|problem| file.refusal(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_anything_that_would_break_a_header_is_refused() {
        let good = bearer(b" eyJ.abc-_~+/=\r\n").map(|token| token.expose_secret().to_owned());
        assert_eq!(good, Ok("eyJ.abc-_~+/=".to_owned()));
        let bad: [&[u8]; 7] =
            [b"", b" \n", b"Bearer x", b"a b", b"a\nb", b"a\x7fb", "tökén".as_bytes()];
        for text in bad {
            assert!(bearer(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_the_one_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tok\u{1b}en");
        let file = SecretFile { path, what: "the token file", variable: "STARTGUARD_TOKEN_FILE" };
        let told = file.read_blocking().unwrap_err();
        assert!(told.problem.contains("tok en cannot be read"), "{}", told.problem);
        assert!(told.remedy.contains("STARTGUARD_TOKEN_FILE"));
        let large = usize::try_from(LARGEST).unwrap() + 1;
        std::fs::write(&file.path, vec![b'a'; large]).unwrap();
        assert!(file.read_blocking().unwrap_err().problem.contains("256 KiB"));
        std::fs::write(&file.path, vec![b'a'; large - 1]).unwrap();
        assert_eq!(file.read_blocking().unwrap().expose_secret().len(), large - 1);
    }
}
