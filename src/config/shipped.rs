//! The commented `kiba.conf` that ships with Kiba, generated from the table.

use super::table::{Change, SPECS};
use super::value::Kind;
use super::words::quoted;

const HEAD: &str = "\
# Kiba's configuration: every option with its documentation and its default.
#
#     kiba kiba.conf              start with this file
#     kiba kiba.conf --port 7000  flags override the file; every option is a flag
#     kiba --check kiba.conf      look for mistakes only
#
# A line is a name and its value. Words with blanks go in quotes, \"like this\". Sizes have units:
# 1k is 1000 bytes and 1kb is 1024, likewise m and mb, g and gb. `include FILE` reads another file
# in place. The format is redis.conf's, and so are the names, with what is Kiba's own added.
#
# Options marked (at start) take effect when Kiba starts. All others can be changed while it runs,
# with CONFIG SET, and written back into this file with CONFIG REWRITE; those marked (protected)
# only by clients that enable-protected-configs allows.
#
# This file is generated: kiba --print-conf > kiba.conf
";

/// Generates the shipped file: all options at their defaults, commented.
pub fn shipped() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for spec in SPECS {
        if spec.section != section {
            section = spec.section;
            text.push_str(&format!("\n{:#<98}\n", format!("### {section} ")));
        }
        text.push('\n');
        let mark = match spec.change {
            Change::AtStart => " (at start)",
            Change::Protected => " (protected)",
            Change::AnyTime => "",
        };
        for line in spec.doc {
            text.push_str(&format!("# {}", line.trim()));
            text.push_str(if Some(line) == spec.doc.last() { mark } else { "" });
            text.push('\n');
        }
        if !spec.aliases.is_empty() {
            text.push_str(&format!("# Also known as {}.\n", spec.aliases.join(", ")));
        }
        let value = match spec.kind {
            Kind::Limits => spec.default.to_owned(),
            _ => quoted(spec.default.as_bytes()),
        };
        match spec.example {
            Some(example) => text.push_str(&format!("# {} {example}\n", spec.name)),
            None => text.push_str(&format!("{} {value}\n", spec.name)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn the_shipped_file_is_what_the_table_generates() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/kiba.conf");
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert!(file == shipped(), "kiba.conf is out of date; run: cargo run -- --print-conf > kiba.conf");
    }

    #[test]
    fn the_shipped_file_changes_nothing() {
        let config = Config::from_text(&shipped()).expect("valid");
        assert_eq!(config.get(|_| true), Config::default().get(|_| true));
    }

    #[test]
    fn the_examples_are_valid() {
        for spec in SPECS {
            // The example's directory need not exist here.
            if let Some(example) = spec.example.filter(|_| spec.name != "dir") {
                Config::from_text(&format!("{} {example}", spec.name)).expect(spec.name);
            }
        }
    }

    #[test]
    fn lines_fit_a_screen() {
        for line in shipped().lines() {
            assert!(line.len() <= 120, "{line}");
        }
    }
}
