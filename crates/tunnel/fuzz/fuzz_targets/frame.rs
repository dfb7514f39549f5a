//! Message reader: any bytes, cut anywhere; pieces give what the whole gives.

#![no_main]

use drover_tunnel::frame::{Piece, Reader};
use libfuzzer_sys::fuzz_target;

/// Data bytes and the printed control message.
fn read<'a>(pieces: impl Iterator<Item = (&'a [u8], bool)>) -> Option<(Vec<u8>, String)> {
    let mut reader = Reader::default();
    let (mut data, mut control) = (Vec::new(), String::new());
    for (bytes, last) in pieces {
        match reader.push(bytes, last).ok()? {
            None => {}
            Some(Piece::Data { bytes, .. }) => data.extend_from_slice(bytes),
            Some(piece @ Piece::Control { .. }) => control = format!("{piece:?}"),
        }
    }
    Some((data, control))
}

fuzz_target!(|input: (&[u8], usize)| {
    let (message, cut) = input;
    let (first, second) = message.split_at(cut % (message.len() + 1));
    let whole = read([(message, true)].into_iter());
    let pieces = read([(first, false), (second, true)].into_iter());
    assert_eq!(whole, pieces);
});
