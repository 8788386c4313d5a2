//! Functions of chance keep to their ranges and repeat with their seed.

use super::*;

fn draws(text: &str, seed: u64) -> Vec<Value> {
    let (shared, mut memory) = (shared(), memory());
    memory.rng = Rng::new(seed, Stream::Member, 3);
    let code = checked(text).unwrap().0;
    let mut env = Env { shared: &shared, memory: &mut memory, response: None, message: None, now: 0 };
    (0..300).map(|_| code.eval(&mut env).unwrap()).collect()
}

#[test]
fn functions_keep_to_their_ranges() {
    let ints = draws("randInt(-1, 1)", 3);
    assert!((-1..=1).all(|n| ints.contains(&Value::Int(n))));
    assert!(ints.iter().all(|v| matches!(v, Value::Int(-1..=1))));
    assert_eq!(draws("randInt(-9223372036854775808, 9223372036854775807)", 3).len(), 300);
    for value in draws("randString(7)", 3) {
        let Value::String(text) = value else { panic!("{value:?}") };
        assert_eq!(text.len(), 7);
        assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{text}");
    }
    for value in draws("uuid()", 3) {
        let Value::String(text) = value else { panic!("{value:?}") };
        let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!((text.len(), dashes.as_slice(), &text[14..15]), (36, [8, 13, 18, 23].as_slice(), "4"));
        assert!("89ab".contains(&text[19..20]));
    }
    let picked = draws("pick(['a', 'b', randString(2)])", 3);
    assert!(picked.contains(&string("a")) && picked.contains(&string("b")));
    assert!(picked.iter().any(|v| *v != string("a") && *v != string("b")));
    assert!(draws("pick(user.ids)", 3).contains(&string("y")));
    fails("pick(user.ids.filter(x, false))", "pick from an empty list");
    fails("randInt(user.n, 1)", "randInt(min, max): min is over max");
    fails("randString(user.n - 6)", "randString(length): the length must be from 0 to 1048576");
}

#[test]
fn samples_are_of_different_elements_in_every_order() {
    let samples = draws("sample([1, 2, 3], 2)", 3);
    let mut seen: Vec<(i64, i64)> = samples
        .iter()
        .map(|sample| match sample {
            Value::List(items) => match &**items {
                [Value::Int(a), Value::Int(b)] => (*a, *b),
                _ => panic!("{items:?}"),
            },
            _ => panic!("{sample:?}"),
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]);
    let few = "sample(list, n): the list has fewer than n elements, or n is negative";
    fails("sample(user.ids, 3)", few);
    fails("sample(user.ids, -1)", few);
    fails("sample(body.n, 1)", "sample(list, n) takes a list, not an int");
    assert_eq!(eval("sample(user.ids, 0)"), Value::List([].into()));
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    for text in ["uuid()", "randString(9)", "sample([1, 2, 3, 4], 3)", "pick([1, 2, 3]) + randInt(0, 1000)"] {
        assert_eq!(draws(text, 5), draws(text, 5), "{text}");
        assert_ne!(draws(text, 5), draws(text, 6), "{text}");
    }
}
