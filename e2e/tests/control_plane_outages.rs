//! What becomes of runs while the API server is away: the load goes on, and the run ends with a true verdict. Each test has a control
//! plane of its own: after an outage the controllers take their time to come back.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod plane;

use std::time::Duration;

use plane::{PATIENCE, Space, Stage, able, block_on, spec, target, until};

/// Runs the test with a control plane of its own.
fn apart(name: &str, test: impl AsyncFnOnce(&Stage, Space)) {
    if able("outages of the API server") {
        let stage = Stage::new(name);
        block_on(async { test(&stage, stage.namespace(name).await).await });
    }
}

#[test]
fn the_api_server_is_gone_for_twenty_seconds() {
    apart("outage", async |stage, space| {
        let operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 4, 30, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 100).then_some(())).await;
        stage.plane.lock().unwrap().stop_api().unwrap();
        let before = target.stats().received();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(target.stats().received() > before + 1000, "the load went on");
        stage.plane.lock().unwrap().start_api().unwrap();
        space.assert_true(&target).await;
        assert!(operator.memory() < 200.0);
    });
}

#[test]
fn the_run_ends_while_the_api_server_is_gone() {
    apart("blackout", async |stage, space| {
        let operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 4, 5, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 100).then_some(())).await;
        stage.plane.lock().unwrap().stop_api().unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        stage.plane.lock().unwrap().start_api().unwrap();
        space.assert_true(&target).await;
        drop(operator);
    });
}
