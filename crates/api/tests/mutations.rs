//! Manifests that somebody's cat walked over: each is taken or refused, never a panic, and what is taken comes to the same plan when the
//! plan is stored and read, and when the manifest is written anew. Fixed seeds.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod support;

use plimsoll_api::{Object, read, to_yaml};
use plimsoll_plan::Plan;
use plimsoll_scenario::{Rng, Stream};
use serde_json::{Map, Value};
use support::{all_examples, resolve};

const MUTATIONS: u64 = 10_000;

/// What values are replaced by.
const SCALARS: [&str; 24] = [
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "1e400",
    "true",
    "null",
    "0s",
    "1h",
    "9999h",
    "101%",
    "0%",
    "''",
    "'${'",
    "'${vars.token}'",
    "'${user.'",
    "user.x",
    "body.a.b > 1",
    "'/ü'",
    "[]",
    "{}",
    "p99",
    "'  '",
    "warmup",
];

struct Mutator {
    rng: Rng,
}

impl Mutator {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound.max(1) as u64)).unwrap()
    }

    /// One of the examples, the shorter the more often: all of them in little time.
    fn choose(&mut self, examples: &[(String, String)]) -> usize {
        let weight = |text: &str| 1_000_000 / text.len().max(1);
        let mut left = self.below(examples.iter().map(|(_, text)| weight(text)).sum());
        examples
            .iter()
            .position(|(_, text)| {
                let here = left < weight(text);
                left = left.wrapping_sub(weight(text));
                here
            })
            .unwrap()
    }

    /// A character less, more or another.
    fn of_text(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.below(chars.len());
        let any =
            ['{', '}', '[', ']', ':', '-', '#', '"', '\'', '$', ' ', '\n', '0', '%', 'ß', '&', '*', '|'];
        let new = any[self.below(any.len())];
        match self.below(3) {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, new),
            _ => chars[at] = new,
        }
        chars.into_iter().collect()
    }

    /// One value in the tree less, twice, under another name, or another.
    fn of_value(&mut self, root: &mut Value) {
        let pointers = pointers(root);
        let pointer = pointers[self.below(pointers.len())].clone();
        let other = root.pointer(&pointers[self.below(pointers.len())]).cloned().unwrap();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let last = last.replace("~1", "/").replace("~0", "~");
        let way = self.below(5);
        let scalar = serde_json::from_str(SCALARS[self.below(SCALARS.len())])
            .unwrap_or_else(|_| Value::from(SCALARS[self.below(SCALARS.len())].trim_matches('\'')));
        match (root.pointer_mut(parent).unwrap(), way) {
            (Value::Object(map), 0) => drop(map.shift_remove(&last)),
            (Value::Object(map), 1) => {
                let value = map.shift_remove(&last).unwrap();
                map.insert(format!("{last}x"), value);
            }
            (Value::Array(items), 0) => drop(items.remove(last.parse().unwrap())),
            (Value::Array(items), 1) => {
                let item = items[last.parse::<usize>().unwrap()].clone();
                items.push(item);
            }
            (_, 2) => *root.pointer_mut(&pointer).unwrap() = other,
            (_, 3) => {
                let value = root.pointer_mut(&pointer).unwrap();
                match value {
                    Value::String(text) if !text.is_empty() => *text = self.of_text(text),
                    Value::Number(number) => *value = Value::from(number.as_u64().unwrap_or(7) / 3),
                    other => *other = scalar,
                }
            }
            (_, _) => *root.pointer_mut(&pointer).unwrap() = scalar,
        }
    }
}

/// Pointers to all values within `spec`.
fn pointers(root: &Value) -> Vec<String> {
    fn below(value: &Value, at: &str, found: &mut Vec<String>) {
        let mut visit = |key: String, value: &Value| {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            found.push(at.clone());
            below(value, &at, found);
        };
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| visit(key.clone(), value)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| visit(i.to_string(), value));
            }
            _ => {}
        }
    }
    let mut found = vec!["/spec".to_owned()];
    below(&root["spec"], "/spec", &mut found);
    found
}

/// The documents of a manifest as values, as a person would have written them.
fn values(text: &str) -> Vec<Value> {
    let with_kind = |kind: &str, value: Value| {
        let mut map = Map::new();
        map.insert("apiVersion".into(), "plimsoll.dev/v1alpha1".into());
        map.insert("kind".into(), kind.into());
        map.extend(value.as_object().unwrap().clone());
        Value::Object(map)
    };
    let documents = read("m.yaml", text).unwrap();
    let tests = documents.iter().filter_map(|document| match &document.object {
        Object::LoadTest(test) => Some(with_kind("LoadTest", serde_json::to_value(test).unwrap())),
        Object::LoadProfile(p) => Some(with_kind("LoadProfile", serde_json::to_value(p).unwrap())),
        Object::ClusterLoadProfile(p) => {
            Some(with_kind("ClusterLoadProfile", serde_json::to_value(p).unwrap()))
        }
        _ => None,
    });
    tests.collect()
}

/// Whether a manifest is taken; if it is, its plan is the same in every form.
fn is_taken(text: &str) -> bool {
    let resolved = resolve(text);
    let mut taken = !resolved.is_empty();
    for result in resolved {
        let Ok(resolved) = result else {
            taken = false;
            continue;
        };
        assert_eq!(resolved.plan.check(), Ok(()), "{text}");
        let stored = serde_json::to_string(&resolved.plan).unwrap();
        let read: Plan = serde_json::from_str(&stored).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        assert_eq!(read, resolved.plan, "{text}");
        assert_eq!(serde_json::to_string(&read).unwrap(), stored, "{text}");
    }
    taken
}

/// The manifest written anew from what was read comes to the same plans.
fn same_written_anew(text: &str) {
    let anew: Vec<String> = values(text).iter().map(|value| to_yaml(value).unwrap()).collect();
    let plans = |text: &str| -> Vec<Plan> { resolve(text).into_iter().map(|r| r.unwrap().plan).collect() };
    assert_eq!(plans(&anew.join("---\n")), plans(text), "{text}");
}

/// Mutations of one thread, of which there are two.
fn mutate(half: u64) -> (u64, u64) {
    let examples = all_examples();
    let trees: Vec<Vec<Value>> = examples.iter().map(|(_, text)| values(text)).collect();
    let (mut taken, mut done) = (0, 0);
    for number in (half..MUTATIONS).step_by(2) {
        let mut mutator = Mutator { rng: Rng::new(0x6d75_7461_7465, Stream::Member, number) };
        let which = mutator.choose(&examples);
        let text = if number % 4 < 2 {
            mutator.of_text(&examples[which].1)
        } else {
            let mut documents = trees[which].clone();
            let at = mutator.below(documents.len());
            mutator.of_value(&mut documents[at]);
            documents.iter().map(|value| to_yaml(value).unwrap()).collect::<Vec<_>>().join("---\n")
        };
        done += 1;
        if is_taken(&text) {
            taken += 1;
            if taken % 8 == 0 {
                same_written_anew(&text);
            }
        }
    }
    (taken, done)
}

#[test]
fn ten_thousand_mutations_are_taken_or_refused() {
    let halves = [0, 1].map(|half| std::thread::spawn(move || mutate(half)));
    let sums = halves.map(|half| half.join().unwrap());
    let (taken, done) = (sums[0].0 + sums[1].0, sums[0].1 + sums[1].1);
    assert_eq!(done, MUTATIONS);
    // Neither is the exception.
    assert!(taken > MUTATIONS / 20 && taken < MUTATIONS * 19 / 20, "{taken} of {done} were taken");
}

#[test]
fn every_example_is_the_same_written_anew() {
    for (_, text) in all_examples() {
        same_written_anew(&text);
    }
}
