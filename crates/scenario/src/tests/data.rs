//! Tables: which rows users see, and what is wrong with texts.

use super::*;

const CSV: &str = "email,basket\na@x,1\nb@x,2\nc@x,3\n";

fn shopper(pick: Pick, once: bool) -> Script {
    let mut script = steps(vec![get("/${data.users.email}/${run.user}/${run.iteration}")]);
    script.data = vec![table("users", DataFormat::Csv, CSV, pick, once)];
    script
}

/// What a user asks for in `n` iterations, as far as its data reach.
fn iterations(user: &mut User, n: usize) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..n {
        let User { memory, bound, rows, .. } = &mut *user;
        if !memory.begin_iteration(&bound.shared, rows) {
            break;
        }
        let request = user.request(0).unwrap();
        seen.push(request.split([' ', '?']).nth(1).unwrap().trim_matches('/').to_owned());
    }
    seen
}

#[test]
fn sequential_rows_go_on_from_iteration_to_iteration_and_begin_anew() {
    let mut user = User::of(&shopper(Pick::Sequential, false));
    assert_eq!(iterations(&mut user, 4), ["a@x/0/0", "b@x/0/1", "c@x/0/2", "a@x/0/3"]);
}

#[test]
fn users_of_a_core_share_its_rows_and_end_with_them() {
    let bound = bind(&shopper(Pick::Sequential, true), &[]).unwrap();
    let mut first = User::with(bound.clone(), 0);
    let mut second = Memory::new(&bound.scenarios[0].slots, rng(), 1);
    // The first was given its row at birth.
    assert!(second.begin_iteration(&bound.shared, &mut first.rows));
    assert_eq!((first.memory.row(0), second.row(0)), (0, 1));
    assert_eq!(iterations(&mut first, 9), ["a@x/0/0", "c@x/0/1"]);
    assert!(!second.begin_iteration(&bound.shared, &mut first.rows));
    let mut late = Memory::new(&bound.scenarios[0].slots, rng(), 2);
    let none = &mut |_: Note<'_>| {};
    assert!(!late.begin_life(&bound.scenarios[0], &bound.shared, &mut first.rows, NOW, none));
}

#[test]
fn cores_take_every_row_once_together() {
    let text: String = (0..100).map(|n| format!("{n}\n")).collect();
    let mut script = steps(vec![get("/${data.t.n}")]);
    script.data = vec![table("t", DataFormat::Csv, &format!("n\n{text}"), Pick::Sequential, true)];
    let bound = bind(&script, &[]).unwrap();
    let mut seen = Vec::new();
    for core in 0..3 {
        let mut rows = Rows::new(core, 3);
        let mut memory = Memory::new(&bound.scenarios[0].slots, rng(), core);
        while memory.begin_iteration(&bound.shared, &mut rows) {
            seen.push(memory.row(0));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn random_rows_are_drawn_by_the_users_own_seed() {
    let draw = || iterations(&mut User::of(&shopper(Pick::Random, false)), 300);
    let drawn = draw();
    for email in ["a@x", "b@x", "c@x"] {
        // Binomial(300, 1/3) has a standard deviation of 8.2; five of them.
        assert!(drawn.iter().filter(|row| row.starts_with(email)).count().abs_diff(100) < 41);
    }
    assert_eq!(drawn, draw());
}

#[test]
fn a_users_own_row_stays_with_it() {
    let bound = bind(&shopper(Pick::PerUser, false), &[]).unwrap();
    let mut user = User::with(bound, 7);
    assert_eq!(iterations(&mut user, 2), ["b@x/7/0", "b@x/7/1"]);
}

#[test]
fn the_first_row_is_there_from_birth() {
    let mut script = shopper(Pick::Sequential, false);
    script.scenarios[0].state = vec![assign("email", "data.users.email", 0)];
    script.scenarios[0].action = Action::Steps(vec![get("/${user.email}/${data.users.email}")]);
    let mut user = User::of(&script);
    assert_eq!(iterations(&mut user, 2), ["a@x/a@x", "a@x/b@x"]);
}

#[test]
fn only_tables_that_a_scenario_uses_lose_rows() {
    let mut script = shopper(Pick::Sequential, true);
    script.scenarios.push(scenario(vec![get("/other")]));
    let bound = bind(&script, &[]).unwrap();
    assert_eq!(bound.scenarios[1].slots.tables, [0_u16; 0]);
    let mut rows = Rows::new(0, 1);
    let mut memory = Memory::new(&bound.scenarios[1].slots, rng(), 0);
    for _ in 0..10 {
        assert!(memory.begin_iteration(&bound.shared, &mut rows));
    }
    let mut memory = Memory::new(&bound.scenarios[0].slots, rng(), 0);
    assert!(memory.begin_iteration(&bound.shared, &mut rows) && memory.row(0) == 0);
}

#[test]
fn json_lines_keep_their_types_in_requests() {
    let mut script = steps(vec![step(StepAction::Http(Box::new(HttpStep {
        method: "POST".into(),
        body: Body::Json(serde_json::json!({"n": "${data.rows.n}", "all": "${data.rows.list}"})),
        ..http("/")
    })))]);
    let text = "{\"n\": 1.5, \"list\": [1, {\"a\": null}]}\n{\"n\": \"x\"}\n";
    script.data = vec![table("rows", DataFormat::JsonLines, text, Pick::Sequential, false)];
    let mut user = User::of(&script);
    assert!(user.request(0).unwrap().ends_with(r#"{"n":1.5,"all":[1,{"a":null}]}"#));
    let User { memory, bound, rows, .. } = &mut user;
    assert!(memory.begin_iteration(&bound.shared, rows) && memory.begin_iteration(&bound.shared, rows));
    // The second row lacks the list.
    let wrong = user.request(0).unwrap_err();
    assert_eq!(wrong.at, "spec.scenarios[0].steps[0].http.json.all");
    assert!(wrong.message.contains("list"), "{wrong}");
}

#[test]
fn wrong_columns_and_texts_are_found_before_any_traffic() {
    let mut script = shopper(Pick::Sequential, false);
    script.scenarios[0].action = Action::Steps(vec![get("/${data.users.emial}")]);
    let found = faults(&script);
    assert!(
        found.len() == 1
            && found[0].starts_with("spec.scenarios[0].steps[0].http.path (column ")
            && found[0].ends_with("did you mean \"email\"?"),
        "{found:?}"
    );
    script.scenarios[0].action = Action::Steps(vec![get("/${data.user.email}")]);
    let found = faults(&script);
    assert!(found.len() == 1 && found[0].ends_with("did you mean \"users\"?"), "{found:?}");
    let mut script = shopper(Pick::Sequential, false);
    script.data[0].from = VarSource::Value("email,basket\na@x\n".into());
    let found = faults(&script);
    assert!(found[0].starts_with("spec.data[0]: line 2 has 1 fields"), "{found:?}");
}

#[test]
fn texts_from_elsewhere_are_judged_when_they_are_there() {
    let mut script = shopper(Pick::Sequential, false);
    script.data[0].from = VarSource::ConfigMap { name: "load-users".into(), key: "users.csv".into() };
    let program = compile(&script, &[]).unwrap();
    let bind = |text: &[u8]| {
        let data = [("users".to_owned(), text.to_vec())].into();
        program.bind(&Vars::new(), &data, &origin(), &run_names())
    };
    let mut user = User::with(bind(CSV.as_bytes()).unwrap(), 0);
    assert_eq!(iterations(&mut user, 1), ["a@x/0/0"]);
    let wrong = bind(b"mail,basket\ns3cret,1\n").unwrap_err();
    assert_eq!(wrong.len(), 1);
    let text = wrong[0].to_string();
    assert!(
        text.starts_with("spec.scenarios[0].steps[0].http.path (column 4): ") && text.contains("\"email\""),
        "{text}"
    );
    assert!(!text.contains("s3cret"));
    let missing = program.bind(&Vars::new(), &DataTexts::new(), &origin(), &run_names()).unwrap_err();
    assert_eq!(missing[0].to_string(), "data.users: its text was not given");
    assert_eq!(bind(b"").unwrap_err()[0].to_string(), "data.users: has no row; give it at least one");
}
