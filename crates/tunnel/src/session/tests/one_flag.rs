//! Back-pressure with a peer that keeps one flag for both directions of a connection (remotedialer `back_pressure.go`).
//!
//! Its `Pause` sets its own flag too, so that its writer waits until it has sent the `Resume`; clearing the flag wakes
//! nobody, our `Resume` does. And a `Resume` of ours clears the flag it would remember its own pause by.

use super::*;

const DATA: &[u8] = &[0x02, 0x04, 0x02, 0xb0, 0xea, 0x01];
const PAUSE: &[u8] = &[0x02, 0x04, 0x0c];
const RESUME: &[u8] = &[0x02, 0x04, 0x0e];
/// The same with the number -1, as only an end of our own sends it.
const OWN_PAUSE: &[u8] = &[0x01, 0x04, 0x0c];
const OWN_RESUME: &[u8] = &[0x01, 0x04, 0x0e];

/// A hub with its first connection, 2.
fn hub() -> End {
    let mut hub = end(Role::Server);
    assert_eq!(hub.open(), 2);
    hub
}

impl End {
    fn take(&mut self, bytes: &[u8]) {
        self.session.receive(self.now, bytes, true).unwrap();
    }

    fn take_data(&mut self, length: usize) {
        let payload = vec![7; length];
        self.take(&[DATA, &payload].concat());
    }

    /// Kinds of what is to be sent.
    fn kinds(&mut self) -> Vec<Kind> {
        self.sent().into_iter().map(|(kind, ..)| kind).collect()
    }
}

#[test]
fn a_peer_that_was_full_is_answered_so_that_its_writer_wakes() {
    let mut hub = hub();
    hub.take(PAUSE);
    assert_eq!(hub.kinds(), []);
    hub.take(RESUME);
    assert_eq!(hub.kinds(), [Kind::Resume]);
    hub.take(RESUME);
    assert_eq!(
        hub.kinds(),
        [],
        "one that was not asked for needs no answer"
    );
}

#[test]
fn who_is_full_itself_answers_with_a_pause() {
    let mut hub = hub();
    hub.take_data((2 << 20) + 1);
    assert_eq!(hub.kinds(), [Kind::Pause]);
    hub.take(PAUSE);
    hub.take(RESUME);
    assert_eq!(hub.kinds(), [Kind::Pause]);
}

#[test]
fn telling_the_peer_to_go_on_ends_the_pause_it_asked_for() {
    let mut hub = hub();
    hub.take_data((2 << 20) + 1);
    hub.take(PAUSE);
    hub.session.write(2, b"waiting");
    assert_eq!(hub.kinds(), [Kind::Pause]);
    hub.read_all(2);
    assert_eq!(hub.kinds(), [Kind::Resume, Kind::Data]);
}

#[test]
fn reading_while_paused_lets_the_peer_write() {
    // Met where a hub of the peer's kind stands between two of ours and both directions were full.
    let mut hub = hub();
    hub.take_data(1 << 20);
    hub.take(PAUSE);
    hub.session.write(2, b"waiting");
    assert_eq!(
        hub.session.read(2, &mut vec![0; 1 << 19]),
        Read::Bytes(1 << 19)
    );
    assert_eq!(hub.kinds(), []);
    hub.read_all(2);
    assert_eq!(hub.kinds(), [Kind::Resume, Kind::Data]);
}

#[test]
fn a_pause_that_may_have_crossed_our_resume_is_remembered_for_the_peer() {
    let mut hub = hub();
    hub.take(PAUSE);
    hub.take(RESUME);
    hub.take(PAUSE);
    assert_eq!(hub.kinds(), [Kind::Resume, Kind::Pause]);
    hub.take(PAUSE);
    assert_eq!(hub.kinds(), [], "the peer remembers it now");
}

#[test]
fn an_end_of_our_own_has_a_flag_for_each_direction() {
    let mut hub = hub();
    hub.take(OWN_PAUSE);
    hub.take(OWN_RESUME);
    hub.take(OWN_PAUSE);
    assert_eq!(hub.kinds(), []);
    hub.session.write(2, b"waiting");
    hub.take_data((2 << 20) + 1);
    hub.read_all(2);
    assert_eq!(
        hub.kinds(),
        [Kind::Pause, Kind::Resume],
        "the other end's pause stands"
    );
    hub.take(OWN_RESUME);
    assert_eq!(hub.kinds(), [Kind::Data]);
}

#[test]
fn our_messages_are_numbered_below_zero() {
    let mut hub = end(Role::Server);
    hub.session.open(hub.now, "tcp", "a:1").unwrap();
    let Some(Transmit::Message([bytes, ..])) = hub.session.poll_transmit(hub.now) else {
        panic!("nothing is sent")
    };
    assert!(Header::decode(bytes).unwrap().0.id < 0);
}
