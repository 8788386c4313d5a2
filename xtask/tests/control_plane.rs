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

#[test]
fn an_api_server_takes_the_resource_definitions_and_every_example() {
    if missing(&ControlPlane::PROGRAMS) {
        return;
    }
    let folder = scratch("definitions");
    let plane = ControlPlane::start(&folder, Controllers::None).unwrap();
    let kubectl = |arguments: &[&str]| process::output(plane.kubectl().unwrap().args(arguments));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = |relative: &str| root.join(relative).to_str().unwrap().to_owned();
    // Not server-side: an annotation of limited length then holds the whole definition.
    kubectl(&["apply", "--filename", &path("crds")]).unwrap();
    kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).unwrap();
    for namespace in ["shop", "cart", "pay", "aragora"] {
        kubectl(&["create", "namespace", namespace]).unwrap();
    }
    let mut seen = 0;
    for examples in [path("examples"), path("examples/aragora")] {
        for entry in std::fs::read_dir(examples).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let file = file.to_str().unwrap();
            seen += 1;
            // A file with runs that get their names from the API server is made, and never applied.
            if std::fs::read_to_string(file).unwrap().contains("generateName") {
                kubectl(&["create", "--dry-run=server", "--validate=strict", "--filename", file]).unwrap();
                continue;
            }
            kubectl(&["apply", "--validate=strict", "--filename", file]).unwrap();
            // What was taken is what was written: a second time there is nothing to do, whoever applies.
            let again = kubectl(&["apply", "--filename", file]).unwrap();
            let by_another = ["apply", "--server-side", "--force-conflicts", "--filename", file];
            kubectl(&by_another).unwrap();
            let version = [
                "get",
                "--output=jsonpath={.items[*].metadata.resourceVersion}{.metadata.resourceVersion}",
                "--filename",
                file,
            ];
            let before = kubectl(&version).unwrap();
            kubectl(&by_another).unwrap();
            assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{file}: {again}");
            assert_eq!(kubectl(&version).unwrap(), before, "{file}");
        }
    }
    assert!(seen >= 28, "{seen} examples");
    drop(plane);
    std::fs::remove_dir_all(folder).unwrap();
}
