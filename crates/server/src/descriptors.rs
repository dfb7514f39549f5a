//! How many connections there may be: each is an open file, of which the system allows a process so many.
//!
//! Most systems allow 1,024 unless a process asks for more, and every agent holds two connections.

/// Open files that are kept for the store, the audit log, backups and the server's own connections.
const RESERVED: u64 = 128;
/// Fewer than this are too few for a hub of a few hundred clusters.
const FEW: u64 = 4_096;

/// Asks the system for as many open files as it allows; returns how many connections fit, at most `most`.
pub(crate) fn connections(most: usize) -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) => {
            if allowed < FEW {
                tracing::warn!(
                    allowed,
                    "the system allows few open files, and each connection is one; raise the limit (ulimit -n, LimitNOFILE)"
                );
            }
            fitting(allowed, most)
        }
        Err(error) => {
            tracing::warn!(%error, "cannot ask for more open files");
            most
        }
    }
}

/// Without the reserve, or half of what there is if that is more.
fn fitting(allowed: u64, most: usize) -> usize {
    let left = allowed.saturating_sub(RESERVED).max(allowed / 2);
    usize::try_from(left).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        let check = |allowed, expected| assert_eq!(fitting(allowed, 20_000), expected, "{allowed}");
        check(64, 32);
        check(256, 128);
        check(1_024, 896);
        check(1_048_576, 20_000);
        check(u64::MAX, 20_000);
    }
}
