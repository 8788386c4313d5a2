//! The private control plane of `src/control_plane.rs`: what tests of the operator rely on.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xtask::control_plane::{ControlPlane, Controllers};
use xtask::{process, report, tools};

/// A folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn missing(programs: &[&str]) -> bool {
    match tools::require(programs) {
        Ok(()) => false,
        Err(why) => {
            report::skip("the control plane", &format!("{why:#}")).unwrap();
            true
        }
    }
}

#[test]
fn it_survives_an_outage_of_the_api_server_and_ends_with_its_value() {
    if missing(&ControlPlane::PROGRAMS) {
        return;
    }
    let folder = scratch("control-plane");
    let start = Instant::now();
    let mut plane = ControlPlane::start(&folder, Controllers::None).unwrap();
    let ready = start.elapsed();
    // Three seconds is usual; a test takes five times that for a deadline.
    assert!(ready < Duration::from_secs(15), "ready after {ready:?}");

    let kubectl = |plane: &ControlPlane, arguments: &str| {
        process::output(plane.kubectl().unwrap().args(arguments.split(' ')))
    };
    kubectl(&plane, "create serviceaccount nobody").unwrap();
    let token = kubectl(&plane, "create token nobody").unwrap();
    let nobody = plane.kubeconfig_for("nobody", &token).unwrap();
    let refused = process::output(plane.kubectl().unwrap().env("KUBECONFIG", nobody).args(["get", "pods"]));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("system:serviceaccount:default:nobody"), "authorisation is not RBAC: {refused}");

    plane.stop_api().unwrap();
    let gone = std::net::TcpStream::connect(plane.api());
    assert!(gone.is_err(), "the API server still listens");
    plane.start_api().unwrap();
    kubectl(&plane, "get serviceaccount nobody").unwrap();

    let log = std::fs::read_to_string(plane.audit_log()).unwrap();
    assert!(
        log.lines().any(|line| line.contains("\"create\"") && line.contains("\"name\":\"nobody\"")),
        "{log}"
    );

    let api = plane.api();
    drop(plane);
    assert!(std::net::TcpStream::connect(api).is_err(), "the API server outlived its value");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn with_controllers_a_job_makes_pods() {
    if missing(&[&ControlPlane::PROGRAMS[..], &["kube-controller-manager"]].concat()) {
        return;
    }
    let folder = scratch("controllers");
    let plane = ControlPlane::start(&folder, Controllers::All).unwrap();
    let kubectl = |arguments: &str| process::output(plane.kubectl().unwrap().args(arguments.split(' ')));
    kubectl("create job once --image=none").unwrap();
    process::wait_until("the job's pod", Duration::from_secs(30), || {
        Ok(kubectl("get pods --selector=job-name=once --output=name")?.starts_with("pod/once-"))
    })
    .unwrap();
    drop(plane);
    std::fs::remove_dir_all(folder).unwrap();
}
