//! What evaluations cost. Run by hand, because a busy machine makes any bound wrong:
//! `cargo test -p plimsoll-scenario --release expr::tests::cost -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use super::*;

const ROUNDS: usize = 50_000;

/// Nanoseconds, the median; reading the clock included.
fn cost(text: &str, body: &str) -> u128 {
    let code = checked(text).unwrap().0;
    let (shared, mut memory) = (shared(), memory());
    let response = Response::new(200, vec![("x-id".into(), "7".into())], body.into(), 85_000_000, None);
    let mut spent = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        // As in a run, every response is a new one; making it is not counted.
        let fresh = response.clone();
        let mut env =
            Env { shared: &shared, memory: &mut memory, response: Some(&fresh), message: None, now: NOW };
        let begin = Instant::now();
        let _ = black_box(code.eval(black_box(&mut env)));
        spent.push(begin.elapsed().as_nanos());
    }
    spent.sort_unstable();
    spent[ROUNDS / 2]
}

#[test]
#[ignore = "measures; see the head of the file"]
fn common_expressions() {
    let small = r#"{"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.abcdefghijklmnop", "token_type": "bearer", "expires_in": 3600}"#;
    let rows: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"id": "d-{n}", "task": "Is tea better than coffee?", "rounds": {n}, "status": "running"}}"#))
        .collect();
    let large = format!(r#"{{"debates": [{}], "total": 20, "status": "completed"}}"#, rows.join(", "));
    println!(
        "small body: {} bytes, large body: {} bytes, clock: {} ns",
        small.len(),
        large.len(),
        cost("true", small)
    );
    for (body, name) in [(small, "small"), (&large, "large")] {
        for text in [
            "status == 200",
            "latency < duration('100ms')",
            "user.token != null && status in [200, 201]",
            "body.access_token",
            "first(body.token, body.access_token)",
            "body.status in ['completed', 'consensus']",
            "type(body.debates) == list",
            "body.debates.map(d, d.id)",
            "text.contains('nowhere')",
            "headers['x-id'] == '7'",
            "size(body)",
        ] {
            println!("{name} {text}: {} ns", cost(text, body));
        }
    }
}
