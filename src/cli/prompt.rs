//! The prompt: line editing, history, and what it shows about the connection.

use std::borrow::Cow;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reedline::{Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline, Signal};

use crate::history;
use crate::script::{self, Next};
use crate::session::{Session, Trouble};

/// Reads and runs lines until the user leaves.
pub fn run(session: &mut Session) -> ExitCode {
    session.interactive = true;
    let interrupted = Arc::new(AtomicBool::new(false));
    if signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted)).is_ok() {
        session.interruptible(interrupted);
    }
    if let Err(line) = session.connect() {
        eprintln!("{line}");
    }
    let mut editor = editor();
    loop {
        let line = match editor.read_line(&Where::of(session)) {
            Ok(Signal::Success(line)) => line,
            // Ctrl-C throws the line away.
            Ok(Signal::CtrlC) => continue,
            Ok(_) => return ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("kiba-cli: cannot read from the terminal: {error}");
                return ExitCode::FAILURE;
            }
        };
        // A pasted text may hold several lines; each is a command of its own.
        for line in line.lines() {
            match script::line(session, line.as_bytes(), &mut io::stdout()) {
                Ok(Next::Go) | Err(Trouble::Reported) => {}
                Ok(Next::Quit) => {
                    let _ = editor.sync_history();
                    return ExitCode::SUCCESS;
                }
                Err(trouble) => return script::code(Err(trouble)),
            }
        }
        // A history that cannot be written is an inconvenience, not an error.
        let _ = editor.sync_history();
    }
}

fn editor() -> Reedline {
    let editor = Reedline::create().use_bracketed_paste(true);
    if let Some(path) = history::path() {
        if let Ok(store) = history::Guarded::open(&path) {
            return editor.with_history(Box::new(store));
        }
    }
    editor
}

/// What the prompt says: `kiba[db](TX)> `.
struct Where {
    text: String,
}

impl Where {
    fn of(session: &Session) -> Where {
        if !session.is_connected() {
            return Where { text: "not connected> ".into() };
        }
        let db = match session.db() {
            0 => String::new(),
            db => format!("[{db}]"),
        };
        let transaction = if session.in_multi() { "(TX)" } else { "" };
        Where { text: format!("kiba{db}{transaction}> ") }
    }
}

impl Prompt for Where {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.text)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = if matches!(search.status, PromptHistorySearchStatus::Failing) { "failing " } else { "" };
        Cow::Owned(format!("({failing}reverse search) {}: ", search.term))
    }
}
