//! Things with ids that only this server can have given out, in the order of their making. Everything that the
//! Aragora endpoints remember is in such a store.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Things of one kind that are remembered; the oldest are forgotten first.
const MAX_ITEMS: usize = 200_000;

/// Things of one kind.
#[derive(Debug)]
pub(crate) struct Store<T> {
    kind: &'static str,
    /// What an id's last part is made from, so that an id of another server, or of another kind, is not one here.
    seed: u64,
    made: u64,
    items: BTreeMap<u64, T>,
}

impl<T> Store<T> {
    /// An empty store; its kind begins the ids.
    pub(crate) fn new(kind: &'static str) -> Self {
        Store { kind, seed: RandomState::new().build_hasher().finish(), made: 0, items: BTreeMap::new() }
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}-{:012x}", self.kind, mixed(self.seed, number) >> 16)
    }

    /// The number of an id, if it was given out here.
    fn number(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix(self.kind)?.strip_prefix('-')?.split('-').next()?.parse().ok()?;
        (self.id(number) == id).then_some(number)
    }

    /// Keeps a thing that is made from its id and its number, counted from 0.
    pub(crate) fn add(&mut self, make: impl FnOnce(&str, u64) -> T) -> String {
        let number = self.made;
        self.made += 1;
        let id = self.id(number);
        self.items.insert(number, make(&id, number));
        if self.items.len() > MAX_ITEMS {
            self.items.pop_first();
        }
        id
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.items.get(&self.number(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let number = self.number(id)?;
        self.items.get_mut(&number)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        let number = self.number(id)?;
        self.items.remove(&number)
    }

    /// The thing with this number, counted from 0.
    pub(crate) fn by_number(&self, number: u64) -> Option<&T> {
        self.items.get(&number)
    }

    /// Forgets what the test does not keep, the oldest first and no further than to the first that it keeps.
    pub(crate) fn forget_oldest(&mut self, keep: impl Fn(&T) -> bool) {
        while self.items.first_key_value().is_some_and(|(_, oldest)| !keep(oldest)) {
            self.items.pop_first();
        }
    }

    /// All with their ids, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (String, &T)> {
        self.items.iter().rev().map(|(number, item)| (self.id(*number), item))
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many were ever made.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }
}

/// Mixes two numbers into one that tells nothing of them (the finaliser of SplitMix64).
fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_ids_are_known() {
        let (mut store, mut other) = (Store::new("debate"), Store::new("debate"));
        let id = store.add(|_, number| number);
        let foreign = other.add(|_, number| number);
        assert_eq!((store.get(&id), store.get(&foreign)), (Some(&0), None));
        for wrong in ["", "debate", "debate-0", "debate-0-000000000000", "node-0-1", &id[..id.len() - 1]] {
            assert_eq!(store.get(wrong), None, "{wrong}");
        }
        assert_eq!(store.remove(&id), Some(0));
        assert_eq!((store.get(&id), store.len(), store.made()), (None, 0, 1));
    }

    #[test]
    fn the_newest_come_first() {
        let mut store = Store::new("node");
        let ids: Vec<String> = (0..3).map(|_| store.add(|_, number| number)).collect();
        let listed: Vec<String> = store.newest().map(|(id, _)| id).collect();
        assert_eq!(listed, [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
    }
}
