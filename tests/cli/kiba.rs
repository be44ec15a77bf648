//! kiba-cli against Kiba itself, on both engines.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::{run, unused_port};
use crate::terminal::Terminal;

/// A Kiba of a test's own; stopped when dropped.
struct Kiba {
    child: Child,
    port: String,
}

impl Kiba {
    fn start(engine: &str) -> Kiba {
        let port = unused_port();
        let child = Command::new(env!("CARGO_BIN_EXE_kiba"))
            .args([&format!("--engine={engine}"), "--port", &port])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("kiba starts");
        let kiba = Kiba { child, port };
        for _ in 0..500 {
            if TcpStream::connect(format!("127.0.0.1:{}", kiba.port)).is_ok() {
                return kiba;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("kiba did not open its port");
    }

    fn cli(&self, args: &[&str], input: &str) -> String {
        let mut all = vec!["-p", &self.port];
        all.extend(args);
        let output = run(env!("CARGO_BIN_EXE_kiba-cli"), &all, input);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

impl Drop for Kiba {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn scripts_and_tools_work_on_both_engines() {
    for engine in ["sharded", "channel"] {
        let kiba = Kiba::start(engine);
        let script =
            "set name \"FOO BAR\"\nget name\nget bar\nmulti\nincr n\nexec\nhset h f v\nsadd s a\nrpush l x y\n";
        let expected = "OK\n\"FOO BAR\"\n(nil)\nOK\nQUEUED\n1) (integer) 1\n(integer) 1\n(integer) 1\n(integer) 2\n";
        assert_eq!(kiba.cli(&["--no-raw"], script), expected, "{engine}");
        assert_eq!(kiba.cli(&["-3", "--no-raw", "hgetall", "h"], ""), "1# \"f\" => \"v\"\n");
        assert_eq!(kiba.cli(&["--json", "hgetall", "h"], ""), "{\"f\":\"v\"}\n");
        assert_eq!(kiba.cli(&["--scan", "--pattern", "na*"], ""), "name\n");
        assert!(kiba.cli(&["--pipe"], "set a 1\r\nget a\r\n").ends_with("errors: 0, replies: 2\n"));
        assert!(kiba.cli(&["--bigkeys"], "").contains("Sampled 6 keys"));
        assert!(kiba.cli(&["peek", "name", "h", "l", "s"], "").contains("FOO BAR"));
        assert!(kiba.cli(&["help", "set"], "").contains("key value [NX|XX|IFEQ ifeq-value|"));
        let top = kiba.cli(&["top", "--once", "--interval", "0.1"], "");
        for part in ["db0: 6 keys", "PING p50 ", "\ninfo  ", "this server keeps none", "needs an LFU policy"] {
            assert!(top.contains(part), "{engine}: {part} is not in\n{top}");
        }
        assert!(kiba.cli(&["bench", "-n", "1000", "-c", "4", "-P", "4"], "").contains("1000 requests in"));
        assert!(kiba.cli(&["doctor"], "").contains(": kiba "));
    }
}

#[test]
fn copies_between_the_engines_are_equal() {
    let (a, b) = (Kiba::start("sharded"), Kiba::start("channel"));
    let seed: String = (0..300).map(|n| format!("set key:{n} {n}\n")).collect();
    a.cli(&[], &(seed + "hset h f v\nsadd s a b\nrpush l x y\nset volatile 1 ex 5000\n"));
    let (source, destination) = (format!("127.0.0.1:{}", a.port), format!("127.0.0.1:{}", b.port));
    let copied = a.cli(&["--copy", &source, &destination], "");
    assert!(copied.contains("copied 304, skipped 0 that exist, 0 vanished meanwhile, 0 failed"), "{copied}");
    let verified = a.cli(&["verify", &source, &destination], "");
    assert_eq!(verified, "304 keys are equal, 0 differ, 0 only in SRC, 0 only in DST\n");
}

#[test]
fn the_prompt_works_on_both_engines() {
    for engine in ["sharded", "channel"] {
        let kiba = Kiba::start(engine);
        kiba.cli(&["set", "some-long-key", "1"], "");
        let mut terminal = Terminal::start(&["-p", &kiba.port], "/dev/null");
        terminal.expect("kiba> ");
        terminal.send("lrange ");
        terminal.expect("lrange key start stop");
        terminal.send("\x15get some-l\t");
        terminal.expect("get some-long-key");
        terminal.send("\r");
        terminal.expect("\"1\"");
        terminal.line("multi");
        terminal.expect_last("kiba(TX)> ");
        terminal.line("quit");
        assert_eq!(terminal.ended(), 0);
    }
}
