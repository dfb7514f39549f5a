//! The reverse tunnel: a WebSocket opened by the cluster's side, over which the hub opens connections into it.
//!
//! Layers, from bytes up: [`websocket`] frames, [`frame`] messages, [`session`] the state machine (all three without
//! sockets and clocks), then a thin tokio driver: [`Session`], [`Stream`], [`Sessions`], and the handshakes of both sides.
//! The wire is that of remotedialer v0.6.1 (f631a87), so that either end may be the peer's.
//!
//! Knows nothing of clusters, tokens or Kubernetes.

mod driver;
pub mod frame;
mod gathered;
mod handshake;
mod read_ahead;
pub mod session;
mod sessions;
mod stream;
pub mod websocket;
pub mod wire;

pub use driver::{Accept, Acceptor, BoxedIo, Closed, DialError, Io, Options, RefuseAll, Session};
pub use gathered::Gathered;
pub use handshake::{
    ClientRequest, ConnectError, Upgrade, UpgradeError, accept_key, connect, server_upgrade,
};
pub use read_ahead::ReadAhead;
pub use session::{Role, Stats};
pub use sessions::{Announcements, Change, Forwarder, Neighbour, Registration, Sessions};
pub use stream::Stream;
