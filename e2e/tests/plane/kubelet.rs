//! A stand-in for scheduler and kubelet: binds pods, mounts what they refer to into folders, gets them pod-bound tokens, runs the worker
//! program and reports what became of it, as much as the Job controller and the operator look at.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount, Volume};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Plays kubelet for all pods of all namespaces.
#[derive(Clone)]
pub(crate) struct Kubelet {
    client: Client,
    worker: PathBuf,
    folder: PathBuf,
    pids: Arc<Mutex<HashMap<String, u32>>>,
}

impl Kubelet {
    /// Begins; it ends with the runtime.
    pub(crate) fn start(client: Client, worker: PathBuf, folder: PathBuf) -> Self {
        let kubelet = Self { client, worker, folder, pids: Arc::default() };
        tokio::spawn(kubelet.clone().watch());
        kubelet
    }

    /// `kill -9` of a worker of the pods whose `namespace/name` begin so; waits until there is one.
    pub(crate) async fn kill(&self, part: &str) {
        let pid =
            super::until(&format!("a process of {part}"), super::PATIENCE, async || self.pid_of(part)).await;
        xtask::process::signal(pid, false, "KILL").unwrap();
    }

    /// Process of a pod whose `namespace/name` begins so.
    pub(crate) fn pid_of(&self, part: &str) -> Option<u32> {
        let pids = self.pids.lock().unwrap();
        pids.iter().find(|(name, _)| name.starts_with(part)).map(|(_, pid)| *pid)
    }

    async fn watch(self) {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let mut known = std::collections::HashSet::new();
        loop {
            // An API server that is away is asked again.
            let listed = pods.list(&ListParams::default().labels("plimsoll.dev/run")).await;
            for pod in listed.into_iter().flatten() {
                if known.insert(pod.uid().unwrap()) && pod.metadata.deletion_timestamp.is_none() {
                    tokio::spawn(self.clone().run(pod));
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn run(self, pod: Pod) {
        let name = pod.name_any();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap());
        let binding = json!({"metadata": {"name": name}, "target": {"apiVersion": "v1", "kind": "Node", "name": "node"}});
        if pods
            .create_subresource::<_, Value>("binding", &name, &PostParams::default(), &binding)
            .await
            .is_err()
        {
            return;
        }
        let image = pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap_or_default();
        if image.contains("does-not-exist") {
            let message = format!("Back-off pulling image \"{image}\"");
            self.report(
                &pod,
                "Pending",
                &json!({"waiting": {"reason": "ImagePullBackOff", "message": message}}),
            )
            .await;
            return self.outlive(&pod).await;
        }
        let folder = self.folder.join(&name);
        while let Err(missing) = self.mount(&pod, &folder).await {
            self.failed_mount(&pod, &missing).await;
            if self.is_leaving(&pod).await {
                return self.forget(&pod).await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let child = self.spawn(&pod, &folder);
        let full = format!("{}/{name}", pod.namespace().unwrap());
        self.pids.lock().unwrap().insert(full.clone(), child.id().unwrap());
        self.report(&pod, "Running", &json!({"running": {"startedAt": null}})).await;
        let code = self.wait(&pod, child).await;
        self.pids.lock().unwrap().remove(&full);
        let message = std::fs::read_to_string(folder.join("termination-log")).unwrap_or_default();
        let reason = if code == 0 { "Completed" } else { "Error" };
        let ended = json!({"terminated": {"exitCode": code, "reason": reason, "message": message}});
        self.report(&pod, if code == 0 { "Succeeded" } else { "Failed" }, &ended).await;
        self.outlive(&pod).await;
    }

    /// The worker's files, as its volumes say; or what a kubelet says of the volume that cannot be made.
    async fn mount(&self, pod: &Pod, folder: &Path) -> Result<(), String> {
        let namespace = pod.namespace().unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let spec = pod.spec.as_ref().unwrap();
        for volume in spec.volumes.iter().flatten() {
            let mount = spec.containers[0]
                .volume_mounts
                .iter()
                .flatten()
                .find(|mount| mount.name == volume.name)
                .unwrap();
            let target = folder.join(mount.mount_path.trim_start_matches('/'));
            std::fs::create_dir_all(&target).unwrap();
            if let Some(source) = &volume.config_map {
                let map = maps.get_opt(&source.name).await.ok().flatten();
                let map =
                    map.ok_or_else(|| failed(volume, &format!("configmap \"{}\" not found", source.name)))?;
                for item in source.items.iter().flatten() {
                    let text = map.data.as_ref().and_then(|data| data.get(&item.key));
                    let text = text.ok_or_else(|| {
                        failed(volume, &format!("configmap references non-existent config key: {}", item.key))
                    })?;
                    std::fs::write(target.join(&item.path), text).unwrap();
                }
            }
            if let Some(source) = &volume.secret {
                let name = source.secret_name.clone().unwrap();
                let secret = secrets.get_opt(&name).await.ok().flatten();
                let secret = secret.ok_or_else(|| failed(volume, &format!("secret \"{name}\" not found")))?;
                for item in source.items.iter().flatten() {
                    let bytes = secret.data.as_ref().and_then(|data| data.get(&item.key));
                    let bytes = bytes.ok_or_else(|| {
                        failed(volume, &format!("references non-existent secret key: {}", item.key))
                    })?;
                    std::fs::write(target.join(&item.path), &bytes.0).unwrap();
                }
            }
            if volume.projected.is_some() {
                let token = self.token(pod).await.ok_or("no token")?;
                std::fs::write(target.join("token"), token).unwrap();
            }
        }
        Ok(())
    }

    /// A token of the pod's service account that is bound to the pod.
    async fn token(&self, pod: &Pod) -> Option<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &pod.namespace()?);
        let request: TokenRequest = serde_json::from_value(json!({"spec": {
            "audiences": ["plimsoll"],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.uid()?},
        }}))
        .unwrap();
        let answer = accounts.create_token_request("default", &PostParams::default(), &request).await.ok()?;
        Some(answer.status?.token)
    }

    fn spawn(&self, pod: &Pod, folder: &Path) -> Child {
        let at = |path: &str| folder.join(path.trim_start_matches('/'));
        let mut command = Command::new(&self.worker);
        for variable in pod.spec.as_ref().unwrap().containers[0].env.iter().flatten() {
            if let Some(value) = &variable.value {
                command.env(&variable.name, value);
            }
        }
        let index = &pod.annotations()["batch.kubernetes.io/job-completion-index"];
        command.env("PLIMSOLL_RUN_NAMESPACE", pod.namespace().unwrap()).env("POD_UID", pod.uid().unwrap());
        command.env("JOB_COMPLETION_INDEX", index);
        command
            .env("PLIMSOLL_PLAN", at("/etc/plimsoll/plan/plan.json"))
            .env("PLIMSOLL_CA", at("/etc/plimsoll/plan/ca.crt"));
        command
            .env("PLIMSOLL_SECRETS", at("/etc/plimsoll/secrets"))
            .env("PLIMSOLL_CONFIGS", at("/etc/plimsoll/configs"));
        command.env("PLIMSOLL_TOKEN_FILE", at("/var/run/secrets/plimsoll/token"));
        command.env("PLIMSOLL_TERMINATION_LOG", folder.join("termination-log"));
        let log = std::fs::File::create(folder.join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits for the end of the worker; a pod that is being deleted gets SIGTERM, and SIGKILL after its grace.
    async fn wait(&self, pod: &Pod, mut child: Child) -> i32 {
        let code = |status: std::process::ExitStatus| {
            use std::os::unix::process::ExitStatusExt;
            status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
        };
        let pid = child.id().unwrap();
        loop {
            tokio::select! {
                ended = child.wait() => return code(ended.unwrap()),
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
            if self.is_leaving(pod).await {
                let _ = xtask::process::signal(pid, false, "TERM");
                let grace = pod.spec.as_ref().unwrap().termination_grace_period_seconds.unwrap_or(30);
                let limit = Duration::from_secs(u64::try_from(grace).unwrap());
                if let Ok(ended) = tokio::time::timeout(limit, child.wait()).await {
                    return code(ended.unwrap());
                }
                child.kill().await.unwrap();
                return 137;
            }
        }
    }

    async fn is_leaving(&self, pod: &Pod) -> bool {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap());
        match pods.get_opt(&pod.name_any()).await {
            Ok(Some(now)) => now.uid() != pod.uid() || now.metadata.deletion_timestamp.is_some(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Waits for the pod's deletion and lets it go.
    async fn outlive(&self, pod: &Pod) {
        while !self.is_leaving(pod).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.forget(pod).await;
    }

    async fn forget(&self, pod: &Pod) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap());
        let _ = pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await;
    }

    async fn report(&self, pod: &Pod, phase: &str, state: &Value) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap());
        let status = json!({"status": {"phase": phase, "containerStatuses": [{
            "name": "worker", "image": "worker", "imageID": "", "ready": phase == "Running", "restartCount": 0, "state": state,
        }]}});
        let (name, params) = (pod.name_any(), PatchParams::default());
        // Tries again while the API server is away; a pod that is gone needs no report.
        for _ in 0..600 {
            match pods.patch_status(&name, &params, &Patch::Strategic(&status)).await {
                Ok(_) | Err(kube::Error::Api(_)) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn failed_mount(&self, pod: &Pod, missing: &str) {
        let namespace = pod.namespace().unwrap();
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(self.client.clone(), &namespace);
        let event = json!({
            "metadata": {"generateName": "mount-", "namespace": namespace},
            "involvedObject": {"kind": "Pod", "name": pod.name_any(), "namespace": namespace, "uid": pod.uid()},
            "type": "Warning", "reason": "FailedMount",
            "message": missing,
        });
        let _ = events.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await;
    }
}

fn failed(volume: &Volume, cause: &str) -> String {
    format!("MountVolume.SetUp failed for volume \"{}\" : {cause}", volume.name)
}
