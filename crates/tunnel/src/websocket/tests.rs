use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// Decodes `bytes` cut at `cuts`; pieces of a message are put together.
fn decode(masked: bool, bytes: &[u8], cuts: &[usize]) -> Result<Vec<Seen>, WebSocketError> {
    let mut decoder = Decoder::new(masked);
    let (mut seen, mut message) = (Vec::new(), Vec::new());
    let mut rest = bytes.to_vec();
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let later = rest.split_off((*cuts.next().unwrap_or(&usize::MAX)).clamp(1, rest.len()));
        let mut input = &mut rest[..];
        while let Some(received) = decoder.next(&mut input)? {
            match received {
                Received::Message { bytes, last } => {
                    message.extend_from_slice(bytes);
                    if last {
                        seen.push(Seen::Message(std::mem::take(&mut message)));
                    }
                }
                Received::Ping(payload) => seen.push(Seen::Ping(payload)),
                Received::Pong => seen.push(Seen::Pong),
                Received::Close => seen.push(Seen::Close),
            }
        }
        rest = later;
    }
    Ok(seen)
}

#[test]
fn fragments_are_put_together_with_control_frames_between() {
    let bytes = [
        &[0x02, 2, b'a', b'b'][..],
        &[0x89, 1, b'p'],
        &[0x00, 0],
        &[0x80, 1, b'c'],
        &[0x8a, 0],
        &[0x88, 0],
    ]
    .concat();
    let expected = vec![
        Seen::Ping(b"p".to_vec()),
        Seen::Message(b"abc".to_vec()),
        Seen::Pong,
        Seen::Close,
    ];
    assert_eq!(decode(false, &bytes, &[]).unwrap(), expected);
    assert_eq!(decode(false, &bytes, &[1; 32]).unwrap(), expected);
}

#[test]
fn what_breaks_the_protocol_is_an_error() {
    let check = |masked, bytes: &[u8], expected| {
        assert_eq!(decode(masked, bytes, &[]), Err(expected), "{bytes:x?}")
    };
    check(false, &[0x81, 1, b'a'], WebSocketError::Text);
    check(false, &[0xc2, 0], WebSocketError::Reserved);
    check(false, &[0x80, 0], WebSocketError::Fragments);
    check(false, &[0x02, 1, b'a', 0x82, 0], WebSocketError::Fragments);
    check(false, &[0x83, 0], WebSocketError::Opcode(3));
    check(false, &[0x09, 0], WebSocketError::Control);
    check(false, &[0x89, 126, 0, 126], WebSocketError::Control);
    check(true, &[0x82, 0], WebSocketError::Masking);
    check(false, &[0x82, 0x80, 1, 2, 3, 4], WebSocketError::Masking);
    check(
        false,
        &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        WebSocketError::Length,
    );
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        messages in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..400), any::<Option<[u8; 4]>>()), 1..6),
        large in 0..3_usize,
        masked in any::<bool>(),
        cuts in proptest::collection::vec(1..300_usize, 0..40),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (message, mask) in messages {
            let mask = masked.then_some(mask.unwrap_or_default());
            let message = message.repeat(1 + large * 90);
            let (first, second) = message.split_at(message.len() / 3);
            encode(&mut bytes, Outgoing::Binary, &[first, second], mask);
            expected.push(Seen::Message(message));
        }
        prop_assert_eq!(decode(masked, &bytes, &cuts).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), masked in any::<bool>()) {
        let _ = decode(masked, &bytes, &[7, 1, 30]);
    }
}
