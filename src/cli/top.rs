//! `top`: the server at a glance, refreshed every second.
//!
//! All figures come from INFO, SLOWLOG and, under an LFU policy, OBJECT FREQ; a part that the server does not offer is
//! left empty. The screen is laid out for 80 x 24 and grows from there.

#[path = "top/sample.rs"]
mod sample;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::{Frame, Terminal};

use crate::args::Connect;
use crate::client::{Connection, Target};
use crate::output::say;
use crate::peek::{bytes_text, span};
use crate::view::cut;

use sample::Sample;

/// Points of the curve that are kept: more than any terminal is wide.
const CURVE_MAX: usize = 500;

#[derive(Args, Clone, Debug)]
pub struct Top {
    /// Seconds between two refreshes.
    #[arg(long, value_name = "seconds", default_value_t = 1.0)]
    pub interval: f64,
    /// Print one screen of 80 x 24 as text and end.
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub connect: Connect,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// What is on the screen.
struct Screen {
    address: String,
    sample: Sample,
    ops: VecDeque<u64>,
    interval: Duration,
    paused: bool,
    /// Why the figures are old, when they are.
    trouble: Option<String>,
}

/// Runs until q, Esc or Ctrl-C.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, options: &Top) -> Result<(), String> {
    let interval = crate::script::seconds(options.interval).max(Duration::from_millis(100));
    let mut connection = Connection::log_in(target)?;
    let first = Sample::take(&mut connection, None)?;
    let mut screen = Screen {
        address: target.address.to_string(),
        sample: first,
        ops: VecDeque::new(),
        interval,
        paused: false,
        trouble: None,
    };
    if options.once {
        std::thread::sleep(interval);
        screen.refresh(&mut Some(connection), target);
        say(screen.text().trim_end());
        return Ok(());
    }
    let mut terminal = ratatui::try_init().map_err(|error| format!("kiba-cli: top needs a terminal: {error}"))?;
    let result = screen.live(&mut terminal, connection, target);
    ratatui::restore();
    result.map_err(|error| error.to_string())
}

impl Screen {
    fn live(
        &mut self,
        terminal: &mut ratatui::DefaultTerminal,
        connection: Connection,
        target: &Target,
    ) -> io::Result<()> {
        let mut connection = Some(connection);
        let mut due = Instant::now() + self.interval;
        loop {
            terminal.draw(|frame| self.draw(frame))?;
            if event::poll(due.saturating_duration_since(Instant::now()))? {
                if let Event::Key(key) = event::read()? {
                    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        _ if key.kind == KeyEventKind::Release => {}
                        KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                        _ if control_c => return Ok(()),
                        KeyCode::Char('p' | ' ') => self.paused = !self.paused,
                        KeyCode::Char('+') => self.interval = (self.interval * 2).min(Duration::from_secs(60)),
                        KeyCode::Char('-') => self.interval = (self.interval / 2).max(Duration::from_millis(125)),
                        _ => {}
                    }
                }
                continue;
            }
            due = Instant::now() + self.interval;
            if !self.paused {
                self.refresh(&mut connection, target);
            }
        }
    }

    /// Takes the next sample, over a new connection when the old one is gone.
    fn refresh(&mut self, connection: &mut Option<Connection>, target: &Target) {
        let taken = connection.take().map_or_else(|| Connection::log_in(target), Ok).and_then(|mut open| {
            let sample = Sample::take(&mut open, Some(&self.sample))?;
            *connection = Some(open);
            Ok(sample)
        });
        match taken {
            Ok(sample) => {
                self.ops.push_front(sample.ops as u64);
                self.ops.truncate(CURVE_MAX);
                self.sample = sample;
                self.trouble = None;
            }
            Err(line) => self.trouble = Some(line),
        }
    }

    /// One screen as plain text.
    fn text(&self) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a backend in memory");
        terminal.draw(|frame| self.draw(frame)).expect("a backend in memory");
        let buffer = terminal.backend().buffer();
        let line = |y| (0..80).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_string() + "\n";
        (0..24).map(line).collect()
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [title, figures, curve, tables, slow, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(3),
            Constraint::Length(4),
            Constraint::Min(8),
            Constraint::Length(6),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        self.draw_title(frame, title);
        self.draw_figures(frame, figures);
        let ms = |part| self.sample.ping(part).as_secs_f64() * 1e3;
        let block = Block::default()
            .borders(Borders::TOP)
            .title(format!(" requests/s: {:.0} ", self.sample.ops))
            .title(Line::from(format!(" PING p50 {:.2} ms  p99 {:.2} ms ", ms(0.5), ms(0.99))).right_aligned());
        let points: Vec<u64> = self.ops.iter().copied().collect();
        let line = Sparkline::default()
            .block(block)
            .data(points)
            .direction(ratatui::widgets::RenderDirection::RightToLeft)
            .style(Style::new().fg(Color::Cyan));
        frame.render_widget(line, curve);
        let [commands, right] =
            Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(tables);
        self.draw_commands(frame, commands);
        let [databases, hot] = Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(right);
        self.draw_databases(frame, databases);
        self.draw_hot(frame, hot);
        self.draw_slow(frame, slow);
        let state = match (&self.trouble, self.paused) {
            (Some(line), _) => Span::styled(cut(line, 60), Style::new().fg(Color::Red)),
            (None, true) => Span::styled("paused", Style::new().fg(Color::Yellow)),
            (None, false) => Span::raw(format!("every {:.3} s", self.interval.as_secs_f64())),
        };
        let help = Span::styled(" q quit  p pause  + - interval   ", Style::new().add_modifier(Modifier::DIM));
        frame.render_widget(Line::from(vec![help, state]), keys);
    }

    fn draw_title(&self, frame: &mut Frame<'_>, area: Rect) {
        let sample = &self.sample;
        let text = format!(" {}  {}  {}  up {}", self.address, sample.version, sample.role, span(sample.uptime * 1000));
        frame.render_widget(Line::styled(text, Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)), area);
    }

    fn draw_figures(&self, frame: &mut Frame<'_>, area: Rect) {
        let sample = &self.sample;
        let hits = sample.hit_rate.map_or("-".to_string(), |rate| format!("{:.1} %", rate * 100.0));
        let limit = match sample.memory_max {
            0 => String::new(),
            max => format!(" of {}", bytes_text(max)),
        };
        // Not every server keeps it.
        let peak = match sample.memory_peak {
            0 => "-".to_string(),
            peak => bytes_text(peak),
        };
        let rate = |bytes: f64| format!("{}/s", bytes_text(bytes.max(0.0) as u64));
        let lines = [
            format!(
                " clients {:<6} blocked {:<5} hit rate {:<8} expired/s {:<6.0} evicted/s {:.0}",
                sample.clients, sample.blocked, hits, sample.expired, sample.evicted
            ),
            format!(
                " memory {}{limit}  peak {peak}  rss {}  fragmentation {:.2}",
                bytes_text(sample.memory),
                bytes_text(sample.memory_rss),
                sample.fragmentation
            ),
            format!(
                " network in {}  out {}   cpu {:.0} %   keys {}",
                rate(sample.net_in),
                rate(sample.net_out),
                sample.cpu * 100.0,
                sample.databases.iter().map(|(_, keys, _)| keys).sum::<u64>()
            ),
        ];
        frame.render_widget(Paragraph::new(lines.map(Line::from).to_vec()), area);
    }

    fn draw_commands(&self, frame: &mut Frame<'_>, area: Rect) {
        let number = |value: Option<f64>| value.map_or("-".to_string(), |value| format!("{value:.1}"));
        let block = Block::default().borders(Borders::TOP).title(" commands ");
        let Some(commands) = &self.sample.commands else {
            return frame.render_widget(Paragraph::new(absent("this server does not count them")).block(block), area);
        };
        let rows = commands.iter().map(|command| {
            let cells = [
                cut(&command.name, 15),
                format!("{:>8.0}", command.per_second),
                format!("{:>6}", number(command.mean_us)),
                format!("{:>6}", number(command.p50_us)),
                format!("{:>7}", number(command.p99_us)),
            ];
            Row::new(cells.map(Cell::from))
        });
        let widths = [
            Constraint::Min(10),
            Constraint::Length(8),
            Constraint::Length(6),
            Constraint::Length(6),
            Constraint::Length(7),
        ];
        let heading = Row::new(["command", "   req/s", "us avg", "   p50", "    p99"]);
        let table =
            Table::new(rows, widths).header(heading.style(Style::new().add_modifier(Modifier::BOLD))).block(block);
        frame.render_widget(table, area);
    }

    fn draw_databases(&self, frame: &mut Frame<'_>, area: Rect) {
        let line =
            |(db, keys, expires): &(u64, u64, u64)| Line::from(format!(" db{db}: {keys} keys, {expires} expire"));
        let lines: Vec<_> = self.sample.databases.iter().map(line).collect();
        let block = Block::default().borders(Borders::TOP | Borders::LEFT).title(" keyspace ");
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }

    fn draw_hot(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines: Vec<_> = match &self.sample.hot {
            Some(keys) => keys.iter().map(|(count, key)| Line::from(format!(" {count:>3} {}", cut(key, 40)))).collect(),
            None => vec![absent("needs an LFU policy")],
        };
        let block = Block::default().borders(Borders::TOP | Borders::LEFT).title(" hot keys ");
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }

    fn draw_slow(&self, frame: &mut Frame<'_>, area: Rect) {
        let line =
            |(us, text): &(u64, String)| Line::from(format!(" {:>9.3} ms  {}", *us as f64 / 1e3, cut(text, 200)));
        let lines = match &self.sample.slow {
            Some(entries) => entries.iter().map(line).collect(),
            None => vec![absent("this server keeps none")],
        };
        let block = Block::default().borders(Borders::TOP).title(" slow log, newest first ");
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

/// What stands where the server has nothing to show.
fn absent(why: &str) -> Line<'static> {
    Line::styled(format!(" {why}"), Style::new().add_modifier(Modifier::DIM))
}
