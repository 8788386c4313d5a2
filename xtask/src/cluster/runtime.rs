//! containerd with a root, a state and a socket of its own, the pod network, and the one image that the node cannot do
//! without. Other images come from `../image.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::{LIMIT, network, state};
use crate::{image, paths, process, tools};

/// The image with busybox in it: the pause container of every pod, and for tests a shell inside pods.
pub const BUSYBOX_IMAGE: &str = "plimsoll-busybox:local";

/// The name of the pod network, which CNI also uses for what it remembers.
pub(super) const POD_NETWORK: &str = "plimsoll-pods";

/// The socket of our containerd; it also tells its helpers from another containerd's.
pub(super) fn socket() -> PathBuf {
    state().join("containerd/containerd.sock")
}

/// Writes the configuration and returns containerd's command line.
pub(super) fn containerd() -> Result<Command> {
    let folder = state().join("containerd");
    let cni = folder.join("cni");
    std::fs::create_dir_all(&cni).with_context(|| format!("make {}", cni.display()))?;
    std::fs::write(cni.join("10-pods.conflist"), format!("{:#}\n", pod_network()))?;
    let path = folder.join("config.toml");
    std::fs::write(&path, configuration(&folder, &cni))
        .with_context(|| format!("write {}", path.display()))?;
    let mut command = network::inside(&tools::find("containerd")?);
    command.arg("--config").arg(path);
    Ok(command)
}

/// Waits for containerd and gives it the busybox image.
pub(super) fn prepare() -> Result<()> {
    process::wait_until("containerd", LIMIT, || process::output(ctr()?.arg("version")).map(|_| true))?;
    import(&busybox()?)
}

/// Makes the images of an archive known to the kubelet.
pub(super) fn import(archive: &Path) -> Result<()> {
    process::output(ctr()?.args(["images", "import"]).arg(archive)).map(drop)
}

/// The client of our containerd, in the kubelet's part of it.
pub(super) fn ctr() -> Result<Command> {
    let mut command = Command::new(tools::find("ctr")?);
    command.arg("--address").arg(socket()).args(["--namespace", "k8s.io"]);
    Ok(command)
}

/// The archive of the busybox image, built once.
fn busybox() -> Result<PathBuf> {
    let program = Path::new("/bin/busybox");
    let stamp = std::fs::metadata(program).context("find /bin/busybox: run `cargo xtask tools`")?.len();
    let archive = paths::cache().join("images").join(format!("busybox-{stamp}.tar"));
    if archive.exists() {
        return Ok(archive);
    }
    image::require_static(program)?;
    let tree = state().join("busybox");
    let bin = tree.join("bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::copy(program, bin.join("busybox"))?;
    for applet in
        process::output(Command::new(program).arg("--list"))?.lines().filter(|name| *name != "busybox")
    {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).with_context(|| format!("link {applet}"))?;
    }
    // As a pause container it is killed and never asked, so sleeping is all it has to do.
    let recipe = "FROM scratch\nCOPY bin /bin\nENTRYPOINT [\"/bin/sleep\"]\nCMD [\"2147483647\"]\n";
    std::fs::write(tree.join("Dockerfile"), recipe)?;
    image::build(&tree.join("Dockerfile"), None, &tree, BUSYBOX_IMAGE, &archive)?;
    Ok(archive)
}

fn configuration(folder: &Path, cni: &Path) -> String {
    let (root, run, socket) = (folder.join("root"), folder.join("run"), socket());
    // restrict_oom_score_adj: inside a container root often may not lower the score, and runc would fail to start.
    // netns_mounts_under_state_dir: so that `down` finds what pods leave mounted.
    format!(
        r#"version = 2
root = "{root}"
state = "{run}"

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/{BUSYBOX_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
"#,
        root = root.display(),
        run = run.display(),
        socket = socket.display(),
        cni = cni.display(),
    )
}

fn pod_network() -> serde_json::Value {
    let data = state().join("containerd/addresses");
    json!({
        "cniVersion": "1.0.0",
        "name": POD_NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods0",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": data,
                    "ranges": [[{ "subnet": "10.244.0.0/24" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}
