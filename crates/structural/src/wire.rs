//! The wire form of Protocol Buffers: the fields of a message, without knowing what they mean.
//!
//! Numbers of two's complement, sizes and kinds of fields are the reader's to judge.

use thiserror::Error;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// They end within a field.
    #[error("the protobuf message ends too early")]
    Short,
    /// A field is of a form that nobody writes.
    #[error("the protobuf message has an unknown wire type")]
    WireType,
}

/// A value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire<'b> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Bytes with their length: texts, messages.
    Bytes(&'b [u8]),
}

impl<'b> Wire<'b> {
    /// The bytes; none of a number.
    #[must_use]
    pub fn bytes(&self) -> &'b [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => &[],
        }
    }

    /// The number; zero for bytes.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => *number,
            Self::Fixed32(number) => u64::from(*number),
            Self::Bytes(_) => 0,
        }
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(WireError::Short)?;
        *bytes = rest;
        if shift < 64 {
            value |= u64::from(first & 0x7f) << shift;
        }
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(WireError::Short)
}

fn take<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b [u8], WireError> {
    let length = usize::try_from(length).map_err(|_| WireError::Short)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(WireError::Short)?;
    *bytes = rest;
    Ok(taken)
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(WireError::Short)?;
    *bytes = rest;
    Ok(*taken)
}

/// The fields of a message by their numbers, in order.
///
/// # Errors
///
/// The bytes are no message.
pub fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, WireError> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => Wire::Fixed64(u64::from_le_bytes(fixed(&mut bytes)?)),
            2 => {
                let length = varint(&mut bytes)?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(fixed(&mut bytes)?)),
            _ => return Err(WireError::WireType),
        };
        found.push((key >> 3, value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_apart() {
        let message = [
            0x08, 0xac, 0x02, 0x12, 0x01, b'a', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(
            fields(&message),
            Ok(vec![
                (1, Wire::Varint(300)),
                (2, Wire::Bytes(b"a")),
                (3, Wire::Fixed32(1)),
                (4, Wire::Fixed64(2)),
            ])
        );
        assert_eq!(fields(&message[..5]), Err(WireError::Short));
        assert_eq!(fields(&[0x0b]), Err(WireError::WireType));
    }
}
