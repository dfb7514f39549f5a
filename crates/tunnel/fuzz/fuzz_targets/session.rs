//! A session at either end fed with foreign bytes: no panic, bounded memory, nothing sent about a connection after its end.

#![no_main]

use std::time::Instant;

use drover_tunnel::Role;
use drover_tunnel::session::{Config, Event};
use drover_tunnel::wire::{Continue, Wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (server, chunks) = input;
    let now = Instant::now();
    let mut config = Config::new(if server { Role::Server } else { Role::Client });
    config.limits.stream_receive = 4 << 10;
    config.limits.session_receive = 16 << 10;
    config.limits.streams = 16;
    config.limits.control_queue = 64;
    let mut wire = Wire::new(config, 1, now);
    let opened = wire.session.open(now, "tcp", "a:1").unwrap_or_default();
    for mut chunk in chunks {
        match wire.receive(now, &mut chunk) {
            Ok(Continue::Yes) => {}
            Ok(Continue::Closed) | Err(_) => break,
        }
        while let Some(event) = wire.session.poll_event() {
            if let Event::Opened { connection, .. } = event {
                wire.session.write(connection, b"hello");
                if connection % 3 == 0 {
                    wire.session.refuse(connection, "no");
                } else if connection % 3 == 1 {
                    wire.session.detach(now, connection);
                }
            }
        }
        wire.session.read(opened, &mut [0; 100]);
        assert!(wire.session.stats().unread <= (16 << 10) + chunk.len());
        assert!(wire.session.stats().streams <= 16);
        let mut out = Vec::new();
        wire.transmit(now, &mut out, usize::MAX);
    }
    wire.session.disconnect();
});
