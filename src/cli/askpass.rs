//! `--askpass`: a password that is neither shown nor kept in the process list.

use std::io::{self, BufRead, IsTerminal, Write};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;

/// Reads a password: with stars from a terminal, otherwise the first line of standard input. `None` for an empty one.
///
/// # Errors
/// The terminal's, or `Interrupted` after Ctrl-C.
pub fn ask() -> io::Result<Option<String>> {
    let password = match io::stdin().is_terminal() {
        true => {
            // Before the question, so that not even a hasty answer is echoed.
            terminal::enable_raw_mode()?;
            eprint!("Please input password: ");
            let typed = io::stderr().flush().and_then(|()| typed());
            terminal::disable_raw_mode()?;
            eprintln!();
            typed?
        }
        false => {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_string()
        }
    };
    Ok(Some(password).filter(|password| !password.is_empty()))
}

fn typed() -> io::Result<String> {
    let mut password = String::new();
    loop {
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Ok(password),
            // Enter that was pressed before the terminal was set.
            KeyCode::Char('j') if control => return Ok(password),
            KeyCode::Char('c') if control => return Err(io::ErrorKind::Interrupted.into()),
            KeyCode::Char('u') if control => {
                eprint!("{}", "\x08 \x08".repeat(password.chars().count()));
                password.clear();
            }
            KeyCode::Char(char) if !control => {
                password.push(char);
                eprint!("*");
            }
            KeyCode::Backspace if password.pop().is_some() => eprint!("\x08 \x08"),
            _ => {}
        }
        io::stderr().flush()?;
    }
}
