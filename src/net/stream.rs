//! A client's socket: what the runtime says about it and the system calls on it, without a detour.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

/// A stream that can go from runtime to runtime.
pub trait Stream: AsyncWrite + AsFd + Unpin + Send + Sync + Sized + 'static {
    /// What it is between two runtimes.
    type Free: Send + 'static;

    fn leave(self) -> io::Result<Self::Free>;

    /// Enters the present runtime.
    fn enter(free: Self::Free) -> io::Result<Self>;

    /// Makes a system call if the runtime holds the stream to be ready; [`io::ErrorKind::WouldBlock`] if it does not. The same
    /// error of `call` tells the runtime that it is not ready any more.
    fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R>;

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

macro_rules! streams {
    ($($stream:ty = $free:ty),*) => {
        $(impl Stream for $stream {
            type Free = $free;

            fn leave(self) -> io::Result<Self::Free> {
                self.into_std()
            }

            fn enter(free: Self::Free) -> io::Result<Self> {
                Self::from_std(free)
            }

            #[inline]
            fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_io(interest, call)
            }

            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }
        })*
    };
}

streams!(TcpStream = std::net::TcpStream, UnixStream = std::os::unix::net::UnixStream);

/// A stream that is read and written as a connection does: tried first, because a task that runs was mostly woken for
/// it, and waited for if there was nothing.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    /// The last read took all there was.
    is_drained: bool,
    /// How often in a row there was something to read.
    reads: u32,
}

impl<S: Stream> Socket<S> {
    /// After so many reads in a row others have their turn, however much there still is.
    const READS_MAX: u32 = 64;

    pub fn new(stream: S) -> Self {
        Self { stream, is_drained: false, reads: 0 }
    }

    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Appends what there is, up to the vector's capacity; 0 at the end of the stream.
    pub fn poll_read(&mut self, input: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.reads >= Self::READS_MAX {
            self.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if !std::mem::take(&mut self.is_drained) {
                let room = input.capacity() - input.len();
                debug_assert!(room > 0, "nothing read is the end of the stream");
                let mut read = None;
                let tried = self.stream.try_io(Interest::READABLE, || {
                    let len = rustix::net::recv(&self.stream, spare_capacity(input), RecvFlags::empty())?.0;
                    read = Some(len);
                    // The runtime is to know as well that there is no more.
                    if 0 < len && len < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
                });
                match (read, tried) {
                    (Some(len), tried) => {
                        self.is_drained = tried.is_err();
                        self.reads += 1;
                        return Poll::Ready(Ok(len));
                    }
                    (None, Err(error)) if !is_for_later(&error) => return Poll::Ready(Err(error)),
                    (None, _) => {}
                }
            }
            if self.stream.poll_read_ready(cx)?.is_pending() {
                self.reads = 0;
                return Poll::Pending;
            }
        }
    }

    /// Sends bytes, if the peer takes any now; returns how many it took.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_io(Interest::WRITABLE, || Ok(rustix::net::send(&self.stream, bytes, SendFlags::NOSIGNAL)?))
    }

    /// As [`Socket::try_write`], from several places.
    pub fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_io(Interest::WRITABLE, || Ok(rustix::io::writev(&self.stream, parts)?))
    }

    /// Waits until the peer takes something, probably.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }
}

/// Whether a call is to be made again: when the stream is ready, or because a signal broke it off.
pub fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
