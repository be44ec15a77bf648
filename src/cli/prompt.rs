//! The prompt: line editing, history, and what it shows about the connection.

use std::borrow::Cow;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedline::{
    ColumnarMenu, Emacs, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch,
    PromptHistorySearchStatus, Reedline, ReedlineEvent, ReedlineMenu, Signal,
};

use rustix::termios::{self, InputModes, LocalModes, OptionalActions, Termios};

use crate::complete::Completions;
use crate::hints::{Colours, Hints, Shared};
use crate::history;
use crate::script::{self, Next};
use crate::session::{Session, Trouble};
use crate::submit;

/// The completion menu's name in the editor.
const MENU: &str = "completions";

/// Reads and runs lines until the user leaves.
pub fn run(mut session: Session) -> ExitCode {
    session.interactive = true;
    let interrupted = Arc::new(AtomicBool::new(false));
    if signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted)).is_ok() {
        session.interruptible(interrupted);
    }
    if let Err(line) = session.connect() {
        eprintln!("{line}");
    }
    let _between_lines = TypeAhead::keep();
    let shared = Arc::new(Mutex::new(session));
    let mut editor = editor(&shared);
    loop {
        let prompt = Where::of(&lock(&shared));
        let line = match editor.read_line(&prompt) {
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
            lock(&shared).forget_interrupt();
            match submit::line(&mut lock(&shared), line) {
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

/// The terminal's mode while commands run, between two lines of the editor.
///
/// What is typed meanwhile is read by the editor later. It is not echoed, since the editor shows it then, and Enter
/// stays a carriage return: the editor ends a line there, while it would drop what follows a line feed in one read.
struct TypeAhead {
    original: Termios,
}

impl TypeAhead {
    /// Sets the mode until the value is dropped; `None` where standard input is no terminal after all.
    fn keep() -> Option<TypeAhead> {
        let original = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut mode = original.clone();
        mode.input_modes.remove(InputModes::ICRNL);
        mode.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &mode).ok()?;
        Some(TypeAhead { original })
    }
}

impl Drop for TypeAhead {
    fn drop(&mut self) {
        // When it cannot be set back the terminal is gone.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.original);
    }
}

/// The session; a helper that panicked has left nothing half done in it.
fn lock(shared: &Shared) -> MutexGuard<'_, Session> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn editor(shared: &Shared) -> Reedline {
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut keys = reedline::default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    let editor = Reedline::create()
        .use_bracketed_paste(true)
        .with_ansi_colors(colours)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_completer(Box::new(Completions { session: Arc::clone(shared) }))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU).with_marker(""))))
        .with_hinter(Box::new(Hints::new(Arc::clone(shared))))
        .with_highlighter(Box::new(Colours { session: Arc::clone(shared) }));
    match history::path().and_then(|path| history::Guarded::open(&path).ok()) {
        Some(store) => editor.with_history(Box::new(store)),
        None => editor,
    }
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
