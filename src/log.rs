//! The log: `tracing` events as text or JSON, on the standard output or in a file.
//!
//! Redis' levels are mapped onto those of `tracing`: warning takes warnings and errors, notice also `info!`, verbose
//! and debug also `debug!`, trace everything.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use crate::config::{Config, LogFormat, LogLevel};

/// Changes the level of the log while the server runs.
#[derive(Clone, Debug)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
}

impl Log {
    /// Installs the process' log as the configuration says. Call it once, after changing into `dir`.
    ///
    /// # Errors
    /// When `logfile` cannot be opened for appending, or a log is installed already.
    pub fn install(config: &Config) -> io::Result<Log> {
        let path = config.logfile();
        let (log, subscriber) = if path.is_empty() {
            let is_terminal = io::stdout().is_terminal();
            Log::build(config.loglevel(), config.log_format(), is_terminal, io::stdout)
        } else {
            let file = LogFile::open(&path)?;
            Log::build(config.loglevel(), config.log_format(), false, file)
        };
        tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
        Ok(log)
    }

    /// Logs at another level from now on.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the subscriber is gone, and then nobody logs.
        let _ = self.level.reload(filter(level));
    }

    /// A log that writes to `writer`, not installed.
    fn build<W>(
        level: LogLevel,
        format: LogFormat,
        has_colours: bool,
        writer: W,
    ) -> (Log, Box<dyn Subscriber + Send + Sync>)
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let (filter, level) = reload::Layer::new(filter(level));
        let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(has_colours);
        let lines = match format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        (Log { level }, Box::new(Registry::default().with(filter).with(lines)))
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Nothing => LevelFilter::OFF,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Verbose | LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// A log file that is opened for each event, as Redis does, so that it can be renamed or removed at any time. At the
/// levels that run in production, events are rare enough for the two extra system calls.
#[derive(Clone, Debug)]
struct LogFile {
    /// Absolute: CONFIG SET dir must not move the log.
    path: Arc<PathBuf>,
}

impl LogFile {
    fn open(path: &str) -> io::Result<LogFile> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot open the logfile {path}: {error}"));
        let path = std::path::absolute(path).map_err(named)?;
        append(&path).map_err(named)?;
        Ok(LogFile { path: Arc::new(path) })
    }
}

fn append(path: &std::path::Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Box<dyn Write>;

    fn make_writer(&'a self) -> Box<dyn Write> {
        match append(&self.path) {
            Ok(file) => Box::new(file),
            // The disk is full or the directory is gone: say it where somebody may still see it.
            Err(_) => Box::new(io::stderr()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing::{debug, error, info, trace, warn};

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().expect("not poisoned"))).expect("UTF-8")
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Memory {
        type Writer = Memory;

        fn make_writer(&'a self) -> Memory {
            self.clone()
        }
    }

    fn log_all() {
        trace!("the trace");
        debug!("the debug");
        info!("the info");
        warn!("the warn");
        error!("the error");
    }

    #[test]
    fn the_level_filters_and_can_change() {
        let memory = Memory::default();
        let (log, subscriber) = Log::build(LogLevel::Notice, LogFormat::Text, false, memory.clone());
        tracing::subscriber::with_default(subscriber, || {
            for (level, count) in [
                (LogLevel::Notice, 3),
                (LogLevel::Warning, 2),
                (LogLevel::Nothing, 0),
                (LogLevel::Verbose, 4),
                (LogLevel::Debug, 4),
                (LogLevel::Trace, 5),
            ] {
                log.set_level(level);
                log_all();
                assert_eq!(memory.take().lines().count(), count, "{level}");
            }
        });
    }

    #[test]
    fn text_and_json_are_one_line_an_event() {
        for (format, expected) in
            [(LogFormat::Text, " INFO kiba::log::tests: client closed id=7"), (LogFormat::Json, r#""id":7"#)]
        {
            let memory = Memory::default();
            let (_log, subscriber) = Log::build(LogLevel::Notice, format, false, memory.clone());
            tracing::subscriber::with_default(subscriber, || {
                info!(id = 7, "client closed");
                info!("forged\nline");
            });
            let text = memory.take();
            assert!(text.contains(expected), "{text}");
            assert_eq!(format == LogFormat::Json, text.starts_with('{'), "{text}");
        }
    }

    #[test]
    fn the_file_is_appended_to_and_may_be_moved_away() {
        let dir = std::env::temp_dir().join(format!("kiba-log-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let path = dir.join("kiba.log");
        std::fs::write(&path, "before\n").expect("writable");
        let file = LogFile::open(path.to_str().expect("UTF-8")).expect("writable");
        let (_log, subscriber) = Log::build(LogLevel::Notice, LogFormat::Text, false, file);
        tracing::subscriber::with_default(subscriber, || {
            info!("one");
            std::fs::rename(&path, dir.join("old.log")).expect("it exists");
            info!("two");
        });
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("it was written");
        assert!(read("old.log").starts_with("before\n") && read("old.log").ends_with("one\n"));
        assert!(read("kiba.log").ends_with("two\n") && !read("kiba.log").contains("one"));
        let error = LogFile::open("/no/such/directory/kiba.log").unwrap_err().to_string();
        assert!(error.starts_with("cannot open the logfile /no/such/directory/kiba.log: No such file"), "{error}");
        std::fs::remove_dir_all(&dir).expect("own directory");
    }
}
