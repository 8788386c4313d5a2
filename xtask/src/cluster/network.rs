//! The cluster's network namespace: a bridge with the node's address, and what a pod finds where kube-proxy has no rule.
//! The host's own network stays as it is. `remove.rs` takes it away.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apiserver::SERVICE_RANGE;
use crate::{process, tools};

/// The name of the namespace.
pub(super) const NAMESPACE: &str = "plimsoll";

/// The node, from pods and from itself.
pub const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);

/// The range of pod addresses, all on the one node.
pub(super) const PODS: &str = "10.244.0.0/16";

/// Makes the namespace and its routes.
pub(super) fn make() -> Result<()> {
    let ip = tools::find("ip")?;
    process::output(Command::new(&ip).args(["netns", "add", NAMESPACE]))?;
    let address = format!("{NODE_ADDRESS}/24");
    // A bridge without ports serves as the node's interface: not every kernel has dummy devices. The kubelet finds its
    // address by the default route, which leads to nobody.
    for arguments in [
        "link set lo up",
        "link add node0 type bridge",
        &format!("address add {address} dev node0"),
        "link set node0 up",
        "route add default via 10.250.0.2",
    ] {
        process::output(inside(&ip).args(arguments.split(' ')))?;
    }
    for (setting, value) in [("net/ipv4/ip_forward", "1"), ("net/bridge/bridge-nf-call-iptables", "1")] {
        set(setting, value)?;
    }
    refuse_unknown_services()
}

/// A program in the namespace. By nsenter and not by `ip netns exec`, which would hide the control groups.
pub(super) fn inside(program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path().display())).arg(program);
    command
}

/// The file that the namespace is mounted on.
pub(super) fn path() -> PathBuf {
    Path::new("/var/run/netns").join(NAMESPACE)
}

/// A ClusterIP without a rule of kube-proxy's would go to the absent gateway, and a connection to it fail only after
/// seconds. These rules see what kube-proxy has not translated, and refuse it at once: TCP by a reset, because the
/// kernel takes an ICMP error that arrives while it is still connecting for a passing one, and tries again a second later.
fn refuse_unknown_services() -> Result<()> {
    let iptables = tools::find("iptables")?;
    for chain in ["FORWARD", "OUTPUT"] {
        for (protocol, answer) in [("tcp", "tcp-reset"), ("all", "icmp-port-unreachable")] {
            let mut command = inside(&iptables);
            command.args([
                "--wait",
                "--append",
                chain,
                "--destination",
                SERVICE_RANGE,
                "--protocol",
                protocol,
            ]);
            process::output(command.args(["--jump", "REJECT", "--reject-with", answer]))?;
        }
    }
    Ok(())
}

/// Sets a kernel setting of the namespace; one that the kernel does not have is passed over.
fn set(setting: &str, value: &str) -> Result<()> {
    let script = format!("test ! -e /proc/sys/{setting} || echo {value} > /proc/sys/{setting}");
    let mut command = inside(Path::new("sh"));
    process::output(command.args(["-c", &script])).with_context(|| format!("set {setting}")).map(drop)
}
