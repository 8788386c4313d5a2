//! Who is let in, and what those are told who are not.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use plimsoll_session::{Door, Endpoint, FailureKind, HelloInfo, Readiness, Role, SessionError, dial};

use crate::rig::{Operator, Trust, endpoint, hello, key, within, worker};

async fn refused(endpoint: Endpoint, hello: HelloInfo) -> String {
    match within(dial(endpoint, hello)).await {
        Err(SessionError::Refused(reason)) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was let in"),
    }
}

#[tokio::test]
async fn tokens_must_be_good_and_of_the_same_pod() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(2);
    for (token, want) in [
        ("nonsense", "the token was not accepted"),
        ("", "the token was not accepted"),
        ("other/checkout-1/0/a", "the token belongs to worker 0 of run other/checkout-1"),
        ("shop/checkout-2/0/a", "the token belongs to worker 0 of run shop/checkout-2"),
        ("shop/checkout-1/1/a", "the token belongs to worker 1 of run"),
        ("shop/checkout-1/0/b", "not to worker 0 of run shop/checkout-1 (pod a)"),
    ] {
        let reason = refused(endpoint(&trust, operator.address, token), hello(0, "a")).await;
        assert!(reason.contains(want), "{token}: {reason}");
    }
    let progress = operator.until(|_| true).await;
    assert!(progress.links.iter().all(|link| !link.connected));
}

#[tokio::test]
async fn another_plan_is_refused_and_known_to_the_run() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let other = HelloInfo { plan_hash: plimsoll_session::plan_hash(b"another"), ..hello(0, "a") };
    let reason = refused(endpoint(&trust, operator.address, "shop/checkout-1/0/a"), other).await;
    assert!(reason.contains("holds plan"), "{reason}");
    let progress = operator.until(|_| true).await;
    assert_eq!(progress.failure().map(|(_, cause)| cause.kind), Some(FailureKind::DataDiffers));
}

#[tokio::test]
async fn a_second_pod_is_refused_after_the_start() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now());
    let mut first = worker(&operator, 0, "a").await.unwrap();
    within(first.ready(Readiness::default())).await.unwrap();
    let reason = refused(endpoint(&trust, operator.address, "shop/checkout-1/0/b"), hello(0, "b")).await;
    assert!(reason.contains("never replaced"), "{reason}");
    assert!(operator.until(|_| true).await.links[0].connected, "the first one stays");
}

#[tokio::test]
async fn a_run_that_is_not_open_yet_is_waited_for() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    let early = tokio::spawn({
        let endpoint = endpoint(&trust, operator.address, "shop/checkout-1/0/a");
        async move { dial(endpoint, hello(0, "a")).await.map(drop) }
    });
    // It has been told "not yet" at least once when another worker was.
    let second = endpoint(&trust, operator.address, "shop/checkout-1/0/a");
    assert!(tokio::time::timeout(Duration::from_millis(500), dial(second, hello(0, "a"))).await.is_err());
    operator.open(1);
    assert_eq!(within(early).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_follower_without_a_leader_is_waited_for() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Follower { leader: None });
    let waiting = tokio::time::timeout(Duration::from_millis(500), worker(&operator, 0, "a")).await;
    assert!(waiting.is_err());
    operator.role.send_replace(Role::Leader);
    operator.open(1);
    assert!(within(worker(&operator, 0, "a")).await.is_ok());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_believed() {
    let operator = Operator::start(&Trust::new(), Role::Leader);
    operator.open(1);
    let stranger = Trust::new();
    let begun = Instant::now();
    let refused =
        dial(endpoint(&stranger, operator.address, "shop/checkout-1/0/a"), hello(0, "a")).await.map(drop);
    let Err(SessionError::Unreachable { address, cause, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(address, operator.address.to_string());
    assert!(cause.contains("certificate"), "{cause}");
    assert!(begun.elapsed() >= Duration::from_secs(14), "it gave up after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_dead_operator_is_named_after_fifteen_seconds() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    operator.kill();
    let begun = Instant::now();
    let refused = worker(&operator, 0, "a").await.map(drop).unwrap_err().to_string();
    assert!(refused.contains(&operator.address.to_string()), "{refused}");
    assert!(refused.contains("the operator is not running"), "{refused}");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(14) && took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_named_at_once() {
    let trust = Trust::new();
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let good = endpoint(&trust, address, "token");
    for (endpoint, want) in [
        (Endpoint { token_file: "/nowhere/token".into(), ..good.clone() }, "/nowhere/token"),
        (Endpoint { address: "operator".to_owned(), ..good.clone() }, "must be host:port"),
        (Endpoint { address: "operator:http".to_owned(), ..good.clone() }, "must be host:port"),
    ] {
        let refused = within(dial(endpoint, hello(0, "a"))).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains(want), "{refused}");
    }
}
