//! The channels of a terminal over a websocket, in the forms that Kubernetes has for exec.
//!
//! Pure. Numbers and texts are those of `k8s.io/kubelet/pkg/cri/streaming/remotecommand` (websocket.go) at 1.36.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drover_api::websocket::Frame;
use serde::Deserialize;
use serde_json::{Value, json};

/// What may be spoken.
pub(super) const PROTOCOLS: [&str; 5] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// Says that another channel is closed (since v5).
const CLOSE: u8 = 255;

/// How one client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wire {
    /// Messages are texts, with their bytes in base64.
    base64: bool,
    /// The end is told as a `Status`; else a failure only, as text.
    status: bool,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Keys.
    Input(Bytes),
    /// The size of its terminal.
    Size(Size),
    /// There will be no more keys.
    EndOfInput,
}

/// Of a terminal, in letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Size {
    pub(super) width: u16,
    pub(super) height: u16,
}

impl Wire {
    pub(super) fn of(protocol: Option<&str>) -> Self {
        let protocol = protocol.unwrap_or_default();
        Self {
            base64: protocol.contains("base64"),
            status: protocol.starts_with('v'),
        }
    }

    /// What a message says. `None`: nothing that is known here; it is ignored, as the peer does.
    pub(super) fn read(self, frame: Frame) -> Option<Heard> {
        let (channel, content) = match frame {
            Frame::Text(text) if self.base64 => {
                let (channel, content) = text.split_at_checked(1)?;
                let channel = channel.parse::<u8>().ok()?;
                (channel, Bytes::from(STANDARD.decode(content).ok()?))
            }
            Frame::Text(text) => {
                let mut bytes = Bytes::from(text);
                (*bytes.first()?, bytes.split_off(1))
            }
            Frame::Bytes(mut bytes) => (*bytes.first()?, bytes.split_off(1)),
        };
        match channel {
            STDIN if content.is_empty() => None,
            STDIN => Some(Heard::Input(content)),
            RESIZE => serde_json::from_slice(&content).ok().map(Heard::Size),
            CLOSE if *content == [STDIN] => Some(Heard::EndOfInput),
            _ => None,
        }
    }

    /// What the terminal shows.
    pub(super) fn output(self, content: &[u8]) -> Frame {
        self.frame(STDOUT, content)
    }

    /// How it ended; `None` where this wire has no word for it.
    pub(super) fn end(self, status: &Value) -> Option<Frame> {
        if self.status {
            return Some(self.frame(ERROR, status.to_string().as_bytes()));
        }
        let failed = status["status"] != "Success";
        let message = status["message"].as_str().unwrap_or_default();
        failed.then(|| self.frame(ERROR, message.as_bytes()))
    }

    fn frame(self, channel: u8, content: &[u8]) -> Frame {
        if self.base64 {
            return Frame::Text(format!("{channel}{}", STANDARD.encode(content)));
        }
        let mut bytes = Vec::with_capacity(content.len() + 1);
        bytes.push(channel);
        bytes.extend_from_slice(content);
        Frame::Bytes(bytes.into())
    }
}

/// The `Status` of an end that the shell did not come to by itself.
pub(super) fn failure(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500, "message": message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(content: &[u8]) -> Frame {
        Frame::Bytes(Bytes::copy_from_slice(content))
    }

    #[test]
    fn keys_and_sizes_come_in_all_forms() {
        let check = |protocol: Option<&str>, frame: Frame, expected: Option<Heard>| {
            assert_eq!(
                Wire::of(protocol).read(frame.clone()),
                expected,
                "{protocol:?} {frame:?}"
            );
        };
        let keys = || Some(Heard::Input(Bytes::from_static(b"ls\r")));
        let size = || {
            Some(Heard::Size(Size {
                width: 80,
                height: 24,
            }))
        };
        let text = |text: &str| Frame::Text(text.to_owned());
        for protocol in [
            None,
            Some("channel.k8s.io"),
            Some("v4.channel.k8s.io"),
            Some("v5.channel.k8s.io"),
        ] {
            check(protocol, bytes(b"\0ls\r"), keys());
            check(protocol, text("\0ls\r"), keys());
            check(protocol, bytes(b"\x04{\"Width\":80,\"Height\":24}"), size());
            check(protocol, bytes(b"\xff\0"), Some(Heard::EndOfInput));
        }
        for protocol in ["base64.channel.k8s.io", "v4.base64.channel.k8s.io"] {
            check(Some(protocol), text("0bHMN"), keys());
            check(
                Some(protocol),
                text("4eyJXaWR0aCI6ODAsIkhlaWdodCI6MjR9"),
                size(),
            );
            for unknown in ["", "0", "0*", "x", "9bHMN", "ü"] {
                check(Some(protocol), text(unknown), None);
            }
        }
        for unknown in [
            &b""[..],
            b"\0",
            b"\x01x",
            b"\x04{",
            b"\x04{\"Width\":-1}",
            b"\xff\x01",
            b"\x09x",
        ] {
            check(Some("v5.channel.k8s.io"), bytes(unknown), None);
        }
    }

    #[test]
    fn output_and_ends_go_out_as_the_client_speaks() {
        let success = json!({"status": "Success"});
        let v5 = Wire::of(Some("v5.channel.k8s.io"));
        assert_eq!(v5.output(b"a"), bytes(b"\x01a"));
        assert_eq!(
            v5.end(&success),
            Some(bytes(b"\x03{\"status\":\"Success\"}"))
        );
        let old = Wire::of(Some("base64.channel.k8s.io"));
        assert_eq!(old.output(b"a"), Frame::Text("1YQ==".to_owned()));
        assert_eq!(old.end(&success), None);
        assert_eq!(
            old.end(&failure("a")),
            Some(Frame::Text("3YQ==".to_owned()))
        );
        let told = v5.end(&failure("gone"));
        assert!(
            matches!(told, Some(Frame::Bytes(told)) if told.starts_with(b"\x03") && told.ends_with(b"}"))
        );
    }
}
