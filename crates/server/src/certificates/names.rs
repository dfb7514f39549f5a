//! Which names stand in the serving certificate, and which of them give way.
//!
//! Pure. Names that clients ask for are limited together and, for each client, alone. A new name always gets in: it takes
//! the place of the one that was not asked for longest, of whoever holds the most of them. So who asks for junk replaces
//! its own junk, and a name that people use comes back with the next connection that asks for it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};

/// Names at once; each costs bytes of every handshake.
pub(super) const MOST: usize = 64;
/// Names that one client holds at once: a person opens the server under few.
pub(super) const MOST_OF_ONE: usize = 16;
/// What nobody asked for this long leaves with the next certificate.
pub(super) const UNUSED: SignedDuration = SignedDuration::from_hours(24 * 60);

/// Who asked: an address, or the network that one customer of IPv6 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asker(IpAddr);

impl Asker {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            four @ IpAddr::V4(_) => four,
        })
    }
}

/// One name in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It stands there whoever asks for it.
    Fixed,
    /// Last asked for, and by whom first, as far as that is known.
    Asked { at: Timestamp, by: Option<Asker> },
}

/// The names, in the form that certificates have them in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<String, Use>);

impl Names {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Puts a name in that stays; says whether it is new.
    pub(super) fn fix(&mut self, name: String) -> bool {
        self.0.insert(name, Use::Fixed).is_none()
    }

    /// Notes that a name was asked for; says whether it is new.
    pub(super) fn ask(&mut self, name: &str, by: Option<Asker>, now: Timestamp) -> bool {
        if let Some(known) = self.0.get_mut(name) {
            if let Use::Asked { at, .. } = known {
                *at = now;
            }
            return false;
        }
        while let Some(given_up) = self.gives_way(by) {
            self.0.remove(&given_up);
        }
        if self.0.len() >= MOST {
            return false;
        }
        self.0.insert(name.to_owned(), Use::Asked { at: now, by });
        true
    }

    /// Drops what nobody asks for any more.
    pub(super) fn age(&mut self, now: Timestamp) {
        self.0.retain(|_, used| match used {
            Use::Fixed => true,
            Use::Asked { at, .. } => now.duration_since(*at) < UNUSED,
        });
    }

    /// The name that has to go before another of this asker comes.
    fn gives_way(&self, by: Option<Asker>) -> Option<String> {
        let mut held: BTreeMap<Asker, usize> = BTreeMap::new();
        for used in self.0.values() {
            if let Use::Asked { by: Some(by), .. } = used {
                *held.entry(*by).or_default() += 1;
            }
        }
        if let Some(by) = by
            && held.get(&by).is_some_and(|n| *n >= MOST_OF_ONE)
        {
            return self.oldest(|of| of == Some(by));
        }
        if self.0.len() < MOST {
            return None;
        }
        let most = held.iter().max_by_key(|(_, n)| **n);
        match most {
            Some((most, n)) if *n > 1 => self.oldest(|of| of == Some(*most)),
            Some(_) | None => self.oldest(|_| true),
        }
    }

    fn oldest(&self, of: impl Fn(Option<Asker>) -> bool) -> Option<String> {
        let asked = self.0.iter().filter_map(|(name, used)| match used {
            Use::Asked { at, by } if of(*by) => Some((*at, name)),
            Use::Asked { .. } | Use::Fixed => None,
        });
        asked.min().map(|(_, name)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn asker(last: u8) -> Option<Asker> {
        Some(Asker::of(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn junk_of_one_client_takes_the_place_of_its_own_junk() {
        let mut names = Names::default();
        names.fix("localhost".to_owned());
        assert!(names.ask("hub.example", asker(1), at(0)));
        for n in 0..1000 {
            assert!(names.ask(&format!("junk-{n}.example"), asker(2), at(1 + n)));
        }
        assert_eq!(names.iter().count(), 2 + MOST_OF_ONE);
        assert!(names.iter().any(|name| name == "hub.example"));
        assert!(names.ask("new.example", asker(3), at(2000)));
    }

    #[test]
    fn a_full_list_takes_a_new_name_and_keeps_what_is_fixed() {
        let mut names = Names::default();
        names.fix("localhost".to_owned());
        // Each from another network: what is used last stays.
        for n in 0..1000 {
            let by = Asker::of(IpAddr::from([10, 0, (n / 250) as u8, (n % 250) as u8]));
            names.ask(&format!("junk-{n}.example"), Some(by), at(n));
        }
        assert_eq!(names.iter().count(), MOST);
        assert!(names.ask("hub.example", asker(1), at(1000)));
        let shown: Vec<&str> = names.iter().collect();
        assert!(shown.contains(&"hub.example") && shown.contains(&"localhost"));
        assert!(shown.contains(&"junk-999.example") && !shown.contains(&"junk-937.example"));
    }

    #[test]
    fn what_nobody_asks_for_leaves() {
        let mut names = Names::default();
        names.fix("localhost".to_owned());
        names.ask("old.example", asker(1), at(0));
        names.ask("used.example", None, at(0));
        let later = at(0) + UNUSED;
        names.ask(
            "used.example",
            asker(1),
            later - SignedDuration::from_hours(1),
        );
        names.age(later);
        assert_eq!(
            names.iter().collect::<Vec<_>>(),
            ["localhost", "used.example"]
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let one = |text: &str| Asker::of(text.parse().unwrap());
        assert_eq!(one("2001:db8:1:2::1"), one("2001:db8:1:2:ffff::9"));
        assert_ne!(one("2001:db8:1:2::1"), one("2001:db8:1:3::1"));
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
    }
}
