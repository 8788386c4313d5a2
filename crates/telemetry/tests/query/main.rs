//! Every outcome of a question to a Prometheus, from servers that answer as the test says, or not at all.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use plimsoll_measure::{Layout, Window, WindowId};
use plimsoll_slo::{Aggregate, Ask, Kind, Over, Query, Question, Severity, Slo, Stat, Tally};
use plimsoll_telemetry::Identity;
use plimsoll_telemetry::query::{
    Answers, Client, Credentials, DEADLINE, Follower, Job, OWN_DEADLINE, Reach, Server as Named, Servers,
};
use server::{Asked, Server, response, vector};

const SECOND: u64 = 1_000_000_000;

fn query(template: &str) -> Question {
    let ask = Ask::Query { template: template.into(), over: None, on_no_data: None };
    Question { slo: "cpu".into(), ask }
}

/// Judged from 2 s to 12 s.
fn layout() -> Layout {
    let main = Window { name: "main".into(), judged: true, spans: vec![(2 * SECOND, 12 * SECOND)] };
    Layout { windows: vec![main], segments: vec![(12 * SECOND, WindowId(0))], ..Layout::default() }
}

/// Questions about a run that began 20 s ago.
fn job(questions: Vec<Question>) -> Job {
    let identity =
        Identity { namespace: "shop".into(), test: "web".into(), run: "web-1".into(), worker: None };
    let kind = Kind::Latency { stat: Stat::Percentile(9_500), at_most: SECOND, succeeded_only: false };
    let slo = Slo {
        name: "p95".into(),
        severity: Severity::Error,
        request: None,
        metric: None,
        window: None,
        kind,
        objective: Some(0),
        abort_after: None,
        min_samples: None,
    };
    let started = SystemTime::now() - Duration::from_secs(20);
    Job::new(identity, started, questions, &[slo], &layout())
}

/// The last answers about a run that was measured so long.
async fn ended(client: Arc<Client>, questions: Vec<Question>, measured: u64) -> Answers {
    let mut follower = Follower::start(Ok(client), job(questions));
    follower.end(measured);
    follower.finished().await;
    let answers = follower.answers();
    assert!(answers.is_final);
    answers
}

async fn asked(url: &str, question: Question) -> Answers {
    let client = Client::new(Named::at(url, Reach::Anywhere).unwrap());
    ended(client, vec![question], 15 * SECOND).await
}

fn why(answers: &Answers) -> &str {
    match &answers.queries[0].1 {
        Query::Missing(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_number_is_asked_for_the_end_of_the_judged_part() {
    let server = Server::start(|_| vector(&["0.75"])).await;
    let template = "max(rate(cpu{ns=\"${run.namespace}\",run=\"${run.name}\"}[${run.window}]))";
    let answers = asked(&server.url(), query(template)).await;
    assert_eq!(answers.queries, [("cpu".to_owned(), Query::Value(0.75))]);
    let told = &answers.asked[0];
    assert_eq!(told.query, "max(rate(cpu{ns=\"shop\",run=\"web-1\"}[10s]))");
    assert_eq!(
        (told.raw.as_deref(), told.series, told.server.as_str()),
        (Some("0.75"), Some(1), server.url().as_str())
    );
    let sent = server.last();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", "/api/v1/query"));
    assert_eq!(sent.parameter("query"), told.query);
    let time: f64 = sent.parameter("time").parse().unwrap();
    assert!((time * 1000.0 - told.end as f64).abs() < 1.0, "{time}");
    let ago = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - time;
    assert!((8.0..12.0).contains(&ago), "12 of 20 s: {ago}");
}

#[tokio::test]
async fn a_range_is_asked_over_the_judged_part_and_made_one_number() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"5"],[3,"3"]]}]}}"#;
    let server = Server::start(move |_| response(200, body)).await;
    let over = Some(Over { step: 2_500_000_000, aggregate: Aggregate::Max });
    let ask = Ask::Query { template: "up".into(), over, on_no_data: None };
    let answers = asked(&server.url(), Question { slo: "cpu".into(), ask }).await;
    assert_eq!(answers.queries[0].1, Query::Value(5.0));
    assert_eq!(answers.asked[0].raw.as_deref(), Some("5 of 3 points"));
    let sent = server.last();
    let (start, end): (f64, f64) =
        (sent.parameter("start").parse().unwrap(), sent.parameter("end").parse().unwrap());
    assert_eq!((sent.path.as_str(), sent.parameter("step").as_str()), ("/api/v1/query_range", "2.500"));
    assert!((end - start - 10.0).abs() < 0.002, "{start} {end}");
}

#[tokio::test]
async fn what_was_measured_of_a_run_that_was_stopped_is_its_end() {
    let server = Server::start(|_| vector(&["1"])).await;
    let client = || Client::new(Named::at(&server.url(), Reach::Anywhere).unwrap());
    let answers = ended(client(), vec![query("x[${run.window}]")], 5 * SECOND).await;
    assert_eq!(answers.asked[0].query, "x[3s]");
    let before = ended(client(), vec![query("up")], SECOND).await;
    assert!(why(&before).contains("before its judged part began"), "{before:?}");
}

#[tokio::test]
async fn whatever_is_not_one_number_is_no_result_and_says_why() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error"}"#;
    let warned =
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["a store is down"]}"#;
    let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (answer, words) in [
        (vector(&["1", "2"]), "2 series, not one"),
        (vector(&["NaN"]), "gives NaN"),
        (vector(&[]), "no data"),
        (response(200, text), "a string"),
        (response(400, refused), "answered 400: bad_data: 1:5: parse error"),
        (response(404, "<h1>not here</h1>"), "answered 404: <h1>not here</h1>"),
        (response(200, "<html>"), "not that of Prometheus' HTTP API"),
        (response(200, warned), "a store is down"),
        (Some(moved), "redirects to http://elsewhere/"),
    ] {
        let server = Server::start(move |_| answer.clone()).await;
        let answers = asked(&server.url(), query("up")).await;
        assert!(why(&answers).contains(words), "{words}: {answers:?}");
        assert_eq!(server.asked.lock().unwrap().len(), 1, "{words}: asking again is in vain");
    }
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end() {
    let server = Server::start(|_| response(200, &" ".repeat(5 << 20))).await;
    let answers = asked(&server.url(), query("up")).await;
    assert!(why(&answers).contains("larger than 4 MiB"), "{answers:?}");
}

#[tokio::test]
async fn no_data_is_what_the_slo_says_it_is_once_the_run_is_over() {
    let server = Server::start(|_| vector(&[])).await;
    for met in [true, false] {
        let ask = Ask::Query { template: "up".into(), over: None, on_no_data: Some(met) };
        let answers = asked(&server.url(), Question { slo: "cpu".into(), ask }).await;
        assert!(
            matches!(answers.queries[0].1, Query::NoData { met: said, .. } if said == met),
            "{answers:?}"
        );
        assert_eq!(answers.asked[0].series, Some(0));
    }
}

#[tokio::test]
async fn a_server_that_comes_back_in_time_is_asked_again() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let server = Server::start(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => response(503, "starting"),
        _ => vector(&["2"]),
    })
    .await;
    let answers = asked(&server.url(), query("up")).await;
    assert_eq!((answers.queries[0].1.clone(), calls.load(Ordering::Relaxed)), (Query::Value(2.0), 2));
    assert_eq!(answers.asked[0].evaluations, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_holds_nothing_up_beyond_the_deadline() {
    let server = Server::start(|_| None).await;
    let began = tokio::time::Instant::now();
    let questions = (0..20).map(|n| Question { slo: format!("q{n}"), ..query("up") }).collect();
    let client = Client::new(Named::at(&server.url(), Reach::Anywhere).unwrap());
    let answers = ended(client, questions, 15 * SECOND).await;
    let took = began.elapsed();
    assert!(took >= DEADLINE && took < DEADLINE + Duration::from_secs(1), "{took:?}");
    assert_eq!(answers.queries.len(), 20);
    for (_, query) in &answers.queries {
        assert!(
            matches!(query, Query::Missing(why) if why.contains("within 10s of the end of the run")),
            "{query:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_told() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let answers = asked(&format!("http://{gone}"), query("up")).await;
    assert!(why(&answers).contains("cannot be reached: Connection refused"), "{answers:?}");
}

#[tokio::test]
async fn without_a_server_every_question_says_so() {
    let mut follower = Follower::start(Err("there is no server".into()), job(vec![query("up")]));
    follower.end(15 * SECOND);
    follower.finished().await;
    assert_eq!(why(&follower.answers()), "there is no server");
}

#[tokio::test]
async fn long_queries_are_posted() {
    let server = Server::start(|_| vector(&["1"])).await;
    let long = format!("up{{a=~\"{}\"}}", "x|".repeat(1500));
    let answers = asked(&server.url(), query(&long)).await;
    assert_eq!(answers.queries[0].1, Query::Value(1.0));
    let sent = server.last();
    assert_eq!((sent.method.as_str(), sent.parameter("query")), ("POST", long));
    assert!(sent.headers.contains("application/x-www-form-urlencoded"), "{}", sent.headers);
}

#[tokio::test]
async fn credentials_are_read_from_files_each_time() {
    let server = Server::start(|_| vector(&["1"])).await;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("credentials");
    let own = folder.join("platform");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&own).unwrap();
    let entry = format!("platform={}", server.url());
    let servers = Servers::read([entry.as_str()], Some(&folder), None).unwrap();
    let client = Client::new(servers.get(None).unwrap().clone());
    let authorization = async || {
        ended(Arc::clone(&client), vec![query("up")], 15 * SECOND).await;
        let headers = server.last().headers;
        headers.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned))
    };
    assert_eq!(authorization().await, None);
    std::fs::write(own.join("username"), "u").unwrap();
    std::fs::write(own.join("password"), "p\n").unwrap();
    assert_eq!(authorization().await.as_deref(), Some("Basic dTpw"));
    std::fs::write(own.join("token"), "first\n").unwrap();
    assert_eq!(authorization().await.as_deref(), Some("Bearer first"));
    std::fs::write(own.join("token"), "second").unwrap();
    assert_eq!(authorization().await.as_deref(), Some("Bearer second"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_is_named_and_not_shown() {
    let server = Server::start(|_| vector(&["1"])).await;
    let token = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-such-token");
    let credentials = Credentials { folder: None, token: Some(token) };
    let named = Named { credentials, ..Named::at(&server.url(), Reach::Anywhere).unwrap() };
    let answers = ended(Client::new(named), vec![query("up")], 15 * SECOND).await;
    assert!(why(&answers).contains("no-such-token is not there"), "{answers:?}");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken-ca");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ca.crt"), "hunter2").unwrap();
    let credentials = Credentials { folder: Some(folder), token: None };
    let named = Named { credentials, ..Named::at(&server.url(), Reach::Anywhere).unwrap() };
    let answers = ended(Client::new(named), vec![query("up")], 15 * SECOND).await;
    assert!(why(&answers).contains("ca.crt holds no certificate"), "{answers:?}");
    assert!(!why(&answers).contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_free_url_leads_to_no_forbidden_address() {
    let server = Server::start(|_| vector(&["1"])).await;
    let port = server.address.port();
    for (url, reach) in [
        ("http://169.254.169.254".to_owned(), Reach::NoMetadata),
        ("http://[fe80::1]:9090".to_owned(), Reach::NoMetadata),
        (format!("http://127.0.0.1:{port}"), Reach::NoMetadataNorHost),
        // A name is refused for what it resolves to.
        (format!("http://localhost:{port}"), Reach::NoMetadataNorHost),
    ] {
        let client = Client::new(Named::at(&url, reach).unwrap());
        let answers = ended(client, vec![query("up")], 15 * SECOND).await;
        assert!(why(&answers).contains("which prometheus.url must not lead to"), "{url}: {answers:?}");
    }
    assert!(server.asked.lock().unwrap().is_empty());
    let client = Client::new(Named::at(&format!("http://localhost:{port}"), Reach::NoMetadata).unwrap());
    assert_eq!(ended(client, vec![query("up")], 15 * SECOND).await.queries[0].1, Query::Value(1.0));
}

#[tokio::test]
async fn a_run_that_goes_on_is_asked_again_and_again() {
    let server = Server::start(|_| vector(&["1"])).await;
    let identity = Identity { namespace: "shop".into(), ..Identity::default() };
    let main = Window { name: "main".into(), judged: true, spans: vec![(0, SECOND)] };
    let layout = Layout { windows: vec![main], ..Layout::default() };
    let live = Job::new(identity, SystemTime::now(), vec![query("x[${run.window}]")], &[], &layout);
    let client = Client::new(Named::at(&server.url(), Reach::Anywhere).unwrap());
    let follower = Follower::start(Ok(client), live);
    assert!(why(&follower.answers()).contains("not asked yet"));
    while !matches!(follower.answers().queries[0].1, Query::Value(_)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answers = follower.answers();
    assert!(!answers.is_final && answers.asked[0].query.ends_with("ms]"), "{answers:?}");
}

fn own() -> Question {
    Question { slo: "p95".into(), ask: Ask::Own }
}

fn exported(asked: &Asked, scraped: f64) -> Option<String> {
    let query = asked.parameter("query");
    if query.starts_with("max(timestamp(") {
        vector(&[&scraped.to_string()])
    } else if query.starts_with("max(plimsoll_slo_events_total") {
        vector(&["647"])
    } else {
        vector(&["608"])
    }
}

#[tokio::test]
async fn our_own_counters_are_read_once_the_end_was_scraped() {
    let began = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let calls = AtomicU64::new(0);
    // The end is in the second scrape.
    let server = Server::start(move |asked| {
        let late = calls.fetch_add(1, Ordering::Relaxed) > 0;
        exported(asked, if late { began + 60.0 } else { began - 5.0 })
    })
    .await;
    let answers = asked(&server.url(), own()).await;
    assert_eq!(answers.queries, [("p95".to_owned(), Query::Counts(Tally { total: 647, bad: 39 }))]);
    assert!(answers.asked[0].query.contains("run=\"web-1\""), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_scrape_the_end_gives_no_result() {
    let server = Server::start(|asked| exported(asked, 5.0)).await;
    let began = tokio::time::Instant::now();
    let answers = asked(&server.url(), own()).await;
    assert!(why(&answers).contains("has not scraped the end of the run"), "{answers:?}");
    assert!(began.elapsed() >= OWN_DEADLINE, "{:?}", began.elapsed());
}
