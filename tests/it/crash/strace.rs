//! Running programs under `strace`, and reading what it wrote down. It sees every system call,
//! whichever library made it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::disk::{Deed, is_index};

/// Every call that changes a file, a name or what is flushed, and those that send or print.
const CALLS: &str = "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendfile,copy_file_range,\
    splice,fsync,fdatasync,sync,syncfs,sync_file_range,msync,ftruncate,truncate,fallocate,open,openat,\
    openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,\
    symlinkat,mmap";

/// What happened, in order.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Something was done to the folder.
    Folder(Deed),
    /// A start of this job is on its way to Graph, from the instant that its bytes may have left.
    Posted(String),
    /// A program printed this.
    Said(String),
}

/// Whether programs can be traced here.
pub(super) fn works() -> bool {
    Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=none", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What to put before a command, so that it and its children are written down in `log`.
pub(super) fn recording(log: &Path) -> Vec<String> {
    let trace = format!("trace={CALLS}");
    let log = log.display().to_string();
    // Every byte, as hexadecimal digits; nothing is cut off.
    let words = ["strace", "-f", "--seccomp-bpf", "-q", "-y", "-xx", "-s", "16777216"];
    let more = ["-e", &trace, "-e", "signal=none", "-o", &log];
    words.into_iter().chain(more).map(str::to_owned).collect()
}

/// What to put before a command, so that each of its threads is killed as it enters the call of that
/// name for the `nth` time.
pub(super) fn killing(call: &str, nth: usize) -> Vec<String> {
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:signal=KILL:when={nth}");
    // Without `--seccomp-bpf`, with which strace 6.1 counts no further than to the first call.
    let words = ["strace", "-f", "-q", "-o", "/dev/null"];
    words.into_iter().chain(["-e", &trace, "-e", &inject]).map(str::to_owned).collect()
}

/// What programs did to `root` and said, by the log.
pub(super) fn read(log: &str, root: &Path) -> Vec<Event> {
    let mut reader = Reader { root, events: Vec::new(), unfinished: HashMap::new() };
    for line in log.lines() {
        reader.line(line);
    }
    reader.events
}

struct Reader<'a> {
    root: &'a Path,
    events: Vec<Event>,
    /// Calls under way by thread: their beginning, and the number of the event that it is.
    unfinished: HashMap<String, (String, usize)>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let (thread, said) = line.trim_start().split_once(' ').unwrap_or_default();
        let said = said.trim_start();
        if said.starts_with("+++") || said.starts_with("---") {
            // A call that a thread died in was not made.
            self.unfinished.remove(thread);
        } else if let Some(rest) = said.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").expect("a call goes on");
            let (begun, began) = self.unfinished.remove(thread).expect("a call that began");
            self.ended(&format!("{begun}{rest}"), began);
        } else if let Some(begun) = said.strip_suffix(" <unfinished ...>") {
            let began = self.events.len();
            self.begun(begun);
            self.unfinished.insert(thread.to_owned(), (begun.to_owned(), began));
        } else {
            let began = self.events.len();
            self.begun(said);
            self.ended(said, began);
        }
    }

    fn begun(&mut self, call: &str) {
        let sends = ["write(", "writev(", "sendto(", "sendmsg("];
        if sends.iter().any(|name| call.starts_with(name)) {
            for text in strings(call) {
                if let Some(job) = started(&String::from_utf8_lossy(&text)) {
                    self.events.push(Event::Posted(job));
                }
            }
        }
    }

    fn ended(&mut self, call: &str, began: usize) {
        let (name, arguments) = call.split_once('(').expect("a call");
        let (arguments, result) = arguments.rsplit_once(" = ").expect("a result");
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        let deed = match name {
            "write" | "writev" | "sendto" | "sendmsg" => {
                self.said(name, arguments);
                return;
            }
            "pwrite64" => self.open_file(arguments).map(|path| {
                let bytes = strings(arguments).swap_remove(0);
                let at = number(arguments, 0);
                assert_eq!(result.parse(), Ok(bytes.len()), "written in part: {call}");
                Deed::Write { path, at, bytes }
            }),
            "ftruncate" => self
                .open_file(arguments)
                .map(|path| Deed::Resize { path, length: number(arguments, 0) }),
            "fsync" | "fdatasync" => {
                self.open_file(arguments).map(|path| Deed::Flush { path, began })
            }
            "open" | "openat" | "creat" => {
                let path = self.named(arguments, 0);
                assert!(
                    path.is_none() || !(arguments.contains("O_TRUNC") || name == "creat"),
                    "the model knows no opening that empties: {call}"
                );
                path.filter(|_| arguments.contains("O_CREAT")).map(Deed::Create)
            }
            "mkdir" | "mkdirat" => self.named(arguments, 0).map(Deed::MakeFolder),
            "unlink" | "unlinkat" | "rmdir" => self.named(arguments, 0).map(Deed::Remove),
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                let (from, to) = (self.named(arguments, 0), self.named(arguments, 1));
                assert_eq!(from.is_some(), to.is_some(), "in or out of the folder: {call}");
                from.zip(to).map(|(from, to)| {
                    if name.starts_with("link") {
                        Deed::Link { from, to }
                    } else {
                        Deed::Rename { from, to }
                    }
                })
            }
            "mmap" => {
                // Memory that is shared by way of a file is written without a call.
                let shared = arguments.contains("MAP_SHARED") && arguments.contains("PROT_WRITE");
                assert!(!shared || self.open_file(arguments).is_none(), "mapped: {call}");
                None
            }
            // Flushes that are promised less than `fsync` is: worth nothing here.
            "sync" | "syncfs" | "sync_file_range" | "msync" => None,
            _ => {
                let inside = self.open_file(arguments).or_else(|| self.named(arguments, 0));
                assert!(inside.is_none(), "the model does not know this call: {call}");
                None
            }
        };
        self.events.extend(deed.map(Event::Folder));
    }

    fn said(&mut self, name: &str, arguments: &str) {
        assert!(self.open_file(arguments).is_none(), "where is this written? {arguments}");
        if name == "write" && arguments.starts_with("1<") {
            let text: Vec<u8> = strings(arguments).concat();
            self.events.push(Event::Said(String::from_utf8_lossy(&text).into_owned()));
        }
    }

    /// The path of the open file that comes first among the arguments, if it lies in the folder.
    fn open_file(&self, arguments: &str) -> Option<PathBuf> {
        let (_, rest) = arguments.split_once('<')?;
        let (path, after) = rest.split_once('>')?;
        let path = String::from_utf8_lossy(&unhex(path)).into_owned();
        // Without a name, it is nothing that survives.
        if after.starts_with("(deleted)") || path.ends_with(" (deleted)") {
            return None;
        }
        self.inside(Path::new(&path))
    }

    /// The path that is given by name, the first or the second.
    fn named(&self, arguments: &str, which: usize) -> Option<PathBuf> {
        let path = strings(arguments).into_iter().nth(which)?;
        self.inside(Path::new(String::from_utf8_lossy(&path).as_ref()))
    }

    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let path = path.strip_prefix(self.root).ok()?;
        (!is_index(path)).then(|| path.to_owned())
    }
}

/// The job that these bytes, sent to Graph, start.
fn started(sent: &str) -> Option<String> {
    let (path, _) = sent.strip_prefix("POST ")?.split_once(' ')?;
    let (_, job) = path.strip_suffix("/start")?.rsplit_once('/')?;
    Some(job.to_owned())
}

/// The strings among arguments.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = arguments;
    while let Some((_, string)) = rest.split_once('"') {
        let (string, after) = string.split_once('"').unwrap_or((string, ""));
        assert!(!after.starts_with("..."), "cut off: {arguments}");
        found.push(unhex(string));
        rest = after;
    }
    found
}

/// The number that is the last argument but so many.
fn number(arguments: &str, from_last: usize) -> usize {
    let arguments = arguments.trim_end().strip_suffix(')').unwrap_or(arguments);
    let number = arguments.rsplit(", ").nth(from_last).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number: {arguments}"))
}

/// `\x2f\x74` in bytes; what is not written so stands for itself.
fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.strip_prefix("\\x").and_then(|digits| digits.get(..2));
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
        } else {
            let (first, after) = rest.as_bytes().split_first().expect("not empty");
            bytes.push(*first);
            rest = std::str::from_utf8(after).expect("strace writes ASCII");
        }
    }
    bytes
}
