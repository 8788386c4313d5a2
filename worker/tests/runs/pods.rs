//! The binary, with files and environment as in a pod.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use plimsoll_session::{FailureKind, LastWords, Stop};
use tokio::process::{Child, Command};

use crate::rig::{NAME, Operator, directory, key, plan, target};

/// What the kubelet would mount and set.
pub(crate) struct Pod {
    home: PathBuf,
    operator: String,
    index: u32,
    /// What a test adds to the environment.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Pod {
    pub(crate) fn new(operator: &Operator, index: u32) -> Self {
        let home = directory();
        let write = |name: &str, text: &str| std::fs::write(home.join(name), text).unwrap();
        write("plan.json", &operator.plan_text);
        write("ca.crt", &operator.pki.ca_pem);
        write("token", &format!("{index}/uid-{index}"));
        write("termination-log", "");
        std::fs::create_dir_all(home.join("secrets/shop")).unwrap();
        write("secrets/shop/token", "s3cret");
        Self { home, operator: operator.address.to_string(), index, env: Vec::new() }
    }

    pub(crate) fn start(&self) -> Child {
        let path = |name: &str| self.home.join(name);
        Command::new(env!("CARGO_BIN_EXE_plimsoll-worker"))
            .env_clear()
            .env("PLIMSOLL_RUN_NAMESPACE", "shop")
            .env("PLIMSOLL_RUN_NAME", "home-1")
            .env("JOB_COMPLETION_INDEX", self.index.to_string())
            .env("POD_UID", format!("uid-{}", self.index))
            .env("PLIMSOLL_OPERATOR", &self.operator)
            .env("PLIMSOLL_OPERATOR_NAME", NAME)
            .env("PLIMSOLL_THREADS", "1")
            .env("PLIMSOLL_PLAN", path("plan.json"))
            .env("PLIMSOLL_CA", path("ca.crt"))
            .env("PLIMSOLL_SECRETS", path("secrets"))
            .env("PLIMSOLL_CONFIGS", path("configs"))
            .env("PLIMSOLL_TOKEN_FILE", path("token"))
            .env("PLIMSOLL_TERMINATION_LOG", path("termination-log"))
            .env("PLIMSOLL_LOG", "debug")
            .env("PLIMSOLL_LOG_FORMAT", "json")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn last_words(&self) -> Option<LastWords> {
        LastWords::parse(&std::fs::read_to_string(self.home.join("termination-log")).unwrap())
    }
}

pub(crate) async fn ended(child: Child) -> Output {
    tokio::time::timeout(Duration::from_secs(40), child.wait_with_output()).await.unwrap().unwrap()
}

pub(crate) fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
}

#[tokio::test]
async fn two_pods_run_a_plan_and_leave_with_zero() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 2, 2)).await;
    let pods = [Pod::new(&operator, 0), Pod::new(&operator, 1)];
    let children = [pods[0].start(), pods[1].start()];
    operator.start().await;
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    assert_eq!((progress.gather.merged().total().sent, target.stats().received()), (200, 200));
    let words = pods[1].last_words().unwrap();
    assert_eq!(words.total.unwrap().sent, 100, "the counts are left before the outcome is stored");
    operator.hub.ack(&key());
    for (pod, child) in pods.iter().zip(children) {
        let output = ended(child).await;
        assert!(output.status.success(), "{}", log(&output));
        assert!(!log(&output).contains("s3cret") && !log(&output).contains("Bearer"), "{}", log(&output));
        assert_eq!(pod.last_words(), None, "nothing is left to say");
    }
}

#[tokio::test]
async fn sigterm_stops_the_share_gracefully_and_says_so() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 60, 1)).await;
    let pod = Pod::new(&operator, 0);
    let child = pod.start();
    operator.start().await;
    operator.until(|progress| progress.gather.merged().total().sent > 0).await;
    signal(&child, "-TERM").await;
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    let last = progress.gather.worker(0).unwrap().last.clone().unwrap();
    assert_eq!(last.stopped, Some(Stop { reason: "worker 0 received SIGTERM".to_owned(), at_once: false }));
    let total = progress.gather.merged().total();
    assert_eq!((total.sent, total.unfinished), (target.stats().received(), 0));
    operator.hub.ack(&key());
    assert!(ended(child).await.status.success());
}

#[tokio::test]
async fn sigterm_before_the_start_is_the_pods_failure_so_that_it_is_replaced() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 60, 1)).await;
    let pod = Pod::new(&operator, 0);
    let child = pod.start();
    operator.until(|progress| progress.gather.all_ready()).await;
    signal(&child, "-TERM").await;
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    let cause = pod.last_words().unwrap().cause.unwrap();
    assert!(cause.contains("before the start") && cause.contains("SIGTERM"), "{cause}");
    assert_eq!(target.stats().received(), 0);
}

#[tokio::test]
async fn a_run_that_is_over_before_the_start_is_no_failure_of_the_pod() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 60, 1)).await;
    let pod = Pod::new(&operator, 0);
    let child = pod.start();
    operator.until(|progress| progress.gather.all_ready()).await;
    operator.hub.stop(&key(), Stop { reason: "cancelled".to_owned(), at_once: true });
    let output = ended(child).await;
    assert!(output.status.success(), "{}", log(&output));
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_is_the_pods_failure() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 1, 1, 1)).await;
    for (text, want) in [
        (None, "cannot read the plan"),
        (Some("{}"), "is not a plan"),
        (Some("{\"version\": 9}"), "is of version 9"),
    ] {
        let pod = Pod::new(&operator, 0);
        let file = pod.home.join("plan.json");
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let output = ended(pod.start()).await;
        assert_eq!(output.status.code(), Some(1), "{}", log(&output));
        let cause = pod.last_words().unwrap().cause.unwrap();
        assert!(cause.contains(want) && cause.contains("plan.json"), "{cause}");
        assert!(log(&output).contains(want), "{}", log(&output));
    }
}

#[tokio::test]
async fn another_plan_than_the_runs_is_the_pods_failure_and_known_to_the_run() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 1, 1, 1)).await;
    let pod = Pod::new(&operator, 0);
    std::fs::write(pod.home.join("plan.json"), format!("{}\n", operator.plan_text)).unwrap();
    let output = ended(pod.start()).await;
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(pod.last_words().unwrap().cause.unwrap().contains("holds plan"));
    let progress = operator.until(|progress| progress.failure().is_some()).await;
    assert_eq!(progress.failure().unwrap().1.kind, FailureKind::DataDiffers);
}

#[tokio::test]
async fn a_missing_secret_reaches_the_run_with_its_name() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 1, 1, 1)).await;
    let pod = Pod::new(&operator, 0);
    std::fs::remove_file(pod.home.join("secrets/shop/token")).unwrap();
    let output = ended(pod.start()).await;
    assert!(output.status.success(), "the run has the verdict: {}", log(&output));
    let progress = operator.until(|progress| progress.failure().is_some()).await;
    let (_, cause) = progress.failure().unwrap();
    assert_eq!(cause.kind, FailureKind::InvalidPlan);
    assert!(cause.message.contains("vars.token needs key token of Secret shop"), "{}", cause.message);
}

#[tokio::test]
async fn an_operator_that_does_not_answer_is_named_after_fifteen_seconds() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 1, 1, 1)).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pod = Pod { operator: nobody.to_string(), ..Pod::new(&operator, 0) };
    let begun = Instant::now();
    let output = ended(pod.start()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!((14..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let cause = pod.last_words().unwrap().cause.unwrap();
    assert!(cause.contains(&nobody.to_string()) && cause.contains("not running"), "{cause}");
}

#[tokio::test]
async fn settings_that_are_missing_are_named() {
    let file = directory().join("termination-log");
    let mut bare = Command::new(env!("CARGO_BIN_EXE_plimsoll-worker"));
    let output = bare.env_clear().env("PLIMSOLL_TERMINATION_LOG", &file).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = LastWords::parse(&std::fs::read_to_string(Path::new(&file)).unwrap()).unwrap();
    assert!(words.cause.unwrap().contains("--run-name"), "{}", log(&output));
}
