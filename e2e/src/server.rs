//! Servers in the cluster's network, on the node's address: nginx, whose log is the truth, and a testbed behind it that takes
//! its time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use xtask::cluster::NODE_ADDRESS;
use xtask::nginx::{self, Line, Nginx, Site};
use xtask::process::{self, Guarded};

use crate::Stage;

/// A running nginx, and what stands behind it.
#[derive(Debug)]
pub struct Web {
    /// nginx.
    pub nginx: Nginx,
    behind: Option<Guarded>,
}

/// Locations that answer at once.
pub const AT_ONCE: &str = "location / { return 200 'ok\\n'; }";

impl Web {
    /// nginx with these locations; `{testbed}` in them is the address of a testbed, which is started if it is there.
    ///
    /// # Errors
    /// If something does not start.
    pub fn start(stage: &Stage, about: &str, locations: &str) -> Result<Self> {
        let folder = stage.folder(about);
        let mut behind = None;
        let mut server = locations.to_owned();
        if locations.contains("{testbed}") {
            let address = SocketAddr::from((NODE_ADDRESS, stage.next_port()));
            server = locations.replace("{testbed}", &address.to_string());
            behind = Some(testbed(stage, &folder.join("testbed.log"), address)?);
        }
        let site = Site {
            folder: &folder,
            listen: SocketAddr::from((NODE_ADDRESS, stage.next_port())),
            server: &server,
            http: "",
            inside: Some(&stage.cluster),
        };
        Ok(Self { nginx: nginx::start(&site)?, behind })
    }

    /// The URL that pods reach it at, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.nginx.address())
    }

    /// Ends it and returns the complete log.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn stop(self) -> Result<Vec<Line>> {
        let log = self.nginx.stop();
        drop(self.behind);
        log
    }
}

fn testbed(stage: &Stage, log: &std::path::Path, address: SocketAddr) -> Result<Guarded> {
    let mut command = stage.cluster.inside(stage.program("testbed")?)?;
    command.args(["--listen", &address.to_string(), "--threads", "1"]);
    let mut testbed = Guarded::start("testbed", &mut command, log)?;
    process::wait_until("the testbed", Duration::from_secs(20), || {
        testbed.check()?;
        Ok(std::fs::read_to_string(log)?.contains("listening on"))
    })?;
    Ok(testbed)
}

/// How many lines a predicate holds for.
pub fn count(log: &[Line], holds: impl Fn(&Line) -> bool) -> u64 {
    log.iter().filter(|line| holds(line)).count() as u64
}
