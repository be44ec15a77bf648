//! The result of a benchmark, for people and for programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::{Bench, Measured};
use crate::view::cut;

/// How many of the percentiles fit the table; JSON has all.
const SHOWN: usize = 4;

/// Percentiles that are reported.
const PERCENTILES: [(&str, f64); 5] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

pub fn table(options: &Bench, names: &[&str], measured: &[Measured], took: Duration, address: &str) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    let mut heading = vec!["command", "req/s", "mean"];
    heading.extend(PERCENTILES[..SHOWN].iter().map(|(name, _)| *name));
    heading.push("max");
    table.set_header(heading);
    let mut all = Measured::new();
    for (name, one) in names.iter().zip(measured) {
        table.add_row(row(name, one, took));
        all.latency.add(&one.latency).expect("the same bounds");
        all.errors += one.errors;
    }
    if names.len() > 1 {
        table.add_row(row("all", &all, took));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let load = match options.rate {
        Some(rate) => format!("{rate} requests/s wanted, latency from when each was due"),
        None => "as fast as the replies come".into(),
    };
    let keys = match options.zipf > 0.0 {
        true => format!("Zipf {}", options.zipf),
        false => "uniform".into(),
    };
    let mut text = format!(
        "{address}: {} clients, pipeline {}, {} keys ({keys}), values of {} B,\n{load}\n{table}\n{} requests in {:.2} s, \
         latencies in ms",
        options.clients,
        options.pipeline,
        options.keys,
        options.value_size,
        all.latency.len(),
        took.as_secs_f64()
    );
    let reached = all.latency.len() as f64 / took.as_secs_f64();
    if options.rate.is_some_and(|rate| reached < rate * 0.95) {
        text.push_str(&format!("; the wanted rate was not reached ({reached:.0} requests/s)"));
    }
    text.push('\n');
    for (name, one) in names.iter().zip(measured) {
        if let Some(error) = &one.first_error {
            text.push_str(&format!("{name}: {} errors, the first: {error}\n", one.errors));
        }
    }
    text
}

fn row(name: &str, measured: &Measured, took: Duration) -> Vec<String> {
    // Four digits say enough, and keep the table within 80 columns.
    let ms = |us: f64| match us / 1e3 {
        ms if ms < 10.0 => format!("{ms:.3}"),
        ms if ms < 100.0 => format!("{ms:.2}"),
        ms => format!("{ms:.1}"),
    };
    let latency = &measured.latency;
    let rate = latency.len() as f64 / took.as_secs_f64();
    let mut row = vec![cut(name, 20), format!("{rate:.0}"), ms(latency.mean())];
    row.extend(PERCENTILES[..SHOWN].iter().map(|(_, percent)| ms(latency.value_at_percentile(*percent) as f64)));
    row.push(ms(latency.max() as f64));
    row
}

pub fn json(options: &Bench, names: &[&str], measured: &[Measured], took: Duration) -> String {
    let one = |(name, measured): (&&str, &Measured)| {
        let latency = &measured.latency;
        let percentiles: serde_json::Map<String, serde_json::Value> = PERCENTILES
            .iter()
            .map(|(name, percent)| (name.to_string(), latency.value_at_percentile(*percent).into()))
            .collect();
        serde_json::json!({
            "command": name,
            "requests": latency.len(),
            "requests_per_second": latency.len() as f64 / took.as_secs_f64(),
            "errors": measured.errors,
            "latency_us": {
                "mean": latency.mean(),
                "min": if latency.is_empty() { 0 } else { latency.min() },
                "percentiles": percentiles,
                "max": latency.max(),
            },
        })
    };
    let value = serde_json::json!({
        "clients": options.clients,
        "pipeline": options.pipeline,
        "keys": options.keys,
        "zipf": options.zipf,
        "value_size": options.value_size,
        "rate_wanted": options.rate,
        "seed": options.seed,
        "seconds": took.as_secs_f64(),
        "commands": names.iter().zip(measured).map(one).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}
