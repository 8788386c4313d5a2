//! The door in memory: what workers of one process bring to the start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "the other tests of this crate use all of it")]
mod fixture;

use std::time::Duration;

use fixture::{plan, plan_with_setup};
use plimsoll_session::{Door, FailureKind, LocalDoor, Readiness, SessionError, Start, local};

const SETUP: &str = r#"{"token":"t-1"}"#;

/// Both doors are ready at once.
async fn both(doors: Vec<LocalDoor>, brought: [Readiness; 2]) -> Vec<Result<Start, SessionError>> {
    let ready = doors.into_iter().zip(brought).map(|(mut door, readiness)| {
        tokio::spawn(async move {
            let start = door.ready(readiness).await;
            (start, door)
        })
    });
    let mut starts = Vec::new();
    for ready in ready.collect::<Vec<_>>() {
        let (start, _door) = tokio::time::timeout(Duration::from_secs(30), ready).await.unwrap().unwrap();
        starts.push(start);
    }
    starts
}

#[tokio::test]
async fn what_worker_0_captured_is_handed_to_all() {
    let (doors, _run) = local(&plan_with_setup(2));
    let captured = Readiness { setup: Some(SETUP.to_owned()), data_hash: Some("aa".to_owned()) };
    let other = Readiness { data_hash: Some("aa".to_owned()), ..Readiness::default() };
    for start in both(doors, [captured, other]).await {
        assert_eq!(start.unwrap().setup.as_deref(), Some(SETUP));
    }
}

#[tokio::test]
async fn data_that_differ_end_the_run_for_all() {
    let (doors, run) = local(&plan(2));
    let holds = |hash: &str| Readiness { data_hash: Some(hash.to_owned()), ..Readiness::default() };
    for start in both(doors, [holds("aa"), holds("bb")]).await {
        let Err(SessionError::GivenUp(cause)) = start else { panic!("{start:?}") };
        assert!(cause.contains("its data have the hash"), "{cause}");
    }
    let progress = run.observe();
    assert_eq!(progress.failure().unwrap().1.kind, FailureKind::DataDiffers);
}
