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

    /// Makes a system call if the runtime holds the stream to be ready; [`io::ErrorKind::WouldBlock`] if it does not.
    /// The same error of `call` tells the runtime that it is not ready any more.
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

/// Whether a call that may move up to `room` bytes has moved all that can be moved for now, so that the next thing to
/// do is to wait. It is known where readiness is reported once for each change, and again when there is more; tokio's
/// own reads and writes go by the same on the same systems.
fn was_all(len: usize, room: usize) -> bool {
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple")) && 0 < len && len < room
}

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
    /// After so many reads in a row others have their turn, however much there still is: as many as tokio's budget for
    /// a task allows of reads that are each answered.
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
                let read = self.attempt(Interest::READABLE, room, || {
                    Ok(rustix::net::recv(&self.stream, spare_capacity(input), RecvFlags::empty())?.0)
                });
                match read {
                    Ok(len) => {
                        self.is_drained = was_all(len, room);
                        self.reads += 1;
                        return Poll::Ready(Ok(len));
                    }
                    Err(error) if !is_for_later(&error) => return Poll::Ready(Err(error)),
                    Err(_) => {}
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
        let send = || Ok(rustix::net::send(&self.stream, bytes, SendFlags::empty())?);
        self.attempt(Interest::WRITABLE, bytes.len(), send)
    }

    /// As [`Socket::try_write`], from several places.
    pub fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = parts.iter().map(|part| part.len()).sum();
        self.attempt(Interest::WRITABLE, len, || Ok(rustix::io::writev(&self.stream, parts)?))
    }

    /// Makes a call that moves up to `room` bytes, if the stream is held to be ready; returns how many it moved. If
    /// that was all for now, the runtime is told so.
    #[inline]
    fn attempt(&self, interest: Interest, room: usize, call: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        let mut moved = None;
        let tried = self.stream.try_io(interest, || {
            let len = call()?;
            moved = Some(len);
            if was_all(len, room) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match moved {
            Some(len) => Ok(len),
            None => tried.map(|()| 0),
        }
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

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Reads once, into a buffer of this size, and waits for it.
    async fn read(socket: &mut Socket<UnixStream>, room: usize) -> io::Result<Vec<u8>> {
        let mut input = Vec::with_capacity(room);
        let len = poll_fn(|cx| socket.poll_read(&mut input, cx)).await?;
        assert_eq!(len, input.len());
        Ok(input)
    }

    #[tokio::test]
    async fn what_is_there_is_read_and_what_is_not_is_waited_for() -> io::Result<()> {
        let (stream, mut other) = UnixStream::pair()?;
        let mut socket = Socket::new(stream);
        for text in [&b"first"[..], b"second", b""] {
            let (found, _) = tokio::join!(read(&mut socket, 64), async {
                // The reader waits by now.
                tokio::task::yield_now().await;
                if text.is_empty() { other.shutdown().await } else { other.write_all(text).await }
            });
            assert_eq!(found?, text);
        }
        Ok(())
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_is_read_in_pieces() -> io::Result<()> {
        let (stream, mut other) = UnixStream::pair()?;
        let mut socket = Socket::new(stream);
        other.write_all(&[7; 20]).await?;
        let sizes =
            [read(&mut socket, 8).await?.len(), read(&mut socket, 8).await?.len(), read(&mut socket, 8).await?.len()];
        assert_eq!(sizes, [8, 8, 4]);
        other.write_all(b"x").await?;
        assert_eq!(read(&mut socket, 8).await?, b"x");
        Ok(())
    }

    #[tokio::test]
    async fn others_have_their_turn_while_there_is_always_more() -> io::Result<()> {
        let (stream, mut other) = UnixStream::pair()?;
        let mut socket = Socket::new(stream);
        other.write_all(&[7; 1000]).await?;
        let mut polls = 0;
        let mut input = Vec::with_capacity(1);
        let reads = poll_fn(|cx| {
            polls += 1;
            let mut reads = 0_u32;
            while let Poll::Ready(read) = socket.poll_read(&mut input, cx) {
                assert!(matches!(read, Ok(1)), "{read:?}");
                input.clear();
                reads += 1;
            }
            // The first poll may find that the stream is not known to be ready.
            if reads == 0 { Poll::Pending } else { Poll::Ready(reads) }
        });
        assert_eq!(reads.await, Socket::<UnixStream>::READS_MAX);
        assert!(polls <= 2);
        Ok(())
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_waited_for() -> io::Result<()> {
        let (stream, other) = UnixStream::pair()?;
        let (socket, mut other) = (Socket::new(stream), Socket::new(other));
        poll_fn(|cx| socket.poll_write_ready(cx)).await?;
        let error = loop {
            if let Err(error) = socket.try_write(&[7; 4096]) {
                break error;
            }
        };
        assert!(is_for_later(&error), "{error}");
        let mut polls = 0;
        let ready = poll_fn(|cx| {
            polls += 1;
            socket.poll_write_ready(cx)
        });
        let (ready, read) = tokio::join!(ready, async {
            loop {
                if read(&mut other, 1 << 20).await?.len() < 1 << 20 {
                    return Ok::<(), io::Error>(());
                }
            }
        });
        ready.and(read)?;
        assert!(polls > 1, "nobody had waited");
        assert_eq!(socket.try_write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"c")])?, 3);
        Ok(())
    }

    #[tokio::test]
    async fn an_end_that_comes_with_the_last_bytes_is_seen() -> io::Result<()> {
        let (stream, mut other) = UnixStream::pair()?;
        let mut socket = Socket::new(stream);
        other.write_all(b"bye").await?;
        drop(other);
        assert_eq!(read(&mut socket, 64).await?, b"bye");
        assert_eq!(read(&mut socket, 64).await?, b"");
        let error = socket.try_write(b"x").expect_err("there is nobody");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        Ok(())
    }
}
