//! The history file, and what never enters it: lines that hold a password.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use reedline::{FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, Result, SearchQuery};

use crate::{args, quote};

/// Lines kept; the file stays far below a megabyte.
pub const LINES_MAX: usize = 5_000;

/// Where the history lives: `KIBACLI_HISTFILE`, else `~/.kibacli_history`; `None` when there is no home, or when the
/// variable names `/dev/null`.
pub fn path() -> Option<PathBuf> {
    let path = match std::env::var_os("KIBACLI_HISTFILE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".kibacli_history"),
    };
    (!path.as_os_str().is_empty() && path.as_os_str() != "/dev/null").then_some(path)
}

/// The editor's history with a guard at its door: the editor hands every line to `save`.
pub struct Guarded(FileBackedHistory);

impl Guarded {
    /// Opens or creates the file, readable for its owner alone.
    ///
    /// # Errors
    /// When the file cannot be used; the prompt then works with no history.
    pub fn open(path: &Path) -> Result<Guarded> {
        // Failing to create it is found again, and reported, by the line below.
        let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        FileBackedHistory::with_file(LINES_MAX, path.to_path_buf()).map(Guarded)
    }
}

impl History for Guarded {
    fn save(&mut self, item: HistoryItem) -> Result<HistoryItem> {
        match item.command_line.lines().all(|line| may_store(line.as_bytes())) {
            true => self.0.save(item),
            false => Ok(item),
        }
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(&mut self, id: HistoryItemId, updater: &dyn Fn(HistoryItem) -> HistoryItem) -> Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}

/// Whether a typed line may be remembered. When in doubt it may not: a line that cannot be split is judged by its text.
pub fn may_store(line: &[u8]) -> bool {
    if line.trim_ascii().is_empty() || line.starts_with(b" ") {
        return false;
    }
    let words = quote::split(line)
        .unwrap_or_else(|| line.split(|byte| byte.is_ascii_whitespace()).map(<[u8]>::to_vec).collect());
    let mut words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).collect();
    // A repeat count in front changes nothing about the line behind it.
    if words.len() > 1 && words[0].parse::<i64>().is_ok() {
        words.remove(0);
    }
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    match word(0) {
        "auth" => false,
        "hello" => !has(&["auth"]),
        "migrate" => !has(&["auth", "auth2"]),
        "acl" => word(1) != "setuser",
        "config" => word(1) != "set" || !words.iter().any(|word| SECRETS.contains(&word.as_str())),
        "sentinel" => word(1) != "set" || !has(&["auth-pass", "auth-user"]),
        // Our own tools take a password as an option or within an address.
        tool if tool.starts_with('.') || args::is_bare_tool(tool) => {
            !has(&["-a", "--pass"]) && !words.iter().any(|word| word.contains("://") && word.contains('@'))
        }
        _ => true,
    }
}

/// Directives whose value is a secret.
const SECRETS: [&str; 7] = [
    "requirepass",
    "masterauth",
    "masteruser",
    "primaryauth",
    "primaryuser",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_password_are_never_stored() {
        for line in [
            "AUTH secret",
            "auth user secret",
            "3 auth secret",
            "\"auth\" secret",
            "auth \"broken",
            "HELLO 3 AUTH default secret",
            "config set maxmemory 1gb requirepass secret",
            "CONFIG SET masterauth secret",
            "acl setuser bob >secret on",
            "MIGRATE h 1 k 0 5 AUTH secret KEYS a",
            "migrate h 1 k 0 5 auth2 u p",
            ".bench -a secret",
            "bench --pass secret",
            ".copy kiba://:secret@h:1 h:2",
            "diff h:1 redis://u:secret@h:2",
            " get hidden",
            "",
        ] {
            assert!(!may_store(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn other_lines_are_stored() {
        for line in [
            "get auth",
            "config get requirepass",
            "hello 3",
            "acl getuser bob",
            "config set maxmemory 1",
            "set a \"",
            "set url http://a@b",
            "diff h:1 h:2",
        ] {
            assert!(may_store(line.as_bytes()), "{line}");
        }
    }
}
