//! What does a request cost inside each engine, and in front of it, without sockets?
//!
//! Run with `cargo bench --bench engine`. Each iteration is a batch of 1, 16 or 64 requests on random keys out of a
//! million; throughput is in requests.

#[path = "harness/mod.rs"]
mod harness;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kiba::config::Config;
use kiba::engine::Engine;
use kiba::engine::channel::Channel;
use kiba::engine::sharded::Sharded;
use kiba::parser::Batch;
use kiba::server::Server;
use kiba::server::home::Home;
use kiba::sync::Arc;
use tokio::runtime::{Builder, Runtime};

use harness::batch::{parse, unparsed};
use harness::keys::Rng;

#[global_allocator]
static ALLOCATOR: kiba::memory::Counting = kiba::memory::Counting;

const KEYS: u64 = 1_000_000;
const VALUE: [u8; 64] = [b'v'; 64];
const PIPELINES: [usize; 3] = [1, 16, 64];

fn request(input: &mut Vec<u8>, op: &str, key: u64) {
    match op {
        "get" => input.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n").as_bytes()),
        "incr" => input.extend_from_slice(format!("*2\r\n$4\r\nINCR\r\n$16\r\ncnt:{key:012}\r\n").as_bytes()),
        "set" => {
            input.extend_from_slice(format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n").as_bytes());
            input.extend_from_slice(&VALUE);
            input.extend_from_slice(b"\r\n");
        }
        _ => unreachable!("one of the operations below"),
    }
}

fn input(op: &str, pipeline: usize, rng: &mut Rng) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..pipeline {
        request(&mut input, op, rng.below(KEYS));
    }
    input
}

fn batch(server: &Server, op: &str, pipeline: usize, rng: &mut Rng) -> Box<Batch> {
    parse(server, unparsed(input(op, pipeline, rng)))
}

fn fill<E: Engine>(runtime: &Runtime, server: &Server, engine: &E) {
    for start in (0..KEYS).step_by(1000) {
        let mut bytes = Vec::new();
        (start..start + 1000).for_each(|key| request(&mut bytes, "set", key));
        let batch = parse(server, unparsed(bytes));
        let requests = batch.requests.len();
        runtime.block_on(engine.execute(batch, 0..requests, 0)).expect("the engine answers");
    }
}

fn engine<E: Engine>(criterion: &mut Criterion, runtime: &Runtime, server: &Arc<Server>, engine: &E) {
    fill(runtime, server, engine);
    for op in ["get", "set", "incr"] {
        let mut group = criterion.benchmark_group(op);
        for pipeline in PIPELINES {
            // The seed is fixed, so that every run draws the same keys.
            let mut rng = Rng::new(1);
            group.throughput(Throughput::Elements(pipeline as u64));
            group.bench_function(BenchmarkId::new(engine.name(), pipeline), |bencher| {
                bencher.to_async(runtime).iter_batched(
                    || batch(server, op, pipeline, &mut rng),
                    |batch| async { black_box(engine.execute(batch, 0..pipeline, 0).await.expect("answers")) },
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

fn parsing(criterion: &mut Criterion, server: &Server) {
    let mut group = criterion.benchmark_group("parse");
    for op in ["get", "set"] {
        let mut rng = Rng::new(7);
        group.throughput(Throughput::Elements(64));
        group.bench_function(op, |bencher| {
            bencher.iter_batched(
                || unparsed(input(op, 64, &mut rng)),
                |batch| black_box(parse(server, batch)),
                BatchSize::SmallInput,
            );
        });
    }
}

fn all(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts");
    let server = || Server::new(Arc::new(Config::default()), None);
    let sharded = server();
    parsing(criterion, &sharded);
    engine(criterion, &runtime, &sharded, &Sharded::new(Arc::clone(&sharded)));
    let channel = server();
    let owner = runtime.block_on(async { Channel::new(Arc::clone(&channel), Arc::new(Home::here())) });
    engine(criterion, &runtime, &channel, &owner);
}

criterion_group!(benches, all);
criterion_main!(benches);
