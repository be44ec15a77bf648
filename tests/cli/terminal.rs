//! kiba-cli at a pseudo-terminal, with an emulator that keeps the screen and answers what programs ask a terminal.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

/// How long a test waits for something to appear before it fails. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    input: Box<dyn Write + Send>,
    parser: vt100::Parser,
    /// Keeps the terminal open.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    /// Starts the client on a terminal of 80 x 24 with this history file.
    pub fn start(args: &[&str], history: &str) -> Terminal {
        Terminal::start_with(args, history, (80, 24), &[])
    }

    /// Starts the client on a terminal of so many columns and rows, with more variables in its environment.
    pub fn start_with(args: &[&str], history: &str, (cols, rows): (u16, u16), variables: &[(&str, &str)]) -> Terminal {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_kiba-cli"));
        command.args(args);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        command.env("HOME", std::env::temp_dir());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("KIBACLI_HISTFILE", history);
        variables.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("kiba-cli starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let input = pair.master.take_writer().expect("a writer");
        Terminal { child, output, input, parser: vt100::Parser::new(rows, cols, 0), _master: pair.master }
    }

    pub fn send(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).expect("the terminal takes input");
        self.input.flush().expect("the terminal takes input");
    }

    /// Types a line and presses Enter.
    pub fn line(&mut self, text: &str) {
        self.send(text);
        self.send("\r");
    }

    /// Waits until the screen's text satisfies `wanted`.
    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("waited for {what}; the screen:\n{screen}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the client ended before {what}; the screen:\n{screen}"),
            }
        }
    }

    /// Waits until the screen contains `text`.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Waits until the last line that is not empty begins with `text`.
    #[track_caller]
    pub fn expect_last(&mut self, text: &str) -> String {
        self.wait(text, |screen| {
            screen.lines().rfind(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with(text))
        })
    }

    /// Waits until the client has ended, and returns its exit code.
    pub fn ended(mut self) -> u32 {
        // Reading on keeps the client from waiting for a full terminal.
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.take(&bytes);
        }
        self.child.wait().expect("it can be waited for").exit_code()
    }

    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// The colour of the first character of `text` on the screen.
    pub fn colour(&self, text: &str) -> Option<vt100::Color> {
        let screen = self.parser.screen();
        let (rows, columns) = screen.size();
        (0..rows).find_map(|row| {
            let line = screen.contents_between(row, 0, row, columns);
            let column = line.find(text)?;
            Some(screen.cell(row, column as u16)?.fgcolor())
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        // The line editor asks where the cursor is; a terminal that does not answer would stall it.
        let mut rest = bytes;
        while let Some(at) = rest.windows(4).position(|window| window == b"\x1b[6n") {
            self.parser.process(&rest[..at]);
            let (row, column) = self.parser.screen().cursor_position();
            self.send(&format!("\x1b[{};{}R", row + 1, column + 1));
            rest = &rest[at + 4..];
        }
        self.parser.process(rest);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
