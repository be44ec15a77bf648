//! Turns into tables, a picture and a file of every number.

use std::fmt::Write;

use crate::Options;
use crate::cell::{Cell, Turn};
use crate::harness::Result;
use crate::harness::stats::{Median, rate, short, time};
use crate::harness::svg::{Chart, render};
use crate::harness::table::Table;

/// One row a cell and server, in the order of the turns.
pub fn table(turns: &[Turn], base: &str) -> Table {
    let mut table = Table::new(&[
        "cell",
        "server",
        "requests/s",
        "(range)",
        "p50",
        "p99",
        "p99.9",
        "max",
        "CPU us/req",
        "(range)",
        "switches/req",
        "calls/req",
        "RSS MiB",
        "gen CPU",
        "nil",
        "rate ratio",
        "CPU ratio",
        "(range)",
    ]);
    for (cell, server) in pairs(turns) {
        let mine: Vec<&Turn> = turns.iter().filter(|turn| turn.cell == *cell && turn.server == server).collect();
        let median = |of: &dyn Fn(&Turn) -> f64| Median::of(mine.iter().map(|turn| of(turn))).unwrap_or_default();
        let per_s = median(&Turn::rate);
        let cpu = median(&Turn::cpu);
        let (rates, cpus) = (ratio(turns, cell, server, base, Turn::rate), ratio(turns, cell, server, base, Turn::cpu));
        let two = |ratio: Option<Median>| ratio.map_or("-".into(), |ratio| format!("{:.2}", ratio.mid));
        let mut row = vec![cell.to_string(), server.to_owned()];
        row.extend([rate(per_s.mid), format!("{}-{}", rate(per_s.min), rate(per_s.max))]);
        row.extend((0..4).map(|at| time(median(&|turn| turn.latency[at] as f64).mid)));
        row.extend([short(cpu.mid), format!("{}-{}", short(cpu.min), short(cpu.max))]);
        row.push(format!("{:.3}", median(&|turn| turn.switches as f64 / turn.requests as f64).mid));
        row.push(mine[0].syscalls.map_or("-".into(), |calls| format!("{calls:.3}")));
        row.push(format!("{:.0}", median(&|turn| turn.rss_kib as f64 / 1024.0).mid));
        row.push(format!("{:.0} %", 100.0 * median(&|turn| turn.generator).mid));
        row.push(format!("{:.1} %", 100.0 * median(&|turn| turn.misses).mid));
        row.extend([two(rates), two(cpus)]);
        row.push(cpus.map_or("-".into(), |ratio| format!("{:.2}-{:.2}", ratio.min, ratio.max)));
        table.row(row);
    }
    table
}

/// A line a server, for the person who waits.
pub fn brief(turns: &[Turn], base: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (cell, server) in pairs(turns) {
        let mine = || turns.iter().filter(|turn| turn.cell == *cell && turn.server == server);
        let median = |of: fn(&Turn) -> f64| Median::of(mine().map(of)).unwrap_or_default().mid;
        let share = ratio(turns, cell, server, base, Turn::cpu).map_or("-".into(), |ratio| format!("{:.2}", ratio.mid));
        let (rate, cpu) = (rate(median(Turn::rate)), short(median(Turn::cpu)));
        lines.push(format!("{cell}: {server} {rate}/s, {cpu} us/req, {share} of {base}"));
    }
    lines
}

/// What a reader should know before believing the table; with `null`, the error found by measuring a server
/// against its twin.
pub fn notes(turns: &[Turn], null: Option<&str>) -> String {
    let mut out = String::new();
    // Each reading of the ticks may be off by one, and there are two for each slice of about 0.25 s.
    let off = turns
        .iter()
        .map(|turn| ((turn.ticks_us - turn.cpu_us).abs() - 10_000.0 * turn.seconds / 0.25).max(0.0) / turn.cpu_us);
    let off = off.fold(0.0, f64::max);
    if off > 0.03 {
        let _ = writeln!(out, "warning: CPU time by schedstat and by clock ticks differ by up to {:.0} %", 100.0 * off);
    }
    let others = Median::of(turns.iter().map(|turn| turn.others)).unwrap_or_default();
    let _ = writeln!(
        out,
        "noise: other processes used {:.2} cores while it was measured ({:.2}-{:.2}){}",
        others.mid,
        others.min,
        others.max,
        if others.mid > 0.1 { "; this machine was not quiet, trust the ratios only" } else { "" }
    );
    let mut busy = pairs(turns);
    busy.retain(|(cell, server)| {
        let turns = turns.iter().filter(|turn| turn.cell == **cell && turn.server == *server);
        Median::of(turns.map(|turn| turn.generator)).is_some_and(|generator| generator.mid > 0.95)
    });
    if !busy.is_empty() {
        let names: Vec<_> = busy.iter().map(|(cell, server)| format!("{server} in {cell}")).collect();
        let _ = writeln!(out, "the generator was the bottleneck (over 95 % of a core): {}", names.join("; "));
    }
    for (cell, server) in pairs(turns) {
        let misses = turns.iter().filter(|turn| turn.cell == *cell && turn.server == server).map(|turn| turn.misses);
        let most = misses.fold(0.0, f64::max);
        if most > 0.0 && most < 1.0 {
            let _ = writeln!(out, "warning: {cell}: up to {:.1} % of {server}'s replies were nil", 100.0 * most);
        }
    }
    if let Some(base) = null {
        for (name, of) in [("requests/s", Turn::rate as fn(&Turn) -> f64), ("CPU us/req", Turn::cpu)] {
            let ratios: Vec<Median> = pairs(turns)
                .into_iter()
                .filter(|(_, server)| *server != base)
                .filter_map(|(cell, server)| ratio(turns, cell, server, base, of))
                .collect();
            let worst = ratios.iter().map(|ratio| (ratio.mid - 1.0).abs()).fold(0.0, f64::max);
            let (min, max) = ratios.iter().fold((f64::MAX, f64::MIN), |(min, max), r| (min.min(r.min), max.max(r.max)));
            let _ = writeln!(
                out,
                "null experiment, {name}: {} cells, medians of the ratio within {:.1} % of 1, single rounds {min:.3} to {max:.3}",
                ratios.len(),
                100.0 * worst,
            );
        }
    }
    out
}

/// Writes the files that the options ask for.
pub fn write(options: &Options, conditions: &[String], turns: &[Turn], base: &str) -> Result<()> {
    let save = |path: &std::path::Path, text: String| {
        let folder = path.parent().unwrap_or(std::path::Path::new(""));
        let made = if folder.as_os_str().is_empty() { Ok(()) } else { std::fs::create_dir_all(folder) };
        made.and_then(|()| std::fs::write(path, text)).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &options.json {
        save(path, json(conditions, turns))?;
    }
    let Some(folder) = &options.out else {
        return Ok(());
    };
    let mut text = format!("# {}\n\n![CPU time and rate]({}.svg)\n\n", title(base), options.name);
    for line in conditions {
        let _ = writeln!(text, "* {line}");
    }
    let _ = write!(
        text,
        "* {} rounds of {} s a server and cell, servers taking turns of {} s; medians, ranges over the rounds in brackets; \
         ratios against {base} in the same round\n* a cell is: workload, P pipeline, c connections, bytes in a value, \
         distribution of keys, layout; latency is that of a whole batch\n\n{}\n{}",
        options.rounds,
        options.seconds,
        options.slice,
        self::table(turns, base).markdown(2),
        notes(turns, options.null.then_some(base)),
    );
    save(&folder.join(format!("{}.md", options.name)), text)?;
    save(&folder.join(format!("{}.svg", options.name)), render(&charts(turns, base)))
}

fn title(base: &str) -> String {
    format!("Over the wire, beside {base}")
}

/// Cells and servers that have turns, in order.
fn pairs(turns: &[Turn]) -> Vec<(&Cell, &str)> {
    let mut pairs: Vec<(&Cell, &str)> = Vec::new();
    // By order of the first round's turns, which are in the order of the servers.
    for turn in turns.iter().filter(|turn| turn.round == 0) {
        pairs.push((&turn.cell, &turn.server));
    }
    pairs
}

/// The ratio of a server to the base: within each round, then the median. `None` without the base.
fn ratio(turns: &[Turn], cell: &Cell, server: &str, base: &str, of: fn(&Turn) -> f64) -> Option<Median> {
    let find = |name: &str, round| {
        turns.iter().find(|turn| turn.cell == *cell && turn.server == name && turn.round == round).map(of)
    };
    let rounds = turns.iter().map(|turn| turn.round).max()?;
    Median::of((0..=rounds).filter_map(|round| Some(find(server, round)? / find(base, round)?)))
}

fn charts(turns: &[Turn], base: &str) -> Vec<Chart> {
    let pairs = pairs(turns);
    let mut series: Vec<String> = Vec::new();
    let mut cells: Vec<&Cell> = Vec::new();
    for (cell, server) in &pairs {
        if !series.iter().any(|name| name == server) {
            series.push((*server).to_owned());
        }
        if !cells.contains(cell) {
            cells.push(cell);
        }
    }
    let varies = |of: &dyn Fn(&Cell) -> String| cells.iter().any(|cell| of(cell) != of(cells[0]));
    let label = |cell: &Cell| {
        let mut label = format!("{} P{}", cell.op, cell.pipeline);
        let parts: [&dyn Fn(&Cell) -> String; 4] = [
            &|cell| format!("c{}", cell.clients),
            &|cell| format!("{}B", cell.value),
            &|cell| cell.spread.to_string(),
            &|cell| cell.layout.clone(),
        ];
        parts.iter().filter(|part| varies(part)).for_each(|part| label.push_str(&format!(" {}", part(cell))));
        label
    };
    let chart = |title: String, of: fn(&Turn) -> f64, show: fn(f64) -> String| Chart {
        title,
        series: series.clone(),
        groups: cells
            .iter()
            .map(|cell| {
                let bars = series.iter().map(|server| {
                    let turns_of = turns.iter().filter(|turn| turn.cell == **cell && turn.server == *server);
                    let value = Median::of(turns_of.map(of))?;
                    Some((ratio(turns, cell, server, base, of)?.mid, show(value.mid)))
                });
                (label(cell), bars.collect())
            })
            .collect(),
        line: Some(1.0),
    };
    vec![
        chart(
            format!("Server CPU time per request, as a share of {base} (labels: us; lower is better)"),
            Turn::cpu,
            short,
        ),
        chart(format!("Requests per second, as a multiple of {base} (higher is better)"), Turn::rate, rate),
    ]
}

fn json(conditions: &[String], turns: &[Turn]) -> String {
    let text = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let conditions: Vec<_> = conditions.iter().map(|line| text(line)).collect();
    let turns: Vec<_> = turns
        .iter()
        .map(|turn| {
            let Cell { layout, op, value, spread, clients, pipeline } = &turn.cell;
            let [p50, p99, p999, max] = turn.latency;
            format!(
                "{{\"layout\":{},\"op\":{},\"value\":{value},\"dist\":{},\"clients\":{clients},\"pipeline\":{pipeline},\
                 \"server\":{},\"round\":{},\"requests\":{},\"seconds\":{:.6},\"cpu_us\":{:.3},\"cpu_ticks_us\":{:.0},\
                 \"switches\":{},\"rss_kib\":{},\"generator\":{:.4},\"others\":{:.4},\"p50_ns\":{p50},\"p99_ns\":{p99},\
                 \"p999_ns\":{p999},\"max_ns\":{max},\"nil\":{:.6},\"syscalls_per_request\":{}}}",
                text(layout),
                text(op),
                text(&spread.to_string()),
                text(&turn.server),
                turn.round,
                turn.requests,
                turn.seconds,
                turn.cpu_us,
                turn.ticks_us,
                turn.switches,
                turn.rss_kib,
                turn.generator,
                turn.others,
                turn.misses,
                turn.syscalls.map_or("null".into(), |calls| format!("{calls:.4}")),
            )
        })
        .collect();
    format!("{{\"conditions\":[{}],\n\"turns\":[\n{}\n]}}\n", conditions.join(","), turns.join(",\n"))
}
