use proptest::prelude::*;

use super::*;

/// Messages of our recording of a remotedialer v0.15 session, and of the reference's hand-made ones: bytes, number,
/// connection, what they are.
fn known() -> Vec<(&'static str, i64, i64, Known)> {
    use Known::{Control as C, Data};
    let connect = |protocol: &str, address: &str| {
        C(Control::Connect {
            protocol: protocol.to_owned(),
            address: address.to_owned(),
        })
    };
    let client = |client: &str| Control::AddClient {
        client: client.to_owned(),
        session: 77,
    };
    vec![
        (
            "020404b0ea017463702f31302e34332e302e313a343433",
            1,
            2,
            connect("tcp", "10.43.0.1:443"),
        ),
        ("c8010402b0ea01474554202f", 100, 2, Data(b"GET /".to_vec())),
        ("060406454f46", 3, 2, C(Control::Error("EOF".to_owned()))),
        ("080008632d61626364652f3737", 4, 0, C(client("c-abcde"))),
        ("0a040c", 5, 2, C(Control::Pause)),
        ("0c040e", 6, 2, C(Control::Resume)),
        (
            "0e001002000000000000000500000000000000",
            7,
            0,
            C(Control::SyncConnections(vec![2, 5])),
        ),
        ("0e0010", 7, 0, C(Control::SyncConnections(Vec::new()))),
        (
            "120604b0ea01632d61626364653a3a7463702f31302e34332e302e313a343433",
            9,
            3,
            connect("c-abcde::tcp", "10.43.0.1:443"),
        ),
        (
            "98bfa48c96d6a2c8ca010404b0ea017463702f3132372e302e302e313a38313235",
            7_298_159_443_378_999_244,
            2,
            connect("tcp", "127.0.0.1:8125"),
        ),
        (
            "9ca29bc8d4d4cda63f06066469616c20746370203132372e302e302e313a313a20636f6e6e6563743a20636f6e6e656374696f6e2072656675736564",
            2_280_681_040_559_433_870,
            3,
            C(Control::Error(
                "dial tcp 127.0.0.1:1: connect: connection refused".to_owned(),
            )),
        ),
        (
            "a0a29bc8d4d4cda63f0606636f6e6e656374696f6e206e6f7420666f756e6420636c69656e742f302f33",
            2_280_681_040_559_433_872,
            3,
            C(Control::Error("connection not found client/0/3".to_owned())),
        ),
        (
            "a8bfa48c96d6a2c8ca01080c",
            7_298_159_443_378_999_252,
            4,
            C(Control::Pause),
        ),
        (
            "9aa99bc8d4d4cda63f00100200000000000000",
            2_280_681_040_559_434_317,
            0,
            C(Control::SyncConnections(vec![2])),
        ),
        (
            "b2bfa48c96d6a2c8ca010a0e",
            7_298_159_443_378_999_257,
            5,
            C(Control::Resume),
        ),
    ]
}

#[derive(Debug, PartialEq)]
enum Known {
    Data(Vec<u8>),
    Control(Control),
}

fn own(piece: Piece<'_>) -> (i64, Known) {
    match piece {
        Piece::Data { connection, bytes } => (connection, Known::Data(bytes.to_vec())),
        Piece::Control {
            connection,
            control,
        } => (connection, Known::Control(control)),
    }
}

fn payload_of(known: &Known) -> (Kind, Vec<u8>) {
    match known {
        Known::Data(bytes) => (Kind::Data, bytes.clone()),
        Known::Control(control) => match control {
            Control::Connect { protocol, address } => {
                (Kind::Connect, format!("{protocol}/{address}").into_bytes())
            }
            Control::Error(text) => (Kind::Error, text.clone().into_bytes()),
            Control::AddClient { client, session } => {
                (Kind::AddClient, format!("{client}/{session}").into_bytes())
            }
            Control::RemoveClient { client, session } => (
                Kind::RemoveClient,
                format!("{client}/{session}").into_bytes(),
            ),
            Control::Pause => (Kind::Pause, Vec::new()),
            Control::Resume => (Kind::Resume, Vec::new()),
            Control::SyncConnections(open) => (
                Kind::SyncConnections,
                open.iter().flat_map(|id| id.to_le_bytes()).collect(),
            ),
            Control::Unknown => (Kind::Unknown(9), Vec::new()),
        },
    }
}

#[test]
fn recorded_and_hand_made_messages_decode_to_what_they_are() {
    for (hexadecimal, id, connection, expected) in known() {
        let bytes = hex::decode(hexadecimal).unwrap();
        let (header, _) = Header::decode(&bytes).unwrap();
        assert_eq!(
            (header.id, header.connection),
            (id, connection),
            "{hexadecimal}"
        );
        let piece = Reader::default().push(&bytes, true).unwrap().unwrap();
        assert_eq!(own(piece), (connection, expected), "{hexadecimal}");
    }
}

#[test]
fn recorded_and_hand_made_messages_encode_to_the_same_bytes() {
    for (hexadecimal, id, connection, known) in known() {
        let (kind, payload) = payload_of(&known);
        assert_eq!(
            hex::encode(encode(
                &Header {
                    id,
                    connection,
                    kind
                },
                &payload
            )),
            hexadecimal
        );
    }
}

#[test]
fn varints_are_zig_zag() {
    let check = |number: i64, expected: &str| {
        let mut encoded = EncodedHeader {
            bytes: [0; MAX_HEADER],
            length: 0,
        };
        encoded.put(number);
        assert_eq!(hex::encode(encoded.as_ref()), expected);
        let mut at = 0;
        assert_eq!(take_varint(encoded.as_ref(), &mut at), Ok(number));
        assert_eq!(at, encoded.length);
    };
    check(63, "7e");
    check(64, "8001");
    check(-1, "01");
    check(i64::MIN, "ffffffffffffffffff01");
    check(i64::MAX, "feffffffffffffffff01");
}

#[test]
fn numbers_beyond_64_bits_and_cut_headers_are_errors() {
    let overflow = [0xff; 12];
    assert_eq!(Header::decode(&overflow), Err(FrameError::Overflow));
    let mut ninth = [0xff; 12];
    ninth[9] = 0x02;
    assert_eq!(Header::decode(&ninth), Err(FrameError::Overflow));
    assert_eq!(
        Reader::default().push(&[], true),
        Err(FrameError::Truncated)
    );
    assert_eq!(
        Reader::default().push(&[0x02, 0x04, 0x04, 0xb0], true),
        Err(FrameError::Truncated)
    );
}

#[test]
fn payload_limits_are_the_readers_limits() {
    let message = |kind, payload: &[u8]| {
        encode(
            &Header {
                id: 1,
                connection: 2,
                kind,
            },
            payload,
        )
    };
    let push = |bytes: &[u8]| {
        Reader::default()
            .push(bytes, true)
            .map(|piece| piece.map(own))
    };

    let longest = format!("tcp/{}", "a".repeat(CONNECT_LIMIT - 4));
    assert!(push(&message(Kind::Connect, longest.as_bytes())).is_ok());
    let too_long = format!("{longest}a");
    assert_eq!(
        push(&message(Kind::Connect, too_long.as_bytes())),
        Err(FrameError::TooLong {
            kind: Kind::Connect,
            limit: CONNECT_LIMIT
        })
    );
    assert_eq!(
        push(&message(Kind::Connect, b"tcp")),
        Err(FrameError::Malformed(Kind::Connect))
    );

    let text = "e".repeat(300);
    let error = push(&message(Kind::Error, text.as_bytes())).unwrap();
    assert_eq!(
        error,
        Some((2, Known::Control(Control::Error("e".repeat(TEXT_LIMIT)))))
    );

    assert_eq!(
        push(&message(Kind::SyncConnections, &[0; 9])),
        Err(FrameError::Malformed(Kind::SyncConnections))
    );
    assert_eq!(
        push(&message(Kind::AddClient, b"c-abcde/x")),
        Err(FrameError::Malformed(Kind::AddClient))
    );
    assert_eq!(
        push(&message(Kind::Unknown(9), b"whatever")),
        Ok(Some((2, Known::Control(Control::Unknown))))
    );
}

#[test]
fn error_texts_are_cut_between_characters() {
    let text = format!("{}é", "a".repeat(TEXT_LIMIT - 1));
    assert_eq!(error_text(&text), "a".repeat(TEXT_LIMIT - 1));
    assert_eq!(error_text("EOF"), "EOF");
}

proptest! {
    #[test]
    fn a_message_in_pieces_is_the_same_message(
        index in 0..15_usize,
        extra in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(1..40_usize, 0..40),
    ) {
        let (hexadecimal, ..) = known().swap_remove(index);
        let mut bytes = hex::decode(hexadecimal).unwrap();
        if Header::decode(&bytes).unwrap().0.kind == Kind::Data {
            bytes.extend(&extra);
        }
        let whole = own(Reader::default().push(&bytes, true).unwrap().unwrap());

        let mut reader = Reader::default();
        let (mut data, mut control, mut connection) = (Vec::new(), None, 0);
        let mut rest = &bytes[..];
        let mut cuts = cuts.into_iter();
        loop {
            let length = cuts.next().unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(length);
            rest = later;
            let last = rest.is_empty();
            match reader.push(now, last).unwrap().map(own) {
                None => {}
                Some((id, Known::Data(bytes))) => { connection = id; data.extend(bytes); }
                Some((id, Known::Control(message))) => { connection = id; control = Some(message); }
            }
            if last { break; }
        }
        let pieces = (connection, control.map_or(Known::Data(data), Known::Control));
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(messages in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..64), any::<bool>()), 0..8)) {
        let mut reader = Reader::default();
        for (bytes, last) in messages {
            if reader.push(&bytes, last).is_err() { break; }
        }
    }
}
