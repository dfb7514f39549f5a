//! The sessions a hub has, by client key, and those its neighbours have.
//!
//! Owns the registry and the choice of a session. Who may register under which key is decided by the caller.
//!
//! Invariant: a session is in the registry exactly as long as its [`Registration`] lives, and a change is announced for
//! every first and last session of a key.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::driver::forward::join;
use crate::driver::{Accept, Acceptor, DialError, Session};
use crate::stream::Stream;

/// Changes kept for slow listeners; one that falls behind reads the whole state anew.
const CHANGES: usize = 1024;

/// Between a client's key and the protocol in a `Connect` for a neighbour.
const SEPARATOR: &str = "::";

/// A key got its first session or lost its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The client's key.
    pub key: String,
    /// Whether there is a session now.
    pub connected: bool,
}

/// The registry; clones are the same one.
#[derive(Debug, Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    changes: broadcast::Sender<Change>,
}

#[derive(Debug, Default)]
struct Table {
    /// Sessions of clients connected here, oldest first.
    own: HashMap<String, Vec<Session>>,
    /// Sessions of neighbours that announced a client, with the client's session key.
    remote: HashMap<String, Vec<(Session, i64)>>,
    /// Sessions we opened to neighbours, which are told about our clients.
    told: Vec<Session>,
}

impl Table {
    fn connected(&self, key: &str) -> bool {
        self.own.contains_key(key) || self.remote.contains_key(key)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new()
    }
}

impl Sessions {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                table: Mutex::default(),
                changes: broadcast::Sender::new(CHANGES),
            }),
        }
    }

    /// Adds a session for as long as the registration lives, and tells the neighbours.
    #[must_use = "the session is removed when the registration is dropped"]
    pub fn add(&self, key: &str, session: Session) -> Registration {
        let first = {
            let mut table = self.inner.table.lock();
            let first = !table.connected(key);
            for neighbour in &table.told {
                neighbour.add_client(key, session.key());
            }
            table
                .own
                .entry(key.to_owned())
                .or_default()
                .push(session.clone());
            first
        };
        if first {
            self.announce(key, true);
        }
        Registration {
            inner: Arc::downgrade(&self.inner),
            key: key.to_owned(),
            session,
            kind: RegistrationKind::Own,
        }
    }

    /// The newest live session of a key here. (The peer takes the oldest; after a lost network the newest is the one
    /// that is alive.)
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Session> {
        let table = self.inner.table.lock();
        table
            .own
            .get(key)?
            .iter()
            .rev()
            .find(|session| !session.is_closed())
            .cloned()
    }

    /// All sessions of a key here, oldest first.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<Session> {
        self.inner
            .table
            .lock()
            .own
            .get(key)
            .cloned()
            .unwrap_or_default()
    }

    /// All keys with a session here or at a neighbour.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let table = self.inner.table.lock();
        let mut keys: Vec<String> = table
            .own
            .keys()
            .chain(table.remote.keys())
            .cloned()
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a key has a session, here or at a neighbour.
    #[must_use]
    pub fn connected(&self, key: &str) -> bool {
        self.inner.table.lock().connected(key)
    }

    /// First and last sessions of keys from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Opens a stream to a client: over our own sessions, newest first, else through a neighbour.
    ///
    /// # Errors
    /// When there is no session, or the last one tried does not take it.
    pub fn dial(&self, key: &str, protocol: &str, address: &str) -> Result<Stream, DialError> {
        let (own, remote) = {
            let table = self.inner.table.lock();
            (
                table.own.get(key).cloned().unwrap_or_default(),
                table.remote.get(key).cloned().unwrap_or_default(),
            )
        };
        let mut failure = DialError::NoSession(key.to_owned());
        for session in own.iter().rev() {
            match session.open(protocol, address) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error.into(),
            }
        }
        let forwarded = format!("{key}{SEPARATOR}{protocol}");
        for (session, _) in remote.iter().rev() {
            match session.open(&forwarded, address) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    /// Registers a session that we opened to a neighbour: it is told about our clients, now and later.
    #[must_use = "the neighbour is forgotten when the registration is dropped"]
    pub fn add_neighbour(&self, session: Session) -> Registration {
        {
            let mut table = self.inner.table.lock();
            for (key, sessions) in &table.own {
                for client in sessions {
                    session.add_client(key, client.key());
                }
            }
            table.told.push(session.clone());
        }
        Registration {
            inner: Arc::downgrade(&self.inner),
            key: String::new(),
            session,
            kind: RegistrationKind::Told,
        }
    }

    /// Accepts what a neighbour asks for over a session that we opened to it: connections to our clients.
    #[must_use]
    pub fn forwarder(&self) -> Forwarder {
        Forwarder {
            sessions: self.clone(),
        }
    }

    /// Listens to a neighbour's announcements on a session that it opened to us. The acceptor goes into
    /// [`Session::serve`], whose session is then handed to [`Neighbour::attach`].
    #[must_use]
    pub fn neighbour(&self) -> (Neighbour, Announcements) {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let neighbour = Neighbour {
            inner: Arc::downgrade(&self.inner),
            slot: Arc::clone(&slot),
        };
        (
            neighbour,
            Announcements {
                sessions: self.clone(),
                slot,
            },
        )
    }

    fn announce(&self, key: &str, connected: bool) {
        // Nobody listening is fine.
        let _ = self.inner.changes.send(Change {
            key: key.to_owned(),
            connected,
        });
    }

    fn add_remote(&self, client: &str, session: &Session, session_key: i64) {
        let first = {
            let mut table = self.inner.table.lock();
            let first = !table.connected(client);
            table
                .remote
                .entry(client.to_owned())
                .or_default()
                .push((session.clone(), session_key));
            first
        };
        if first {
            self.announce(client, true);
        }
    }
}

impl Inner {
    fn remove_remote(&self, gone: impl Fn(&str, &Session, i64) -> bool) {
        let lost: Vec<String> = {
            let mut table = self.table.lock();
            let mut emptied = Vec::new();
            table.remote.retain(|key, sessions| {
                sessions.retain(|(session, session_key)| !gone(key, session, *session_key));
                if sessions.is_empty() {
                    emptied.push(key.clone());
                }
                !sessions.is_empty()
            });
            emptied.retain(|key| !table.own.contains_key(key));
            emptied
        };
        for key in lost {
            let _ = self.changes.send(Change {
                key,
                connected: false,
            });
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RegistrationKind {
    Own,
    Told,
}

/// Keeps a session in the registry.
#[derive(Debug)]
pub struct Registration {
    inner: Weak<Inner>,
    key: String,
    session: Session,
    kind: RegistrationKind,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else {
            return;
        };
        let last = {
            let mut table = inner.table.lock();
            match self.kind {
                RegistrationKind::Told => {
                    table.told.retain(|session| !session.same(&self.session));
                    false
                }
                RegistrationKind::Own => {
                    for neighbour in &table.told {
                        neighbour.remove_client(&self.key, self.session.key());
                    }
                    if let Some(sessions) = table.own.get_mut(&self.key) {
                        sessions.retain(|session| !session.same(&self.session));
                        if sessions.is_empty() {
                            table.own.remove(&self.key);
                        }
                    }
                    !table.connected(&self.key)
                }
            }
        };
        if last {
            // Nobody listening is fine.
            let _ = inner.changes.send(Change {
                key: self.key.clone(),
                connected: false,
            });
        }
    }
}

/// Connects a neighbour to our clients: `<key>::<protocol>` goes to that client's session.
#[derive(Debug, Clone)]
pub struct Forwarder {
    sessions: Sessions,
}

impl Acceptor for Forwarder {
    fn accept(&self, protocol: &str, address: &str) -> Accept {
        let Some((key, protocol)) = protocol.split_once(SEPARATOR) else {
            return Accept::Refuse;
        };
        // Our own sessions only: a forwarded request is not forwarded again.
        let stream = match self.sessions.get(key) {
            Some(session) => session.open(protocol, address).map_err(DialError::from),
            None => Err(DialError::NoSession(key.to_owned())),
        };
        Accept::Serve(Box::new(move |incoming| {
            Box::pin(async move {
                match stream {
                    Ok(stream) => join(incoming, Box::new(stream)).await,
                    // The peer's dialler adds nothing to this text, which hubs recognise (reference 1.6).
                    Err(error) => incoming.refuse(&error.to_string()),
                }
            })
        }))
    }
}

#[derive(Debug, Default)]
struct Slot {
    session: Option<Session>,
    /// Announced before the session was attached.
    early: Vec<(String, i64)>,
}

/// A neighbour's incoming session; its clients are forgotten when this is dropped.
#[derive(Debug)]
pub struct Neighbour {
    inner: Weak<Inner>,
    slot: Arc<Mutex<Slot>>,
}

impl Neighbour {
    /// Says which session the announcements come over.
    pub fn attach(&self, session: &Session) {
        let early = {
            let mut slot = self.slot.lock();
            slot.session = Some(session.clone());
            std::mem::take(&mut slot.early)
        };
        if let Some(inner) = self.inner.upgrade() {
            let sessions = Sessions { inner };
            for (client, session_key) in early {
                sessions.add_remote(&client, session, session_key);
            }
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let session = self.slot.lock().session.take();
        if let (Some(inner), Some(session)) = (self.inner.upgrade(), session) {
            inner.remove_remote(|_, other, _| other.same(&session));
        }
    }
}

/// The acceptor of a neighbour's incoming session.
#[derive(Debug)]
pub struct Announcements {
    sessions: Sessions,
    slot: Arc<Mutex<Slot>>,
}

impl Acceptor for Announcements {
    fn accept(&self, _protocol: &str, _address: &str) -> Accept {
        Accept::Refuse
    }

    fn client_added(&self, client: &str, session: i64) -> bool {
        let attached = {
            let mut slot = self.slot.lock();
            if slot.session.is_none() {
                slot.early.push((client.to_owned(), session));
            }
            slot.session.clone()
        };
        if let Some(attached) = attached {
            self.sessions.add_remote(client, &attached, session);
        }
        true
    }

    fn client_removed(&self, client: &str, session: i64) -> bool {
        let attached = {
            let mut slot = self.slot.lock();
            slot.early
                .retain(|(key, number)| key != client || *number != session);
            slot.session.clone()
        };
        if let Some(attached) = attached {
            self.sessions.inner.remove_remote(|key, other, number| {
                key == client && number == session && other.same(&attached)
            });
        }
        true
    }
}
