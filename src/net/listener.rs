//! Listening sockets: accepts connections and refuses those that are too many or not allowed.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, SockRef, TcpKeepalive, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::connection::{Connection, Ended};
use super::runtime::Spawner;
use super::stream::{Socket, Stream};
use crate::engine::Engine;
use crate::fault;
use crate::server::{Count, Server};
use crate::sync::Arc;

/// How long a listener rests when the process has no file descriptors left: long enough not to spin, short
/// enough that a client hardly notices once one is free.
const REST: Duration = Duration::from_millis(50);

/// Redis' text for a connection from elsewhere to a server without a password.
const PROTECTED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no password \
is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to \
connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode \
sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same \
host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG \
REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis \
configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started \
the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication \
password for the default user. NOTE: You only need to do one of the above things in order for the server to start \
accepting connections from the outside.\r\n";

/// All sockets that the server listens on.
pub struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
}

impl Listeners {
    /// Opens everything that the configuration names. Call it on a runtime.
    ///
    /// # Errors
    /// With the address that could not be opened.
    pub fn open(server: &Server) -> Result<Self, String> {
        let config = &server.config;
        let mut tcp = Vec::new();
        for listen in config.listen() {
            match open_tcp(&listen.host, listen.port, config.tcp_backlog()) {
                Ok(listener) => tcp.push(listener),
                Err(error) if listen.is_optional && error.kind() == io::ErrorKind::AddrNotAvailable => {}
                Err(error) => return Err(format!("cannot listen on {}:{}: {error}", listen.host, listen.port)),
            }
        }
        let path = config.unixsocket();
        let unix = if path.is_empty() {
            None
        } else {
            let path = PathBuf::from(&*path);
            let listener = open_unix(&path, config.unixsocketperm());
            Some((listener.map_err(|error| format!("cannot listen on {}: {error}", path.display()))?, path))
        };
        if tcp.is_empty() && unix.is_none() {
            return Err("there is no address to listen on".into());
        }
        Ok(Self { tcp, unix })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Accepts connections until the server stops; returns the tasks that do, which end then.
    pub fn accept<E: Engine>(self, server: &Arc<Server>, engine: &Arc<E>, spawner: &Spawner) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for listener in self.tcp {
            let acceptor =
                Acceptor { server: Arc::clone(server), engine: Arc::clone(engine), spawner: spawner.clone() };
            tasks.spawn(async move {
                acceptor.until_stop(|| listener.accept(), |(stream, peer)| acceptor.tcp(stream, peer)).await;
            });
        }
        if let Some((listener, path)) = self.unix {
            let acceptor =
                Acceptor { server: Arc::clone(server), engine: Arc::clone(engine), spawner: spawner.clone() };
            tasks.spawn(async move {
                let name = format!("{}:0", path.display());
                acceptor.until_stop(|| listener.accept(), |(stream, _)| acceptor.unix(stream, &name)).await;
                let _ = std::fs::remove_file(&path);
            });
        }
        tasks
    }
}

struct Acceptor<E> {
    server: Arc<Server>,
    engine: Arc<E>,
    spawner: Spawner,
}

impl<E: Engine> Acceptor<E> {
    async fn until_stop<T, F>(&self, mut accept: impl FnMut() -> F, handle: impl Fn(T))
    where
        F: Future<Output = io::Result<T>>,
    {
        let mut is_resting = false;
        loop {
            tokio::select! {
                biased;
                () = self.server.stopped() => return,
                accepted = accept() => match accepted {
                    Ok(connection) => {
                        is_resting = false;
                        // A panic costs this connection, and the next ones are accepted.
                        fault::shield(|| handle(connection));
                    }
                    // Out of file descriptors or memory. The connection waits in the kernel's queue.
                    Err(error) if is_exhaustion(&error) => {
                        if !is_resting {
                            tracing::warn!(%error, "cannot accept connections for now");
                        }
                        is_resting = true;
                        tokio::time::sleep(REST).await;
                    }
                    // The peer was gone before it was accepted.
                    Err(error) => tracing::debug!(%error, "a connection was lost before it was accepted"),
                },
            }
        }
    }

    fn tcp(&self, stream: TcpStream, peer: SocketAddr) {
        // Without this a reply can wait 40 ms for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let keepalive = u64::from(self.server.config.tcp_keepalive());
        if keepalive > 0 {
            // As Redis: probe after the interval, three times within another third of it each.
            let settings = TcpKeepalive::new()
                .with_time(Duration::from_secs(keepalive))
                .with_interval(Duration::from_secs((keepalive / 3).max(1)))
                .with_retries(3);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&settings);
        }
        let local = stream.local_addr().map_or_else(|_| String::new(), |addr| addr.to_string());
        let is_loopback = is_loopback(peer.ip());
        #[cfg(target_os = "linux")]
        if is_loopback {
            // Nothing is shared on the way, so there is no congestion to control. The simplest way of doing it costs least:
            // a system that is set to BBR would time every segment.
            let _ = rustix::net::sockopt::set_tcp_congestion(&stream, "reno");
        }
        let config = &self.server.config;
        if !is_loopback && config.protected_mode() && config.requirepass().is_empty() {
            self.server.stats.add(Count::rejected, 1);
            return self.refuse(stream, PROTECTED);
        }
        self.serve(stream, peer.to_string(), local, is_loopback);
    }

    fn unix(&self, stream: UnixStream, name: &str) {
        self.serve(stream, name.to_owned(), name.to_owned(), true);
    }

    fn serve<S: Stream>(&self, mut stream: S, peer: String, local: String, is_local: bool) {
        fault::point("listener.accepted");
        let server = &self.server;
        server.stats.add(Count::connections, 1);
        let max = u64::from(server.config.maxclients());
        let Some(client) = server.clients.add(peer, local, is_local, max) else {
            if server.is_stopping() {
                return;
            }
            server.stats.add(Count::rejected, 1);
            tracing::warn!(maxclients = max, "refusing a connection: there are too many");
            tokio::spawn(async move {
                let _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
                let _ = stream.shutdown().await;
            });
            return;
        };
        let connection = Connection::new(Arc::clone(server), Arc::clone(&self.engine), client);
        fault::point("listener.registered");
        settle(stream, connection, self.spawner.clone());
    }

    fn refuse(&self, mut stream: TcpStream, text: &'static str) {
        tokio::spawn(async move {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}

/// Serves a connection on the threads where it is wanted, and wherever it is wanted after that.
fn settle<S: Stream, E: Engine>(stream: S, mut connection: Connection<E>, spawner: Spawner) {
    // The stream moves to the reactor of the thread that serves it.
    let stream = match stream.leave() {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "a connection was lost on its way to its thread"),
    };
    let (runtime, place) = spawner.place();
    runtime.spawn(async move {
        let Ok(mut socket) = S::enter(stream).map(Socket::new) else { return };
        let ended = {
            let mut serving = pin!(connection.serve(&mut socket, &place));
            poll_fn(|cx| match fault::contain(|| serving.as_mut().poll(cx)) {
                Ok(polled) => polled.map(Ok),
                Err(panicked) => Poll::Ready(Err(panicked)),
            })
            .await
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(panicked) => {
                connection.break_off(panicked).await;
                Ended::Over
            }
        };
        match ended {
            Ended::Left => settle(socket.into_stream(), connection, spawner),
            Ended::Over => {
                // Before the socket is shut down, so that whoever sees the end does not find the client registered.
                drop(connection);
                let _ = socket.into_stream().shutdown().await;
            }
        }
    });
}

fn open_tcp(host: &str, port: u16, backlog: u32) -> io::Result<TcpListener> {
    use std::net::ToSocketAddrs;
    let missing = || io::Error::new(io::ErrorKind::AddrNotAvailable, "no such address");
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(missing)?;
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // IPv4 has its own listener.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn open_unix(path: &Path, permissions: u32) -> io::Result<UnixListener> {
    // A socket that nobody answers on is what a crash leaves behind.
    if std::os::unix::net::UnixStream::connect(path).is_err() && is_socket(path) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    }
    Ok(listener)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|errno| code == Some(errno.raw_os_error()))
}
