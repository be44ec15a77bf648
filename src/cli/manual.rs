//! Shell completions and the man page, from the same definition that parses the command line.

use std::io::{self, Write};

use clap::Args;

#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Args, Clone, Debug)]
pub struct Man {
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// Writes the completion script for a shell.
///
/// # Errors
/// The output's.
pub fn completions(options: &Completions, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut crate::args::definition(), "kiba-cli", &mut script);
    out.write_all(&script)
}

/// Writes the man page.
///
/// # Errors
/// The output's.
pub fn man(out: &mut dyn Write) -> io::Result<()> {
    clap_mangen::Man::new(crate::args::definition()).render(out)
}
