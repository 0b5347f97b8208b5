//! Connections that can be cut: how an answer gets lost for real.
//!
//! A handler cannot drop the connection it answers on: whatever it returns becomes bytes. So every accepted socket is wrapped,
//! and the wrapper travels with the request as its connect info. Once it is cut, no further byte is written: the server's
//! attempt to send the answer fails, it gives the connection up, and the client meets a closed (or reset) connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::time;

/// How a connection ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutBy {
    /// An orderly end (FIN): the client reads the end of the stream.
    #[default]
    Close,
    /// A reset (RST): the client reads an error.
    Reset,
}

const WHOLE: u8 = 0;
const CLOSED: u8 = 1;
const RESET: u8 = 2;

/// The means to cut one connection.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<AtomicU8>);

impl Connection {
    fn new() -> Self {
        Self(Arc::new(AtomicU8::new(WHOLE)))
    }

    /// From here on not one byte is written on this connection.
    pub(super) fn cut(&self, by: CutBy) {
        let mark = match by {
            CutBy::Close => CLOSED,
            CutBy::Reset => RESET,
        };
        self.0.store(mark, Ordering::SeqCst);
    }

    fn mark(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A socket that stops writing once it is cut.
#[derive(Debug)]
pub(super) struct CuttableStream {
    stream: TcpStream,
    connection: Connection,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CuttableStream {
    fn refuse_if_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match self.connection.mark() {
            WHOLE => Ok(()),
            RESET => {
                // Without this, dropping the socket would end the stream in an orderly way.
                self.stream.set_zero_linger()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.refuse_if_cut(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_cut(context)?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_cut(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.mark() != WHOLE {
            // A reset must not be preceded by an orderly end; dropping the socket ends it either way.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Accepts connections and wraps them.
#[derive(Debug)]
pub(super) struct CuttableListener {
    listener: TcpListener,
    end: CancellationToken,
}

impl CuttableListener {
    /// Wraps `listener`; cancelling `end` breaks every connection it accepted.
    pub(super) const fn new(listener: TcpListener, end: CancellationToken) -> Self {
        Self { listener, end }
    }
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "emulator: cannot switch Nagle's algorithm off");
                    }
                    let stream = CuttableStream {
                        stream,
                        connection: Connection::new(),
                        ended: Box::pin(self.end.clone().cancelled_owned()),
                    };
                    return (stream, peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "emulator: cannot accept a connection");
                    time::breathe().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
