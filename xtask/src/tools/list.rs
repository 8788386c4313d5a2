//! Which tools, and what for. Versions of Go programs are in `xtask/tools/*/go.mod`, nowhere else.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::paths;

/// A Debian package, known by a file or program that it brings, so that another way of installing it does too.
#[derive(Debug)]
pub struct Package {
    /// Its name for `apt-get`.
    pub name: &'static str,
    /// The program, or with slashes the file, that shows it is there.
    pub brings: &'static str,
    /// What it is needed for.
    pub purpose: &'static str,
}

pub(super) const fn package(name: &'static str, brings: &'static str, purpose: &'static str) -> Package {
    Package { name, brings, purpose }
}

/// What comes from Debian.
pub const DEBIAN: &[Package] = &[
    package("etcd-server", "etcd", "stores what the API server knows"),
    package("containerd", "containerd", "runs the cluster's containers"),
    package("runc", "runc", "starts a container"),
    package("containernetworking-plugins", "/usr/lib/cni/bridge", "give pods their addresses"),
    package("iptables", "iptables", "routes to Services"),
    package("iproute2", "ip", "makes the cluster's network namespace"),
    package("conntrack", "conntrack", "lets kube-proxy drop stale connections"),
    package("socat", "socat", "leads from the host to the API server inside the namespace"),
    package("buildah", "buildah", "builds images without a daemon"),
    package("busybox-static", "/bin/busybox", "is the pause image, and a shell inside pods"),
    package("nginx-light", "nginx", "is the server whose log our counters are compared with"),
    package("chromium-headless-shell", "chromium-headless-shell", "draws the live page of a run"),
    package("valgrind", "valgrind", "counts the instructions of the engine's hot path"),
];

/// Programs built from the Go module proxy, pinned by the module in `xtask/tools/<name>`.
#[derive(Debug)]
pub struct GoTool {
    /// The folder under `xtask/tools`, and the name in the cache.
    pub name: &'static str,
    /// The module whose version is the tool's.
    pub module: &'static str,
    /// The packages to build, one program each.
    pub packages: &'static [&'static str],
    /// What it is needed for.
    pub purpose: &'static str,
    /// What a build from nothing takes on two cores.
    pub takes: &'static str,
    /// Variables to set at link time; `{version}`, `{major}` and `{minor}` stand for the module's own, or for
    /// Kubernetes' where the name begins with `k8s`.
    pub variables: &'static [(&'static str, &'static str)],
    /// Build tags.
    pub tags: &'static [&'static str],
}

/// The Go programs, the one that everything waits for first.
pub const GO: &[GoTool] = &[
    GoTool {
        name: "kubernetes",
        module: "k8s.io/kubernetes",
        packages: &[
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "k8s.io/kubernetes/cmd/kubelet",
            "k8s.io/kubernetes/cmd/kube-proxy",
            "k8s.io/kubernetes/cmd/kubectl",
        ],
        purpose: "the API server of the tests and the real cluster",
        takes: "8 minutes",
        // Without them clients cannot parse the server's version.
        variables: &[
            ("k8s.io/component-base/version.gitVersion", "{version}"),
            ("k8s.io/component-base/version.gitMajor", "{major}"),
            ("k8s.io/component-base/version.gitMinor", "{minor}"),
            ("k8s.io/component-base/version.gitTreeState", "clean"),
        ],
        tags: &[],
    },
    GoTool {
        name: "coredns",
        module: "github.com/coredns/coredns",
        packages: &["github.com/coredns/coredns"],
        purpose: "the cluster's name server",
        takes: "2 minutes",
        variables: &[],
        tags: &[],
    },
    GoTool {
        name: "helm",
        module: "helm.sh/helm/v3",
        packages: &["helm.sh/helm/v3/cmd/helm"],
        purpose: "what installs the chart",
        takes: "2 minutes",
        // `helm template` and `helm lint` take these for the cluster's version where none is asked.
        variables: &[
            ("helm.sh/helm/v3/internal/version.version", "{version}"),
            ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "{k8s-major}"),
            ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "{k8s-minor}"),
            ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "{k8s-major}"),
            ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", "{k8s-minor}"),
        ],
        tags: &[],
    },
    GoTool {
        name: "collector",
        module: "go.opentelemetry.io/collector/otelcol",
        packages: &["plimsoll.dev/tools/collector"],
        purpose: "the OpenTelemetry Collector that receives our metrics, traces and logs",
        takes: "1 minute",
        variables: &[],
        tags: &[],
    },
    GoTool {
        name: "prometheus",
        module: "github.com/prometheus/prometheus",
        packages: &[
            "github.com/prometheus/prometheus/cmd/prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
        ],
        purpose: "what scrapes our metrics, and checks their rules",
        takes: "3 minutes",
        variables: &[],
        // Of the many ways to find what to scrape only the one that is used: half of the build.
        tags: &["remove_all_sd", "enable_kubernetes_sd"],
    },
    GoTool {
        name: "kstatus",
        module: "sigs.k8s.io/cli-utils",
        packages: &["plimsoll.dev/tools/kstatus"],
        purpose: "what deployers make of our conditions",
        takes: "15 seconds",
        variables: &[],
        tags: &[],
    },
];

/// What `$KUBEBUILDER_ASSETS` may bring in place of ours.
pub const IN_KUBEBUILDER_ASSETS: &[&str] = &["etcd", "kube-apiserver", "kubectl"];

/// A program installed by Cargo.
#[derive(Debug)]
pub struct CargoTool {
    /// The package, and its program.
    pub name: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// What it is needed for.
    pub purpose: &'static str,
}

/// Checks licences, bans and sources of the dependency tree.
pub const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    purpose: "checks the licences and sources of dependencies",
};

impl GoTool {
    /// The programs that it brings: Go names them after the last part of the package that is no major version.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> {
        let is_version = |part: &str| part.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
        self.packages.iter().filter_map(move |package| package.rsplit('/').find(|part| !is_version(part)))
    }

    /// The folder of its module in the work tree.
    pub fn sources(&self) -> PathBuf {
        paths::root().join("xtask/tools").join(self.name)
    }

    /// Its version, from `go.mod`.
    ///
    /// # Errors
    /// If `go.mod` cannot be read or does not name the module.
    pub fn version(&self) -> Result<String> {
        let path = self.sources().join("go.mod");
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        version_in(&text, self.module)
            .with_context(|| format!("{}: no version of {}", path.display(), self.module))
    }

    /// Its folder in the cache.
    ///
    /// # Errors
    /// As [`GoTool::version`].
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(paths::cache().join("tools").join(format!("{}-{}", self.name, self.version()?)))
    }

    /// What in the environment makes building it needless, if anything does.
    pub fn offered_by_environment(&self) -> Option<&'static str> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self.name {
            "kubernetes" if set("KUBECONFIG") && set("KUBEBUILDER_ASSETS") => {
                Some("KUBECONFIG and KUBEBUILDER_ASSETS")
            }
            "coredns" if set("KUBECONFIG") => Some("KUBECONFIG"),
            _ => None,
        }
    }

    /// The linker flags that set its variables.
    ///
    /// # Errors
    /// As [`GoTool::version`].
    pub fn linker_flags(&self) -> Result<String> {
        let version = self.version()?;
        let (major, minor) = major_minor(&version);
        let kubernetes = GO[0].version()?;
        let (k8s_major, k8s_minor) = major_minor(&kubernetes);
        let mut flags = "-s -w".to_owned();
        for (variable, value) in self.variables {
            let value = value
                .replace("{version}", &version)
                .replace("{major}", major)
                .replace("{minor}", minor)
                .replace("{k8s-major}", k8s_major)
                .replace("{k8s-minor}", k8s_minor);
            flags += &format!(" -X {variable}={value}");
        }
        Ok(flags)
    }
}

fn version_in(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module))
            .then(|| words.next())?
            .filter(|word| word.starts_with('v'))
            .map(str::to_owned)
    })
}

fn major_minor(version: &str) -> (&str, &str) {
    let mut numbers = version.trim_start_matches('v').split('.');
    (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        let text = "module x\n\nrequire a.dev/b v1.2.3\n\nrequire (\n\tc.dev/d v0.4.0 // indirect\n)\nreplace e.dev/f => e.dev/f v9.0.0\n";
        assert_eq!(version_in(text, "a.dev/b").as_deref(), Some("v1.2.3"));
        assert_eq!(version_in(text, "c.dev/d").as_deref(), Some("v0.4.0"));
        assert_eq!(version_in(text, "e.dev/f"), None);
    }

    #[test]
    fn every_tool_has_a_version_and_every_program_a_name_of_its_own() {
        let mut programs: Vec<_> = GO.iter().flat_map(GoTool::programs).collect();
        for tool in GO {
            let version = tool.version().unwrap();
            assert!(version.starts_with('v'), "{}: {version}", tool.name);
            assert!(!tool.linker_flags().unwrap().contains(['{', '}']), "{}", tool.name);
        }
        programs.sort_unstable();
        let count = programs.len();
        programs.dedup();
        assert_eq!(programs.len(), count);
    }
}
